"""The life of one server as a table: `step(state, event, now_s, policy, chance) -> (state, actions)`.

```
stopped ─start→ starting ─answered→ ready ⇄ degraded        any living ─stop→ draining ─ended→ stopped
                starting|ready|degraded ─failed→ backoff ─tick→ starting
                backoff's last attempt, or a hopeless failure → parked ─tick|wake→ starting
ready|degraded ─renew→ itself, with a successor on its way ─renewed|kept→ itself
```
Rules. Pure: time and chance are arguments, so that years can be simulated in a second. Failures count in a
sliding window; the `max_attempts`-th parks, so at most that many starts happen in one window, the first
included. The first restart is immediate, later ones wait a full-jitter backoff. Readiness that lasted
`sustained_s` wipes the count. Parked is never for ever: a slow probe, a call or the operator starts the
server again, half open: one more failure parks it at once. A renewal starts the successor beside the process
that serves; if none comes up, the old one is kept, so a renewal never costs a call. A pair that is not in the
table changes nothing.
Source: OTP's restart intensity and period; AWS "full jitter".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final


class Phase(Enum):
    """Where a server stands; the value is its name on every wire."""

    STOPPED = "stopped"
    STARTING = "starting"
    READY = "ready"
    DEGRADED = "degraded"
    BACKOFF = "backoff"
    PARKED = "parked"
    DRAINING = "draining"


LIVING: Final = frozenset({Phase.STARTING, Phase.READY, Phase.DEGRADED})
"""Phases with a process that is wanted."""


class Event(Enum):
    """What can happen to a server. After FAILED and ENDED its processes are gone."""

    START = "start"
    STOP = "stop"
    RESTART = "restart"
    RENEW = "renew"
    RENEWED = "renewed"
    KEPT = "kept"
    WAKE = "wake"
    TICK = "tick"
    ANSWERED = "answered"
    DOUBTED = "doubted"
    FAILED = "failed"
    HOPELESS = "hopeless"
    ENDED = "ended"


class Action(Enum):
    """What the supervisor is to do."""

    SPAWN = "spawn"
    PROBE = "probe"
    RENEW = "renew"
    TERMINATE = "terminate"


@dataclass(frozen=True, slots=True)
class Policy:
    """How patient to be with a server; times in seconds."""

    max_attempts: int = 3
    window_s: float = 60.0
    backoff_min_s: float = 0.25
    backoff_max_s: float = 30.0
    probe_s: float = 60.0
    sustained_s: float = 30.0


@dataclass(frozen=True, slots=True)
class State:
    """All that is remembered of a server's life. `due_s` is when a TICK is wanted, if ever."""

    phase: Phase = Phase.STOPPED
    due_s: float | None = None
    failures: tuple[float, ...] = ()
    starts: tuple[float, ...] = ()
    ready_since_s: float | None = None
    half_open: bool = False
    again: bool = False
    renewing: bool = False
    spawns: int = 0
    crashes: int = 0
    """Ends that nobody planned, and starts that came to nothing, since the first start."""

    @property
    def restarts(self) -> int:
        """Starts after the first."""
        return max(0, self.spawns - 1)


Step = tuple[State, tuple[Action, ...]]


@dataclass(frozen=True, slots=True)
class Moment:
    """What a rule may look at beside the state."""

    now_s: float
    policy: Policy
    chance: Callable[[], float]

    def recent(self, times: tuple[float, ...]) -> tuple[float, ...]:
        """Those of `times` that the window still holds."""
        return tuple(t for t in times if t + self.policy.window_s > self.now_s)


def step(state: State, event: Event, now_s: float, policy: Policy, chance: Callable[[], float]) -> Step:
    """What `event` at `now_s` makes of `state`; `chance` yields numbers in [0, 1)."""
    rule = TABLE.get((state.phase, event))
    return rule(state, Moment(now_s, policy, chance)) if rule else (state, ())


def retry_after_s(state: State, now_s: float) -> float | None:
    """Seconds until another start may happen by itself, where that is known."""
    return None if state.due_s is None else max(0.0, state.due_s - now_s)


def _spawn(state: State, at: Moment) -> Step:
    """Start a process; every start is remembered for one window."""
    starts = (*at.recent(state.starts), at.now_s)
    after = replace(
        state,
        phase=Phase.STARTING,
        due_s=None,
        starts=starts,
        ready_since_s=None,
        renewing=False,
        spawns=state.spawns + 1,
    )
    return after, (Action.SPAWN,)


def _spawn_afresh(state: State, at: Moment) -> Step:
    """The operator wants it: what was counted is forgotten."""
    return _spawn(replace(state, failures=(), starts=(), half_open=False, again=False), at)


def _spawn_half_open(state: State, at: Moment) -> Step:
    """One careful start of a parked server, if the window has room for it."""
    starts = at.recent(state.starts)
    if len(starts) >= max(1, at.policy.max_attempts):
        room_s = starts[-max(1, at.policy.max_attempts)] + at.policy.window_s
        due_s = room_s if state.due_s is None else max(room_s, state.due_s)
        return replace(state, due_s=due_s), ()
    return _spawn(replace(state, half_open=True), at)


def _tick_backoff(state: State, at: Moment) -> Step:
    if state.due_s is not None and at.now_s < state.due_s:
        return state, ()
    return _spawn(state, at)


def _tick_parked(state: State, at: Moment) -> Step:
    if state.due_s is not None and at.now_s < state.due_s:
        return state, ()
    return _spawn_half_open(state, at)


def _answered(state: State, at: Moment) -> Step:
    since_s = at.now_s if state.ready_since_s is None else state.ready_since_s
    return replace(state, phase=Phase.READY, ready_since_s=since_s, half_open=False), ()


def _doubted(state: State, _: Moment) -> Step:
    """Somebody could not reach it: ask it again."""
    return replace(state, phase=Phase.DEGRADED), (Action.PROBE,)


def _renew(state: State, _: Moment) -> Step:
    """Start a successor, unless one is on its way."""
    return (state, ()) if state.renewing else (replace(state, renewing=True), (Action.RENEW,))


def _renewed(state: State, at: Moment) -> Step:
    """The successor serves."""
    if not state.renewing:
        return state, ()
    return replace(
        state, phase=Phase.READY, renewing=False, ready_since_s=at.now_s, spawns=state.spawns + 1
    ), ()


def _kept(state: State, _: Moment) -> Step:
    return replace(state, renewing=False), ()


def _failed(state: State, at: Moment) -> Step:
    lasted_s = 0.0 if state.ready_since_s is None else at.now_s - state.ready_since_s
    before = () if lasted_s >= at.policy.sustained_s else at.recent(_failures_before(state, at))
    after = replace(
        state, failures=(*before, at.now_s), ready_since_s=None, renewing=False, crashes=state.crashes + 1
    )
    if state.half_open or len(after.failures) >= at.policy.max_attempts:
        return _park(after, at)
    return replace(after, phase=Phase.BACKOFF, due_s=at.now_s + _pause_s(len(after.failures), at)), ()


def _failures_before(state: State, at: Moment) -> tuple[float, ...]:
    """Failures so far, none older by the time this start took: starts that hang until they time out must still
    meet in one window."""
    if state.phase is not Phase.STARTING or not state.starts:
        return state.failures
    took_s = at.now_s - state.starts[-1]
    return tuple(t + took_s for t in state.failures)


def _hopeless(state: State, at: Moment) -> Step:
    """Trying again at once cannot help: the command is missing, the configuration wrong."""
    failures = (*at.recent(state.failures), at.now_s)
    crashed = replace(state, failures=failures, ready_since_s=None, renewing=False, crashes=state.crashes + 1)
    return _park(crashed, at)


def _park(state: State, at: Moment) -> Step:
    return replace(state, phase=Phase.PARKED, due_s=at.now_s + at.policy.probe_s, half_open=False), ()


def _pause_s(failures: int, at: Moment) -> float:
    if failures <= 1:
        return 0.0
    ceiling_s = at.policy.backoff_min_s * 2.0 ** min(failures - 1, 30)
    return at.chance() * min(ceiling_s, at.policy.backoff_max_s)


def _drain(state: State, _: Moment) -> Step:
    return replace(state, phase=Phase.DRAINING, due_s=None, again=False, renewing=False), (Action.TERMINATE,)


def _drain_and_return(state: State, _: Moment) -> Step:
    return replace(state, phase=Phase.DRAINING, due_s=None, again=True, renewing=False), (Action.TERMINATE,)


def _want_again(state: State, _: Moment) -> Step:
    return replace(state, again=True), ()


def _stop(state: State, _: Moment) -> Step:
    return replace(state, phase=Phase.STOPPED, due_s=None, ready_since_s=None, again=False), ()


def _ended(state: State, at: Moment) -> Step:
    return _spawn_afresh(state, at) if state.again else _stop(state, at)


TABLE: Final[dict[tuple[Phase, Event], Callable[[State, Moment], Step]]] = {
    (Phase.STOPPED, Event.START): _spawn_afresh,
    (Phase.STOPPED, Event.RESTART): _spawn_afresh,
    (Phase.STARTING, Event.ANSWERED): _answered,
    (Phase.STARTING, Event.FAILED): _failed,
    (Phase.STARTING, Event.ENDED): _failed,
    (Phase.STARTING, Event.HOPELESS): _hopeless,
    (Phase.STARTING, Event.STOP): _drain,
    (Phase.STARTING, Event.RESTART): _drain_and_return,
    (Phase.READY, Event.DOUBTED): _doubted,
    (Phase.READY, Event.FAILED): _failed,
    (Phase.READY, Event.ENDED): _failed,
    (Phase.READY, Event.HOPELESS): _hopeless,
    (Phase.READY, Event.STOP): _drain,
    (Phase.READY, Event.RESTART): _drain_and_return,
    (Phase.DEGRADED, Event.ANSWERED): _answered,
    (Phase.DEGRADED, Event.FAILED): _failed,
    (Phase.DEGRADED, Event.ENDED): _failed,
    (Phase.DEGRADED, Event.HOPELESS): _hopeless,
    (Phase.DEGRADED, Event.STOP): _drain,
    (Phase.DEGRADED, Event.RESTART): _drain_and_return,
    (Phase.STARTING, Event.RENEW): _drain_and_return,
    (Phase.READY, Event.RENEW): _renew,
    (Phase.READY, Event.RENEWED): _renewed,
    (Phase.READY, Event.KEPT): _kept,
    (Phase.DEGRADED, Event.RENEW): _renew,
    (Phase.DEGRADED, Event.RENEWED): _renewed,
    (Phase.DEGRADED, Event.KEPT): _kept,
    (Phase.BACKOFF, Event.RENEW): _spawn_afresh,
    (Phase.PARKED, Event.RENEW): _spawn_afresh,
    (Phase.STOPPED, Event.RENEW): _spawn_afresh,
    (Phase.DRAINING, Event.RENEW): _want_again,
    (Phase.BACKOFF, Event.TICK): _tick_backoff,
    (Phase.BACKOFF, Event.START): _spawn_afresh,
    (Phase.BACKOFF, Event.RESTART): _spawn_afresh,
    (Phase.BACKOFF, Event.STOP): _stop,
    (Phase.PARKED, Event.TICK): _tick_parked,
    (Phase.PARKED, Event.WAKE): _spawn_half_open,
    (Phase.PARKED, Event.START): _spawn_afresh,
    (Phase.PARKED, Event.RESTART): _spawn_afresh,
    (Phase.PARKED, Event.STOP): _stop,
    (Phase.DRAINING, Event.ENDED): _ended,
    (Phase.DRAINING, Event.FAILED): _ended,
    (Phase.DRAINING, Event.HOPELESS): _ended,
    (Phase.DRAINING, Event.START): _want_again,
    (Phase.DRAINING, Event.RESTART): _want_again,
    (Phase.DRAINING, Event.STOP): lambda state, _: (replace(state, again=False), ()),
}
"""Every pair that means something."""
