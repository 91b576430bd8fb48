"""A sample of what an answer from memory costs; with OMNIMIND_FULL=1, and by `python -m benches.hits`, in full."""

from __future__ import annotations

import os

import pytest

from benches import hits

FULL = bool(os.environ.get("OMNIMIND_FULL"))
GOES = 3
"""Both sides of a ratio are measured in turns, but other work on the machine may still fall on one of them."""
SAMPLE_BAR = 2.5
"""What a second on a busy machine can tell: a hit has not become a piece of work. The bar is asked in full."""


@pytest.mark.alone
@pytest.mark.bar
@pytest.mark.timeout(300)
def test_a_hit_costs_little_more_than_a_reply_that_nobody_thought_about() -> None:
    rounds, seconds = (14, 1.0) if FULL else (3, 0.5)
    sizes = hits.SIZES if FULL else (2_048,)
    bar = hits.CPU_BAR if FULL else SAMPLE_BAR
    for _ in range(GOES):
        result = hits.measure(
            rounds=rounds, seconds=seconds, sizes=sizes, with_long=False, only=("fixed", "hit")
        )
        print(result.table())
        if not result.misses(bar):
            return
    pytest.fail(f"{result.misses(bar)}\n{result.table()}")
