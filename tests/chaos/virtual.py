"""Hours in seconds: an event loop whose clock stands still while there is work and jumps when there is none.

The loop asks its selector to wait until the next timer; ours looks once for real input and, finding none, moves the
clock to that timer at once. All that sleeps or times out through the loop (anyio does) lives by that clock,
in the same order as it would in real time, and nothing in it knows. What reads another clock has to be given this one.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

REAL_WAIT_S = 5.0


class Clock:
    """Seconds since the beginning; moved by the selector alone."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class _JumpingSelector(selectors.EpollSelector):
    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            ready = super().select(REAL_WAIT_S)
            if not ready:
                raise RuntimeError("nothing will ever happen again")
            return ready
        self._clock.now_s += timeout
        return []


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, clock: Clock) -> None:
        super().__init__(_JumpingSelector(clock))
        self._virtual = clock

    def time(self) -> float:
        return self._virtual.now_s


def run(main: Callable[[Clock], Awaitable[Any]]) -> Any:
    """`anyio.run` on such a loop; `main` gets its clock."""
    clock = Clock()
    return anyio.run(main, clock, backend_options={"loop_factory": lambda: _Loop(clock)})
