"""A sample of the pass-through bar; with OMNIMIND_FULL=1, and by `python -m benches.passthrough`, in full."""

from __future__ import annotations

import os

import pytest

from benches import passthrough

FULL = bool(os.environ.get("OMNIMIND_FULL"))
GOES = 3
"""Both sides of a ratio are measured in turns, but other work on the machine may still fall on one of them."""


@pytest.mark.alone
@pytest.mark.bar
@pytest.mark.timeout(300)
def test_the_gateway_keeps_up_with_nginx_as_far_as_the_bar_asks() -> None:
    rounds, seconds = (7, 4.0) if FULL else (3, 1.5)
    for _ in range(GOES):
        result = passthrough.measure(rounds=rounds, seconds=seconds, only=("nginx", "gateway to http"))
        print(result.table())
        if not result.misses():
            return
    pytest.fail(f"{result.misses()}\n{result.table()}")
