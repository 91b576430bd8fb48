"""Limits for Python programs: `RateLimiter` for a whole server, `TokenBucket` for one rate.

    limiter = omnimind.RateLimiter(max_rps=100)
    if limiter.try_acquire("alice"):
        ...

    async with limiter.permit("alice", priority="interactive"):
        ...

Asking never waits; `acquire` and `permit` do, in a fair queue. A refusal is a value: false, with the exact wait.
A cost no full bucket could pay is a mistake and raises.

Modules: `face` is the limiter, imported when it is asked for; `room` is where its waiters wait.
"""

from omnimind._core import Refusal, TokenBucket

TYPE_CHECKING = False  # `typing` would cost the orchestrator, which wants the bucket alone
if TYPE_CHECKING:
    from typing import Any

    from omnimind.limits.face import Health, Live, Permit, RateLimiter

__all__ = ["Health", "Live", "Permit", "RateLimiter", "Refusal", "TokenBucket"]


def __getattr__(name: str) -> "Any":
    if name in __all__:
        from importlib import import_module

        return getattr(import_module("omnimind.limits.face"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
