"""Where tasks wait for a limiter: each at an event of its own, one of them awake at the right time for all.

The core keeps the order and the times and knows waiters by number. There is no thread and no task behind it: of those
who wait, one is the *driver*, who sleeps until the core has something to do, has it done, and tells the others what
became of them. A driver that need not wait any longer, or is cancelled, makes another one the driver. Who is cancelled
leaves its place, or gives back what it was given in the same moment.

All steps between two waits are taken in one thread, so that a word is never lost: the waiters of one time must be tasks
of one loop, and anybody else is told so before anything has happened.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable
from typing import Literal

import anyio

from omnimind import _core
from omnimind.errors import RefusedError

Answer = tuple[_core.PermitId | None, str | None, str | None, float]
"""A permit; or the reason of a refusal, its scope, and the seconds to wait."""


class _Waiter:
    __slots__ = ("answer", "event")

    def __init__(self) -> None:
        self.answer: Answer | None = None
        self.event = anyio.Event()


class Room:
    """The tasks that wait for one limiter."""

    def __init__(self, limiter: _core.RateLimiter) -> None:
        self._limiter = limiter
        self._waiters: dict[int, _Waiter] = {}
        self._driver: _Waiter | None = None
        self._wakes_at = math.inf
        self._thread = 0

    @property
    def is_empty(self) -> bool:
        """Whether nobody waits."""
        return not self._waiters

    async def enter(
        self,
        key: str,
        server: str | None,
        tool: str | None,
        cost: float,
        priority: str,
        deadline: float | None,
        max_wait_s: float,
    ) -> _core.PermitId | None:
        """Wait for what `RateLimiter.acquire` waits for. Raises RefusedError."""
        self._claim()
        until = anyio.current_effective_deadline()
        if deadline is not None:
            until = min(until, deadline)
        wait_s = min(until - anyio.current_time(), max_wait_s)
        number, answer, words = self._limiter._arrive(key, server, tool, cost, priority, wait_s)
        self._tell(words)
        if number is not None:
            answer = await self._wait(number)
        assert answer is not None
        permit, reason, scope, retry_after_s = answer
        if reason is not None:
            raise RefusedError(reason, scope or "", retry_after_s)
        return permit

    def end(self, permit: _core.PermitId, outcome: Literal["ok", "dropped", "cancelled"]) -> None:
        """Give a permit back, and let in who may have it."""
        self._claim()
        self._tell(self._limiter._ended(permit, outcome))

    async def _wait(self, number: int) -> Answer:
        waiter = self._waiters[number] = _Waiter()
        try:
            self._wake_earlier()
            while waiter.answer is None:
                if self._driver is None:
                    self._driver = waiter
                if self._driver is waiter:
                    await self._drive(waiter)
                else:
                    await waiter.event.wait()
        except BaseException:
            if waiter.answer is None:
                self._limiter._left(number)
            elif waiter.answer[0] is not None:
                self._tell(self._limiter._ended(waiter.answer[0], "cancelled"))
            raise
        finally:
            del self._waiters[number]
            if self._driver is waiter:
                self._hand_over()
        return waiter.answer

    async def _drive(self, waiter: _Waiter) -> None:
        """Sleeps until there is something to do, or until it is told that something came sooner."""
        sleep_s = self._limiter._next_wake_s()
        self._wakes_at = math.inf if sleep_s is None else anyio.current_time() + sleep_s
        waiter.event = anyio.Event()
        with anyio.move_on_after(sleep_s):
            await waiter.event.wait()
        self._tell(self._limiter._tick())

    def _wake_earlier(self) -> None:
        if self._driver is not None:
            sleep_s = self._limiter._next_wake_s()
            if sleep_s is not None and anyio.current_time() + sleep_s < self._wakes_at:
                self._driver.event.set()

    def _hand_over(self) -> None:
        self._driver = next((other for other in self._waiters.values() if other.answer is None), None)
        if self._driver is not None:
            self._driver.event.set()

    def _tell(self, words: Iterable[tuple[int, Answer]]) -> None:
        for number, answer in words:
            waiter = self._waiters[number]
            waiter.answer = answer
            waiter.event.set()

    def _claim(self) -> None:
        here = threading.get_ident()
        if self._waiters and self._thread != here:
            raise RuntimeError("tasks of another event loop wait for this limiter")
        self._thread = here
