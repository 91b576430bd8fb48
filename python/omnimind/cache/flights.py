"""Single flight: of all who want the same at once, one loads it and the others wait, threads and tasks alike.

The rules: a flight has one leader; what it loads, or its exception, is shared with those who wait at that moment,
once; a leader that is cancelled or interrupted hands the lead to the one who has waited longest. An outcome is
noted under the lock, so that a waiter who leaves at the same instant knows whether it was given the lead.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

if TYPE_CHECKING:
    import asyncio

V = TypeVar("V")


class _Lead:
    """The outcome of a wait whose leader is gone: lead."""


LEAD: Final = _Lead()


@dataclass(frozen=True, slots=True)
class Landed(Generic[V]):
    """What a leader came back with: a value, or an exception."""

    value: V | None = None
    error: Exception | None = None

    def result(self) -> V:
        """The value; raises the exception."""
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]


class Waiter(Generic[V]):
    """One who waits: a thread, or a task of a loop."""

    __slots__ = ("_event", "_future", "_loop", "outcome")

    def __init__(self, loop: asyncio.AbstractEventLoop | None) -> None:
        self.outcome: Landed[V] | _Lead | None = None
        self._loop = loop
        self._event = threading.Event() if loop is None else None
        self._future: asyncio.Future[None] | None = None if loop is None else loop.create_future()

    def wait(self) -> None:
        """Blocks the thread until there is an outcome."""
        assert self._event is not None
        self._event.wait()

    async def arrive(self) -> None:
        """Waits in the task until there is an outcome."""
        assert self._future is not None
        await self._future

    def wake(self) -> bool:
        """False if the waiter's loop is closed: nobody waits there any more."""
        if self._event is not None:
            self._event.set()
            return True
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(self._arrived)
        except RuntimeError:
            return False
        return True

    def _arrived(self) -> None:
        if self._future is not None and not self._future.done():
            self._future.set_result(None)


@dataclass(slots=True)
class _Flight(Generic[V]):
    leader: object
    waiters: deque[Waiter[V]]


class Flights(Generic[V]):
    """What is being loaded at the moment, by key."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flying: dict[object, _Flight[V]] = {}

    def join(self, key: object, loop: asyncio.AbstractEventLoop | None = None) -> Waiter[V] | None:
        """A place to wait, or None: lead. Raises RuntimeError if the caller itself is who it would wait for."""
        me = _me()
        with self._lock:
            flight = self._flying.get(key)
            if flight is None:
                self._flying[key] = _Flight(me, deque())
                return None
            if flight.leader == me:
                raise RuntimeError("a loader asks the cache for the key it is loading")
            waiter = Waiter[V](loop)
            flight.waiters.append(waiter)
            return waiter

    def lead(self, key: object) -> bool:
        """Leads if nobody does; does not wait."""
        with self._lock:
            if key in self._flying:
                return False
            self._flying[key] = _Flight(_me(), deque())
            return True

    def take_over(self, key: object) -> None:
        """The caller was handed the lead."""
        with self._lock:
            self._flying[key].leader = _me()

    @contextmanager
    def leading(self, key: object) -> Iterator[Callable[[V], V]]:
        """What the leader does: it lands with the value that it passes on, or with its exception."""
        landed: list[Landed[V]] = []

        def lands(value: V) -> V:
            landed.append(Landed(value))
            return value

        try:
            yield lands
        except Exception as error:
            self.land(key, Landed(error=error))
            raise
        except BaseException:
            self.hand_over(key)
            raise
        self.land(key, landed[0])

    def land(self, key: object, landed: Landed[V]) -> None:
        """Ends the flight and shares what it came back with."""
        with self._lock:
            flight = self._flying.pop(key)
            for waiter in flight.waiters:
                waiter.outcome = landed
        for waiter in flight.waiters:
            waiter.wake()

    def hand_over(self, key: object) -> None:
        """The leader cannot go on: the next one leads, or the flight is over."""
        while True:
            with self._lock:
                flight = self._flying[key]
                if not flight.waiters:
                    del self._flying[key]
                    return
                heir = flight.waiters.popleft()
                heir.outcome = LEAD
            if heir.wake():
                return

    def leave(self, key: object, waiter: Waiter[V]) -> None:
        """A waiter gives up; if it was just given the lead, the next one leads."""
        with self._lock:
            if waiter.outcome is None:
                self._flying[key].waiters.remove(waiter)
                return
        if waiter.outcome is LEAD:
            self.hand_over(key)


def _me() -> object:
    """The task that runs, else the thread."""
    asyncio: Any = sys.modules.get("asyncio")
    if asyncio is not None:
        try:
            task = asyncio.current_task()
        except RuntimeError:
            task = None
        if task is not None:
            return task
    return threading.get_ident()
