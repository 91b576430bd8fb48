"""A sample of the pass-through bar; `make bench` and `python -m benches.passthrough` run it in full."""

from __future__ import annotations

import pytest

from benches import passthrough


@pytest.mark.bar
@pytest.mark.timeout(120)
def test_the_gateway_keeps_up_with_nginx_as_far_as_the_bar_asks() -> None:
    result = passthrough.measure(rounds=3, seconds=1.5, only=("nginx", "gateway to http"))
    print(result.table())
    assert not result.misses(), f"{result.misses()}\n{result.table()}"
