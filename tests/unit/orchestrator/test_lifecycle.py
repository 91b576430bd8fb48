"""The life cycle: each row of the table, then every promise under random and simulated histories."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omnimind.orchestrator.lifecycle import (
    LIVING,
    TABLE,
    Action,
    Event,
    Phase,
    Policy,
    State,
    retry_after_s,
    step,
)

POLICY = Policy(max_attempts=3, window_s=60, backoff_min_s=0.25, backoff_max_s=30, probe_s=60, sustained_s=30)


class Life:
    """A server's life with a clock in hand."""

    def __init__(self, policy: Policy = POLICY, seed: int = 0) -> None:
        self.state, self.now_s, self.policy = State(), 1000.0, policy
        self.chance = random.Random(seed).random
        self.spawned_s: list[float] = []

    def happen(self, event: Event, after_s: float = 0.0) -> tuple[Action, ...]:
        self.now_s += after_s
        self.state, actions = step(self.state, event, self.now_s, self.policy, self.chance)
        if Action.SPAWN in actions:
            self.spawned_s.append(self.now_s)
        return actions

    def tick_when_due(self) -> None:
        wait_s = retry_after_s(self.state, self.now_s)
        if wait_s is not None:
            self.happen(Event.TICK, wait_s)

    def crash(self, times: int) -> None:
        """Start and fail, letting every pause pass."""
        for _ in range(times):
            self.happen(Event.FAILED, 0.1)
            if self.state.phase is Phase.BACKOFF:
                self.tick_when_due()


def started() -> Life:
    life = Life()
    assert life.happen(Event.START) == (Action.SPAWN,)
    return life


def test_a_server_starts_answers_and_stops() -> None:
    life = started()
    assert life.state.phase is Phase.STARTING
    assert life.happen(Event.ANSWERED) == ()
    assert life.state.phase is Phase.READY
    assert life.happen(Event.STOP) == (Action.TERMINATE,)
    assert life.state.phase is Phase.DRAINING
    life.happen(Event.ENDED)
    assert life.state.phase is Phase.STOPPED


def test_the_first_restart_is_immediate() -> None:
    life = started()
    life.happen(Event.ANSWERED)
    life.happen(Event.FAILED, 1)
    assert life.state.phase is Phase.BACKOFF
    assert retry_after_s(life.state, life.now_s) == 0
    assert life.happen(Event.TICK) == (Action.SPAWN,)
    assert life.state.restarts == 1


def test_later_restarts_wait_a_jittered_pause_within_its_ceiling() -> None:
    waits = set()
    for seed in range(50):
        life = Life(replace(POLICY, max_attempts=9), seed)
        life.happen(Event.START)
        life.crash(1)
        life.happen(Event.FAILED)
        wait_s = retry_after_s(life.state, life.now_s)
        assert wait_s is not None
        assert 0 <= wait_s <= 0.5
        assert life.happen(Event.TICK) == () or wait_s == 0
        waits.add(wait_s)
    assert len(waits) > 40


def test_the_third_failure_in_the_window_parks() -> None:
    life = started()
    life.crash(3)
    assert life.state.phase is Phase.PARKED
    assert len(life.spawned_s) == 3


def test_failures_older_than_the_window_do_not_count() -> None:
    life = Life(replace(POLICY, window_s=40))
    life.happen(Event.START)
    for _ in range(5):
        life.happen(Event.ANSWERED)
        life.happen(Event.FAILED, 25)
        life.tick_when_due()
        assert life.state.phase is Phase.STARTING


def test_starts_that_hang_until_they_time_out_park_too() -> None:
    life = started()
    for _ in range(POLICY.max_attempts):
        assert life.state.phase is Phase.STARTING
        life.happen(Event.FAILED, 30)
        if life.state.phase is Phase.BACKOFF:
            life.tick_when_due()
    assert life.state.phase is Phase.PARKED


def test_sustained_readiness_wipes_the_count() -> None:
    life = started()
    life.crash(2)
    life.happen(Event.ANSWERED)
    life.happen(Event.FAILED, 31)
    assert life.state.phase is Phase.BACKOFF
    assert retry_after_s(life.state, life.now_s) == 0


def test_short_readiness_does_not_wipe_the_count() -> None:
    life = started()
    for _ in range(2):
        life.happen(Event.ANSWERED)
        life.happen(Event.FAILED, 1)
        life.tick_when_due()
    life.happen(Event.ANSWERED)
    life.happen(Event.FAILED, 1)
    assert life.state.phase is Phase.PARKED


def test_a_parked_server_is_probed_after_a_minute_and_one_failure_parks_it_again() -> None:
    life = started()
    life.crash(3)
    assert life.happen(Event.TICK, 59) == ()
    assert life.happen(Event.TICK, 1) == (Action.SPAWN,)
    life.happen(Event.FAILED, 0.1)
    assert life.state.phase is Phase.PARKED
    assert retry_after_s(life.state, life.now_s) == 60


def test_a_call_wakes_a_parked_server_when_the_window_has_room() -> None:
    life = started()
    life.crash(3)
    assert life.happen(Event.WAKE, 1) == ()
    assert life.state.phase is Phase.PARKED
    assert life.happen(Event.WAKE, 60) == (Action.SPAWN,)
    life.happen(Event.ANSWERED)
    assert life.state.phase is Phase.READY
    assert not life.state.half_open


def test_many_calls_wake_it_once() -> None:
    life = started()
    life.crash(3)
    life.now_s += 61
    assert [life.happen(Event.WAKE) for _ in range(100)].count((Action.SPAWN,)) == 1


def test_the_operator_restarts_a_parked_server_at_once_and_afresh() -> None:
    life = started()
    life.crash(3)
    assert life.happen(Event.RESTART) == (Action.SPAWN,)
    life.happen(Event.FAILED, 0.1)
    assert life.state.phase is Phase.BACKOFF


def test_a_hopeless_failure_parks_at_once() -> None:
    life = started()
    life.happen(Event.HOPELESS)
    assert life.state.phase is Phase.PARKED


def test_a_restart_ends_the_old_process_before_it_starts_the_new_one() -> None:
    life = started()
    life.happen(Event.ANSWERED)
    assert life.happen(Event.RESTART) == (Action.TERMINATE,)
    assert life.happen(Event.ENDED) == (Action.SPAWN,)
    assert life.state.phase is Phase.STARTING


def test_a_stop_during_a_restart_wins() -> None:
    life = started()
    life.happen(Event.ANSWERED)
    life.happen(Event.RESTART)
    life.happen(Event.STOP)
    assert life.happen(Event.ENDED) == ()
    assert life.state.phase is Phase.STOPPED


def test_a_doubted_server_is_probed_and_keeps_the_age_of_its_readiness() -> None:
    life = started()
    life.happen(Event.ANSWERED)
    since_s = life.state.ready_since_s
    assert life.happen(Event.DOUBTED, 5) == (Action.PROBE,)
    assert life.state.phase is Phase.DEGRADED
    life.happen(Event.ANSWERED, 1)
    assert life.state.phase is Phase.READY
    assert life.state.ready_since_s == since_s


@pytest.mark.parametrize("attempts", [0, 1])
def test_one_attempt_or_none_parks_at_the_first_crash(attempts: int) -> None:
    life = Life(replace(POLICY, max_attempts=attempts))
    life.happen(Event.START)
    life.crash(1)
    assert life.state.phase is Phase.PARKED
    life.tick_when_due()
    assert life.state.phase is Phase.STARTING


def test_a_thousand_attempts_without_backoff_never_wait() -> None:
    life = Life(replace(POLICY, max_attempts=1000, backoff_max_s=0))
    life.happen(Event.START)
    life.crash(999)
    assert life.state.phase is Phase.STARTING
    assert life.now_s < 1000 + 101


events = st.lists(st.tuples(st.sampled_from(Event), st.floats(0, 90)), max_size=200)


@settings(max_examples=300, deadline=None)
@given(events, st.integers(0, 6), st.randoms(use_true_random=False))
def test_no_history_breaks_a_promise(
    history: list[tuple[Event, float]], attempts: int, chance: random.Random
) -> None:
    policy = replace(POLICY, max_attempts=attempts)
    state, now_s, living = State(), 0.0, False
    for event, after_s in history:
        now_s += after_s
        before = state
        state, actions = step(before, event, now_s, policy, chance.random)
        if (before.phase, event) not in TABLE:
            assert (state, actions) == (before, ())
        living = living and event not in (Event.FAILED, Event.HOPELESS, Event.ENDED)
        assert not (living and Action.SPAWN in actions), "two processes at once"
        living = living or Action.SPAWN in actions
        assert (state.phase in LIVING or state.phase is Phase.DRAINING) == living
        # Whoever waits knows until when, and nobody else has an alarm set.
        assert (state.due_s is not None) == (state.phase in (Phase.BACKOFF, Phase.PARKED))
        assert (state.ready_since_s is not None) or state.phase not in (Phase.READY, Phase.DEGRADED)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 5))
def test_a_crash_loop_never_starts_more_often_than_allowed_in_any_window(seed: int, attempts: int) -> None:
    chance = random.Random(seed)
    life = Life(replace(POLICY, max_attempts=attempts), seed)
    life.happen(Event.START)
    for _ in range(200):
        if life.state.phase is Phase.STARTING:
            if chance.random() < 0.3:
                life.happen(Event.ANSWERED, chance.uniform(0, 2))
            life.happen(Event.FAILED, chance.uniform(0, 5))
        elif chance.random() < 0.5:
            life.happen(Event.WAKE, chance.uniform(0, 20))
        else:
            life.tick_when_due()
    for index, start_s in enumerate(life.spawned_s):
        inside = [s for s in life.spawned_s[: index + 1] if s > start_s - POLICY.window_s]
        assert len(inside) <= attempts


@pytest.mark.parametrize("seed", range(20))
def test_parked_is_never_for_ever(seed: int) -> None:
    chance = random.Random(seed)
    life = started()
    life.crash(3)
    for _ in range(50):
        assert life.state.phase is Phase.PARKED
        life.happen(Event.WAKE, chance.uniform(0, 59))
        for _ in range(3):
            life.tick_when_due()
        assert life.state.phase is Phase.STARTING
        life.happen(Event.FAILED, chance.uniform(0, 3))
    life.tick_when_due()
    life.tick_when_due()
    life.happen(Event.ANSWERED, 1)
    assert life.state.phase is Phase.READY


def test_the_table_names_every_phase_and_every_event() -> None:
    assert {phase for phase, _ in TABLE} == set(Phase)
    assert {event for _, event in TABLE} == set(Event)


def test_a_renewal_starts_a_successor_once_and_keeps_serving() -> None:
    life = started()
    life.happen(Event.ANSWERED, 1)
    assert life.happen(Event.RENEW, 1) == (Action.RENEW,)
    assert life.happen(Event.RENEW, 1) == ()
    assert life.state.phase is Phase.READY
    assert life.happen(Event.RENEWED, 1) == ()
    assert (life.state.renewing, life.state.spawns, life.state.ready_since_s) == (False, 2, life.now_s)


def test_a_successor_that_fails_costs_the_old_one_nothing() -> None:
    life = started()
    life.happen(Event.ANSWERED, 1)
    before = life.state
    life.happen(Event.RENEW, 1)
    life.happen(Event.KEPT, 1)
    assert life.state == before
    assert life.state.phase is Phase.READY


def test_a_crash_during_a_renewal_is_a_crash() -> None:
    life = started()
    life.happen(Event.ANSWERED, 1)
    life.happen(Event.RENEW, 1)
    life.happen(Event.FAILED, 1)
    assert (life.state.phase, life.state.renewing) == (Phase.BACKOFF, False)
    assert life.happen(Event.RENEWED, 0) == ()
    assert life.state.phase is Phase.BACKOFF


@pytest.mark.parametrize("failure", [Event.HOPELESS, Event.STOP, Event.RESTART])
def test_whatever_ends_a_server_ends_its_renewal(failure: Event) -> None:
    life = started()
    life.happen(Event.ANSWERED, 1)
    life.happen(Event.RENEW, 1)
    life.happen(failure, 1)
    assert not life.state.renewing
