"""The rate limiters that `benches.bench_limits` holds against each other: ours and the peers, each as one plain call.

Peers come from the package index into `.tools/`, pinned by hash in `requirements/contract-limiters.txt`, and are
loaded into this process behind everything that is installed. Each is used by its own fastest way to ask for one key
without waiting: one that only has a coroutine is driven by hand, without the cost of a loop. All have so high a rate
that everything is admitted, and are asked once to see that.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.contract import toolbox

PER_S = 1_000_000_000
KEY = "tenant-4711"
SERVER, TOOL = "filesystem", "read_text_file"


@dataclass(frozen=True)
class Contender:
    """One limiter, asked in one way: a function and the arguments it is called with."""

    name: str
    ask: Callable[..., Any]
    arguments: tuple[Any, ...] = ()


def ours() -> list[Contender]:
    """One bucket, one key, three levels; and the value that a refusal comes as."""
    from omnimind.limits import RateLimiter, TokenBucket

    high = (float(PER_S), float(PER_S))
    limiter = RateLimiter(PER_S, per_server=high, per_tool=high)
    following = RateLimiter(PER_S, policy="cpu-step", per_server=high, per_tool=high)
    spent = RateLimiter(0.001, burst=1)
    spent.try_acquire(KEY)
    return [
        Contender("omnimind", limiter.try_acquire, (KEY,)),
        Contender("omnimind three levels", limiter.try_acquire, (KEY, SERVER, TOOL)),
        Contender("omnimind cpu-step, three", following.try_acquire, (KEY, SERVER, TOOL)),
        Contender("omnimind acquire", _driven(limiter.acquire), (KEY,)),
        Contender("omnimind refused", spent.try_acquire, (KEY,)),
        Contender("omnimind refused, check", spent.check, (KEY,)),
        Contender("omnimind TokenBucket", TokenBucket(PER_S, PER_S).try_take),
    ]


def peers() -> list[Contender]:
    """The limiters of other packages, installed and imported for that."""
    _make_importable()
    aiolimiter, limits, storage = (import_module(name) for name in ("aiolimiter", "limits", "limits.storage"))
    pyrate, throttled, bucket = (
        import_module(name) for name in ("pyrate_limiter", "throttled", "token_bucket")
    )
    window = limits.RateLimitItemPerSecond(PER_S)
    fixed = limits.strategies.FixedWindowRateLimiter(storage.MemoryStorage())
    gcra = pyrate.Limiter(pyrate.StateBucket([pyrate.Rate(PER_S, pyrate.Duration.SECOND, burst=PER_S)]))
    leaky = aiolimiter.AsyncLimiter(PER_S, 1)
    found = [
        Contender("limits fixed window", fixed.hit, (window, KEY)),
        Contender("pyrate-limiter GCRA", gcra.try_acquire, (KEY,)),
        Contender("aiolimiter acquire", _driven(leaky.acquire)),
        Contender("token-bucket", bucket.Limiter(PER_S, PER_S, bucket.MemoryStorage()).consume, (KEY,)),
    ]
    for using in ("gcra", "token_bucket", "fixed_window"):
        quota = throttled.per_sec(PER_S, burst=PER_S)
        limit = throttled.Throttled(using=using, quota=quota, store=throttled.MemoryStore()).limit
        found.append(Contender(f"throttled-py {using}", limit, (KEY,)))
    for contender in found:
        if contender.name.startswith("aiolimiter"):
            continue  # has no answer, and a running loop is wanted
        answer = contender.ask(*contender.arguments)
        if not answer or getattr(answer, "limited", False):
            raise RuntimeError(f"{contender.name} refused, and would be measured at that")
    return found


def are_installed() -> bool:
    """Whether the peers lie in `.tools/` already."""
    return bool(_site_packages())


def _driven(make: Callable[..., Any]) -> Callable[..., bool]:
    """Runs a coroutine that does not wait to its end."""

    def ask(*arguments: Any) -> bool:
        try:
            make(*arguments).send(None)
        except StopIteration:
            return True
        raise RuntimeError("it waits")

    return ask


def _site_packages() -> list[Path]:
    return sorted((toolbox.TOOLS / "limiters").glob("lib/python*/site-packages"))


def _make_importable() -> None:
    toolbox.prepare(("limiters",), npm=False)
    for folder in _site_packages():
        if str(folder) not in sys.path:
            sys.path.append(str(folder))
