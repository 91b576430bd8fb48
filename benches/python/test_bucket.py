"""What one decision of the token bucket costs from Python, with the clock read unless an instant is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from omnimind.limits import TokenBucket

Benchmark = Callable[..., Any]


@pytest.mark.benchmark(group="token bucket")
def test_admit(benchmark: Benchmark) -> None:
    bucket = TokenBucket(rate_per_s=1e9, burst=1e9)
    assert benchmark(bucket.try_take)


@pytest.mark.benchmark(group="token bucket")
def test_admit_at_a_given_instant(benchmark: Benchmark) -> None:
    bucket = TokenBucket(rate_per_s=1e9, burst=1e9)
    assert benchmark(bucket.try_take, now_ns=1_000_000_000)


@pytest.mark.benchmark(group="token bucket")
def test_refuse(benchmark: Benchmark) -> None:
    bucket = TokenBucket(rate_per_s=0.001, burst=1)
    assert bucket.try_take()
    assert not benchmark(bucket.try_take)


@pytest.mark.benchmark(group="token bucket")
def test_three_levels(benchmark: Benchmark) -> None:
    tenant, server, tool = (TokenBucket(rate_per_s=1e9, burst=1e9) for _ in range(3))

    def admit() -> bool:
        return bool(tenant.try_take() and server.try_take() and tool.try_take())

    assert benchmark(admit)
