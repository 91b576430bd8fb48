"""A hundred thousand lives of a server, simulated: whatever happens and in whatever order, the table's promises hold.

Each seed is one server in a world of its own: how often it comes up, how long it then lives, what its operator and
its callers do, and now and then an event that fits nothing. Clock and chance are injected, so that days pass
in half a millisecond, and a seed that breaks a promise breaks it again. Events and phases come from the
table itself: a new one takes part without being named here.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass, field, replace

import pytest

from omnimind.orchestrator import lifecycle
from omnimind.orchestrator.lifecycle import LIVING, TABLE, Action, Event, Phase, Policy, State

SEEDS = 100_000
STEPS = 14
HANG_S = 400.0
POLICIES = (
    Policy(),
    Policy(max_attempts=0),
    Policy(max_attempts=1, probe_s=5),
    Policy(max_attempts=5, window_s=300, probe_s=600, sustained_s=10),
    Policy(max_attempts=3, window_s=10, backoff_min_s=2, backoff_max_s=3, probe_s=1),
    Policy(max_attempts=1000, backoff_max_s=0),
)
ENDS = frozenset({Event.FAILED, Event.HOPELESS, Event.ENDED})
"""After these the process is gone."""
BY_ITSELF = ENDS | {Event.TICK, Event.WAKE, Event.ANSWERED, Event.DOUBTED}
"""What nobody asked for; every other event is the operator's wish."""
STRAY = tuple(Event)
WAITING = frozenset({Phase.BACKOFF, Phase.PARKED})
HAS_PROCESS = LIVING | {Phase.DRAINING}
SERVING = LIVING - {Phase.STARTING}


@dataclass(slots=True)
class World:
    """What happens to one server, as its seed says."""

    chance: random.Random
    comes_up: float
    lives_s: float
    meddling: float

    @classmethod
    def of(cls, seed: int) -> World:
        chance = random.Random(seed)
        pick = chance.random
        return cls(chance, pick() * pick(), 10 ** (4 * pick() - 1), pick() * 0.4)

    def next(self, state: State, now_s: float) -> tuple[Event, float]:
        """The next event and when it comes."""
        pick = self.chance.random
        if pick() < self.meddling:
            return STRAY[int(pick() * len(STRAY))], now_s + pick() * 20
        phase = state.phase
        if phase is Phase.STARTING:
            if pick() < self.comes_up:
                return Event.ANSWERED, now_s + pick()
            return (Event.HOPELESS if pick() < 0.05 else Event.FAILED), now_s + pick() * 2
        if phase in SERVING:
            if pick() < 0.2:
                return (Event.DOUBTED if pick() < 0.5 else Event.ANSWERED), now_s + pick()
            return Event.FAILED, now_s + self.chance.expovariate(1 / self.lives_s)
        if phase in WAITING and state.due_s is not None:
            if pick() < 0.3:
                return Event.WAKE, now_s + pick() * (state.due_s - now_s)
            return Event.TICK, state.due_s + (0.0 if pick() < 0.7 else pick() * 100)
        if phase is Phase.DRAINING:
            return Event.ENDED, now_s + pick()
        return (Event.START if pick() < 0.5 else Event.WAKE), now_s + pick() * 100


@dataclass(slots=True)
class Life:
    """One server, and beside it what an onlooker knows: is a process there, is it wanted, when was it started."""

    policy: Policy
    chance: random.Random
    state: State = field(default_factory=State)
    now_s: float = 1000.0
    alive: bool = False
    wanted: bool = False
    starts: list[float] = field(default_factory=list)
    spawns: int = 0
    ready_since_s: float | None = None

    def happen(self, event: Event, at_s: float) -> None:
        self.now_s = at_s
        before = self.state
        self.state, actions = lifecycle.step(before, event, at_s, self.policy, self.chance.random)
        if (before.phase, event) not in TABLE:
            assert (self.state, actions) == (before, ()), "a pair that is not in the table did something"
        self._intent(event, before)
        self._process(event, before, actions)
        self._waiting(event, before, actions)

    def _intent(self, event: Event, before: State) -> None:
        if event is Event.STOP:
            self.wanted = False
            return
        asked = event not in BY_ITSELF and before.phase not in SERVING
        woken = event is Event.WAKE and before.phase is Phase.STOPPED
        if (asked or woken) and (before.phase, event) in TABLE:
            self.wanted = True

    def _process(self, event: Event, before: State, actions: tuple[Action, ...]) -> None:
        state, policy = self.state, self.policy
        if event in ENDS:
            self.alive = False
        if event in ENDS and before.phase in LIVING:
            since_s = self.ready_since_s
            if since_s is not None and self.now_s - since_s >= policy.sustained_s:
                self.starts = []
                # Sustained readiness wipes the count: this failure is the first again.
                assert event is Event.HOPELESS or len(state.failures) == 1, "readiness wiped nothing"
            self.ready_since_s = None
        if state.ready_since_s != before.ready_since_s:
            self.ready_since_s = state.ready_since_s
        if Action.SPAWN in actions:
            assert not self.alive, "two processes at once"
            self._started(event)
        assert self.alive == (state.phase in HAS_PROCESS), "the phase does not say whether a process is there"
        assert Action.TERMINATE not in actions or state.phase is Phase.DRAINING
        assert (state.ready_since_s is None) or state.phase in HAS_PROCESS, "ready since, but not there"
        assert state.phase not in SERVING or state.ready_since_s is not None, "serving, but since when"

    def _started(self, event: Event) -> None:
        self.alive, self.spawns, self.ready_since_s = True, self.spawns + 1, None
        assert self.state.phase is Phase.STARTING
        if event not in BY_ITSELF or (event in ENDS and self.wanted) or not self.state.failures:
            self.starts = []  # asked for: the count begins again
        self.starts.append(self.now_s)
        recent = sum(at_s + self.policy.window_s > self.now_s for at_s in self.starts)
        assert recent <= max(1, self.policy.max_attempts), f"{recent} starts in one window"

    def _waiting(self, event: Event, before: State, actions: tuple[Action, ...]) -> None:
        state, policy, now_s = self.state, self.policy, self.now_s
        if state.phase not in WAITING:
            assert state.due_s is None, "an alarm that nobody waits for"
            return
        assert state.due_s is not None, "it waits, but for nothing"
        longest_s = (
            policy.backoff_max_s if state.phase is Phase.BACKOFF else max(policy.probe_s, policy.window_s)
        )
        assert state.due_s <= now_s + longest_s + 1e-6 or state.due_s == before.due_s, "it waits too long"
        if state.phase is Phase.BACKOFF and before.phase is not Phase.BACKOFF and len(state.failures) == 1:
            assert state.due_s == now_s, "the first restart is not immediate"
        if event is Event.TICK and before.phase is Phase.BACKOFF:
            assert before.due_s is not None
            assert now_s < before.due_s, "the pause is over and nothing was started"
        if event is Event.WAKE and before.phase is Phase.PARKED:
            room = sum(at_s + policy.window_s > now_s for at_s in before.starts) < max(1, policy.max_attempts)
            assert not room, "a call woke nobody although the window has room"
        if event is Event.TICK and before.phase is Phase.PARKED and before.due_s is not None:
            assert now_s < before.due_s or state.due_s > now_s, "a probe that was due changed nothing"

    def let_heal(self) -> None:
        """From now on the server comes up whenever it is started, and nobody does anything by hand."""
        until_s = self.now_s + 2 * (self.policy.window_s + self.policy.probe_s) + self.policy.backoff_max_s
        while self.state.phase is not Phase.STOPPED and self.state.phase not in SERVING:
            if self.state.phase is Phase.STARTING:
                self.happen(Event.ANSWERED, self.now_s + 0.1)
            elif self.state.phase is Phase.DRAINING:
                self.happen(Event.ENDED, self.now_s + 0.1)
            else:
                assert self.state.due_s is not None
                self.happen(Event.TICK, max(self.now_s, self.state.due_s))
            assert self.now_s <= until_s, f"{self.state.phase.value} for ever"
        assert (self.state.phase is Phase.STOPPED) != self.wanted, "wanted and stopped, or up and not wanted"


def simulate(seed: int, seen: Counter[tuple[Phase, Event]] | None = None) -> None:
    world = World.of(seed)
    life = Life(POLICIES[seed % len(POLICIES)], world.chance)
    life.happen(Event.START, life.now_s)
    for _ in range(STEPS):
        event, at_s = world.next(life.state, life.now_s)
        if seen is not None:
            seen[life.state.phase, event] += 1
        life.happen(event, at_s)
    life.let_heal()


def simulate_many(seeds: int) -> None:
    for seed in range(seeds):
        try:
            simulate(seed)
        except AssertionError as broken:
            raise AssertionError(f"seed {seed}: {broken}") from broken


@pytest.mark.roomy
@pytest.mark.timeout(HANG_S)
def test_a_hundred_thousand_lives_break_no_promise() -> None:
    began_s = time.monotonic()
    simulate_many(SEEDS)
    print(f"{SEEDS} lives in {time.monotonic() - began_s:.0f} s")


def test_the_simulation_meets_every_row_of_the_table() -> None:
    seen: Counter[tuple[Phase, Event]] = Counter()
    for seed in range(1500):
        simulate(seed, seen)
    assert set(TABLE) - set(seen) == set()


def test_an_onlooker_notices_a_table_without_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The simulation can fail: a server that is never parked is a restart storm."""

    def never_park(state: State, at: lifecycle.Moment) -> lifecycle.Step:
        return replace(state, phase=Phase.BACKOFF, due_s=at.now_s, failures=(at.now_s,)), ()

    monkeypatch.setitem(TABLE, (Phase.STARTING, Event.FAILED), never_park)
    with pytest.raises(AssertionError, match="starts in one window"):
        simulate_many(500)


def test_an_onlooker_notices_a_lost_wake_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(TABLE, (Phase.PARKED, Event.WAKE))
    with pytest.raises(AssertionError, match="woke nobody"):
        simulate_many(500)


def test_an_onlooker_notices_a_parked_server_that_is_never_probed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(TABLE, (Phase.PARKED, Event.TICK))
    with pytest.raises(AssertionError, match=r"nothing|for ever"):
        simulate_many(500)
