"""A sample of the overload bar; with OMNIMIND_FULL=1, and by `python -m benches.overload`, in full."""

from __future__ import annotations

import os

import pytest

from benches import overload

FULL = bool(os.environ.get("OMNIMIND_FULL"))
GOES = 3 if FULL else 2
"""Capacity and goodput are measured one after the other: other work on the machine may fall on one of them."""
SAMPLE_BAR = 0.8
"""A few seconds hold two thousand answers in time, and the limit has just come down; without one some 0.01 are left."""
SAMPLE_DOOR_MS = 5.0
"""Of a refusal in two: on a machine where others compile, the scheduler alone takes longer with one in a hundred."""


@pytest.mark.alone
@pytest.mark.bar
@pytest.mark.timeout(600)
def test_at_five_times_the_load_a_server_does_what_it_does_at_once_and_who_is_refused_knows_at_once() -> None:
    for _ in range(GOES):
        rounds = overload.measure(
            rounds=3 if FULL else 1,
            seconds=15.0 if FULL else 9.0,
            kinds=overload.KINDS if FULL else (overload.SLEEPS,),
        )
        print(overload.table(rounds))
        missed = overload.misses(rounds) if FULL else sample_misses(rounds[0])
        if not missed:
            return
    pytest.fail(f"{missed}\n{overload.table(rounds)}")


def sample_misses(one: overload.Round) -> list[str]:
    checks = [
        (one.ratio >= SAMPLE_BAR, f"goodput {one.ratio:.2f} of capacity, at least {SAMPLE_BAR}"),
        (not one.inversions, f"served worse: {one.inversions}"),
        (one.over.door_ms["count"] > 1_000, f"only {one.over.door_ms['count']:.0f} refused at the door"),
        (one.over.door_ms["p50"] < SAMPLE_DOOR_MS, f"a refusal took {one.over.door_ms['p50']:.1f} ms"),
        (one.open_ratio < one.ratio / 2, f"without a limit {one.open_ratio:.2f}: this was no overload"),
    ]
    return [text for met, text in checks if not met]
