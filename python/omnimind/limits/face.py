"""`RateLimiter`: the typed class over `omnimind._core.RateLimiter`, which decides.

What is here is what needs no speed: settings, and the way into the waiting room. `try_acquire` and `check` are the
core's own. Nothing runs in the background: a policy looks at the machine when a decision is asked for, a second or more
after its last look, and of those who wait one task keeps the time for all.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Self

from omnimind import _core

if TYPE_CHECKING:
    from omnimind.limits.room import Room

Priority = Literal["system", "interactive", "normal", "background"]
PRIORITIES: Final[tuple[Priority, ...]] = ("system", "interactive", "normal", "background")


class Health(NamedTuple):
    """A reading of the machine and of a server; None is not known. Shares are between 0 and 1."""

    cpu: float | None = None
    """Processor time in use, of all there is."""
    psi: float | None = None
    """Time in which some task had to wait for a processor."""
    p99_s: float | None = None
    """The time 99 of 100 calls stay under."""
    error_rate: float | None = None
    """Calls that failed, of all that ended."""


OVERLOAD: Final = Health(cpu=0.9, psi=0.4, error_rate=0.1)


class Live(NamedTuple):
    """A limiter at a glance. What is about permits is None without `max_concurrent`."""

    rate_per_s: float | None
    """What the policy makes of `max_rps` at the moment."""
    waiting: dict[Priority, int]
    """Calls that wait, for a rate or for a permit."""
    limit: int | None
    """Calls that may be in flight."""
    in_flight: int | None
    """Calls that are."""
    stretch: float | None
    """How much slower calls are than on a server at ease, as `gradient` sees it; 1 is not at all."""
    service_s: float | None
    """What a call takes."""


class RateLimiter(_core.RateLimiter):
    """How many calls a second may pass, by key; and how many at once, if `max_concurrent` says so.

    Each key has a bucket: over any t seconds at most `max_rps` * t + `burst` of its cost passes (`burst`: a second's
    worth). Two more levels count if a call names them: `per_server` is what one key may send to one server, `per_tool`
    what all keys together may send to one tool of it; each a rate, or a rate and a burst. A call passes all levels or
    burdens none.

    `policy` is what the rates follow. `fixed`: nothing. `cpu-step`: half of them while the CPU is above 80 %, twice
    below 30 %, else as before. `aimd`: a twentieth more each second up to the full rates; half, down to a tenth, when
    a reading of `health` is above that of `overload`. `health` answers with a `Health`; without it CPU and pressure
    are read from /proc.

    `concurrency` decides how many calls hold a permit, up to `max_concurrent`: all of them (`fixed`), or as many as the
    calls that end show to be good: `gradient` by how long they take, `aimd` by how many are dropped.

    Who waits, waits `max_wait_s` at most, and no more than `max_waiting` wait before one bucket or for permits. `keys`
    is how many keys, at each level, have a bucket of their own at a time; 48 bytes each. Safe from any thread; those
    who wait at one time must be tasks of one event loop.
    """

    __slots__ = ("_is_plain", "_making", "_max_wait_s", "_room")

    _is_plain: bool
    _making: threading.Lock
    _max_wait_s: float
    _room: Room | None

    should_allow_request = _core.RateLimiter.try_acquire
    """The project's first name of `try_acquire`."""

    def __new__(
        cls,
        max_rps: float | None = 100,
        *,
        policy: Literal["fixed", "aimd", "cpu-step"] = "fixed",
        burst: float | None = None,
        per_server: float | tuple[float, float] | None = None,
        per_tool: float | tuple[float, float] | None = None,
        health: Callable[[], Health] | None = None,
        overload: Health = OVERLOAD,
        max_concurrent: int | None = None,
        concurrency: Literal["fixed", "aimd", "gradient"] = "fixed",
        max_wait_s: float = 1.0,
        max_waiting: int = 1_000,
        keys: int = 4_096,
    ) -> Self:
        """Make a limiter with all buckets full. Raises ValueError for settings that do not fit."""
        if max_rps is None and (policy != "fixed" or burst is not None):
            raise ValueError("policy and burst are about max_rps")
        if policy == "fixed" and health is not None:
            raise ValueError("health is for a policy that follows it")
        if not max_wait_s >= 0:
            raise ValueError(f"max_wait_s must be a number of seconds, not negative, got {max_wait_s}")
        limiter = super().__new__(
            cls,
            rates=[_rate(max_rps, burst), _rate(per_server), _rate(per_tool)],
            policy=policy,
            overload=overload,
            health=health,
            concurrency=concurrency,
            max_concurrent=max_concurrent,
            max_waiting=max_waiting,
            keys=keys,
        )
        limiter._is_plain = max_concurrent is None
        limiter._max_wait_s = max_wait_s
        limiter._making = threading.Lock()
        limiter._room = None
        return limiter

    async def acquire(
        self,
        key: str = "",
        server: str | None = None,
        tool: str | None = None,
        *,
        cost: float = 1.0,
        priority: Priority = "normal",
        deadline: float | None = None,
    ) -> Permit:
        """Wait until the call may pass, and for a permit if their number is limited; then release it.

        It waits until `deadline` (of `anyio.current_time()`) or that of the scopes around it, and for `max_wait_s` at
        most. Who cannot pass by then is refused at once: raises `omnimind.errors.RefusedError`, with `retry_after_s`.
        Before one bucket keys take turns, then the more urgent goes first, then the older. Cancelled, it leaves nothing
        behind but what it took of the rates.
        """
        if (
            self._is_plain
            and (self._room is None or self._room.is_empty)
            and self.try_acquire(key, server, tool, cost=cost)
        ):
            return PASSED
        room = self._room or self._make_room()
        permit = await room.enter(key, server, tool, cost, priority, deadline, self._max_wait_s)
        return PASSED if permit is None else Permit(room, permit)

    def permit(
        self,
        key: str = "",
        server: str | None = None,
        tool: str | None = None,
        *,
        cost: float = 1.0,
        priority: Priority = "normal",
        deadline: float | None = None,
    ) -> Holding:
        """`async with limiter.permit(...)`: acquire, and release whatever happens inside.

        A TimeoutError that leaves the block counts as a dropped call; a cancelled one teaches nothing.
        """
        return Holding(self, key, server, tool, cost, priority, deadline)

    def live(self) -> Live:
        """What there is to see."""
        lines, permits = self._live()
        if permits is None:
            return Live(self.rate_per_s, dict(zip(PRIORITIES, lines, strict=True)), None, None, None, None)
        _, usable, in_flight, queue, stretch, service_s = permits
        waiting = (line + queued for line, queued in zip(lines, queue, strict=True))
        by_class = dict(zip(PRIORITIES, waiting, strict=True))
        return Live(self.rate_per_s, by_class, usable, in_flight, stretch, service_s)

    def _make_room(self) -> Room:
        from omnimind.limits.room import Room

        with self._making:
            if self._room is None:
                self._room = Room(self)
            return self._room


class Permit:
    """The right to be one of the calls in flight, until it is released; it belongs to the loop that it came from."""

    __slots__ = ("_id", "_room")

    def __init__(self, room: Room | None, id: _core.PermitId | None) -> None:
        self._room = room
        self._id = id

    def release(self, *, dropped: bool = False) -> None:
        """Give it back; again is no matter. `dropped`: the call got no answer in time, or was refused as too much."""
        self._end("dropped" if dropped else "ok")

    def cancel(self) -> None:
        """Give it back for a call that was cancelled, which says nothing about how long calls take."""
        self._end("cancelled")

    def _end(self, outcome: Literal["ok", "dropped", "cancelled"]) -> None:
        if self._room is not None and self._id is not None:
            self._room.end(self._id, outcome)


PASSED: Final = Permit(None, None)
"""What a limiter gives that counts no permits."""


class Holding:
    """A permit for as long as a block runs."""

    __slots__ = ("_call", "_limiter", "_permit")

    def __init__(
        self,
        limiter: RateLimiter,
        key: str,
        server: str | None,
        tool: str | None,
        cost: float,
        priority: Priority,
        deadline: float | None,
    ) -> None:
        self._limiter = limiter
        self._call = (key, server, tool, cost, priority, deadline)
        self._permit = PASSED

    async def __aenter__(self) -> Permit:
        key, server, tool, cost, priority, deadline = self._call
        self._permit = await self._limiter.acquire(
            key, server, tool, cost=cost, priority=priority, deadline=deadline
        )
        return self._permit

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and not issubclass(kind, Exception):
            self._permit.cancel()
        else:
            self._permit.release(dropped=kind is not None and issubclass(kind, TimeoutError))


def _rate(rate: float | tuple[float, float] | None, burst: float | None = None) -> tuple[float, float] | None:
    """A rate and its burst: without one, what comes back in a second, and one call at the least."""
    if rate is None or isinstance(rate, tuple):
        return rate
    return rate, max(1.0, rate) if burst is None else burst
