"""A sample of the pass-through bar; with OMNIMIND_FULL=1, and by `python -m benches.passthrough`, in full."""

from __future__ import annotations

import os

import pytest

from benches import passthrough

FULL = bool(os.environ.get("OMNIMIND_FULL"))


@pytest.mark.bar
@pytest.mark.timeout(300)
def test_the_gateway_keeps_up_with_nginx_as_far_as_the_bar_asks() -> None:
    rounds, seconds = (7, 4.0) if FULL else (3, 1.5)
    result = passthrough.measure(rounds=rounds, seconds=seconds, only=("nginx", "gateway to http"))
    print(result.table())
    assert not result.misses(), f"{result.misses()}\n{result.table()}"
