"""What one decision of the token bucket costs from Python, beside a look-up; it reads the clock, or is told."""

from __future__ import annotations

import pytest

from benches.python.rounds import Beside, Call
from omnimind.limits import TokenBucket


@pytest.mark.benchmark(group="token bucket")
def test_admit(beside: Beside, lookup: Call) -> None:
    assert beside(TokenBucket(rate_per_s=1e9, burst=1e9).try_take, lookup)


@pytest.mark.benchmark(group="token bucket")
def test_admit_at_a_given_instant(beside: Beside, lookup: Call) -> None:
    bucket = TokenBucket(rate_per_s=1e9, burst=1e9)
    assert beside(lambda: bucket.try_take(now_ns=1_000_000_000), lookup)


@pytest.mark.benchmark(group="token bucket")
def test_refuse(beside: Beside, lookup: Call) -> None:
    bucket = TokenBucket(rate_per_s=0.001, burst=1)
    assert bucket.try_take()
    assert not beside(bucket.try_take, lookup)


@pytest.mark.benchmark(group="token bucket")
def test_three_levels(beside: Beside, lookup: Call) -> None:
    tenant, server, tool = (TokenBucket(rate_per_s=1e9, burst=1e9) for _ in range(3))

    def admit() -> bool:
        return bool(tenant.try_take() and server.try_take() and tool.try_take())

    assert beside(admit, lookup)
