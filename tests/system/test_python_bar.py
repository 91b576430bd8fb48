"""How long a trivial snippet takes: in the full jail and in the fast tier, in a confined worker.

`make bar-python` holds the bars (15 ms and 1 ms at the median, as the server measures its own work, without the wire);
the ordinary run holds that nothing hangs and that the fast tier is the faster one.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import pytest

from omnimind.linux import landlock, seccomp
from omnimind.servers.python import subset
from tests.system.worker_process import Peer, connected, worker

FULL = os.environ.get("OMNIMIND_FULL") == "1"
ROUNDS = 400 if FULL else 30
JAIL_MS, FAST_MS = 15.0, 1.0
HANG = 20

pytestmark = [
    pytest.mark.bar,
    pytest.mark.skipif(landlock.abi() == 0 or not seccomp.available(), reason="this machine has no jail"),
]


async def measured(peer: Peer, engine: str, **more: Any) -> dict[str, tuple[float, float]]:
    """Milliseconds at the median and at nine of ten: of the work itself, and with the way to the worker and back."""
    arguments = {"code": "1 + 1", "engine": engine, **more}
    if more:
        del arguments["engine"]
    for _ in range(5):
        await peer.call("execute", arguments)
    own, whole = [], []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        found = (await peer.call("execute", arguments))["structuredContent"]
        whole.append((time.perf_counter() - started) * 1000)
        own.append(found["duration_ms"])
        assert found["value"] == "2"
    return {"work": quantiles(own), "call": quantiles(whole)}


def quantiles(figures: list[float]) -> tuple[float, float]:
    figures = sorted(figures)
    return figures[len(figures) // 2], figures[len(figures) * 9 // 10]


@pytest.mark.alone
def test_a_trivial_snippet(tmp_path: Path) -> None:
    async def ask() -> dict[str, dict[str, tuple[float, float]]]:
        with worker("python", tmp_path) as running:
            async with connected(running) as peer:
                opened = await peer.call("open_session")
                session = opened["structuredContent"]["session_id"]
                found = {
                    "jail": await measured(peer, "jail"),
                    "session": await measured(peer, "jail", session_id=session),
                }
                if subset.monty() is not None:
                    found["monty"] = await measured(peer, "monty")
                return found

    found = asyncio.run(ask())
    for engine, figures in found.items():
        told = ", ".join(f"{what} p50 {p50:.2f} ms p90 {p90:.2f} ms" for what, (p50, p90) in figures.items())
        print(f"{engine}: {told}")
    slack = 1 if FULL else HANG
    assert found["jail"]["work"][0] <= JAIL_MS * slack
    assert found["session"]["work"][0] < found["jail"]["work"][0]
    if "monty" in found:
        assert found["monty"]["work"][0] <= FAST_MS * slack
        assert found["monty"]["work"][0] < found["jail"]["work"][0]
