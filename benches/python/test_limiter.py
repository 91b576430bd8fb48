"""What one decision of the limiter costs from Python: one key, three levels, a rate that follows the machine, a no."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from omnimind.limits import RateLimiter

Benchmark = Callable[..., Any]
HIGH = (1e9, 1e9)
THREE = ("alice", "filesystem", "read_text_file")


@pytest.mark.benchmark(group="limiter")
def test_one_key(benchmark: Benchmark) -> None:
    assert benchmark(RateLimiter(1e9).try_acquire, "alice")


@pytest.mark.benchmark(group="limiter")
def test_three_levels(benchmark: Benchmark) -> None:
    assert benchmark(RateLimiter(1e9, per_server=HIGH, per_tool=HIGH).try_acquire, *THREE)


@pytest.mark.benchmark(group="limiter")
def test_three_levels_that_follow_the_machine(benchmark: Benchmark) -> None:
    limiter = RateLimiter(1e9, policy="aimd", per_server=HIGH, per_tool=HIGH)
    assert benchmark(limiter.try_acquire, *THREE)


@pytest.mark.benchmark(group="limiter")
def test_refuse_with_the_wait(benchmark: Benchmark) -> None:
    limiter = RateLimiter(0.001, burst=1)
    assert limiter.check("alice")
    assert not benchmark(limiter.check, "alice")
