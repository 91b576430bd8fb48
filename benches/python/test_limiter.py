"""What one decision of the limiter costs from Python, beside a look-up: one key, three levels, a rate that follows
the machine, a no."""

from __future__ import annotations

import pytest

from benches.python.rounds import Beside, Call
from omnimind.limits import RateLimiter

HIGH = (1e9, 1e9)
THREE = ("alice", "filesystem", "read_text_file")


@pytest.mark.benchmark(group="limiter")
def test_one_key(beside: Beside, lookup: Call) -> None:
    limiter = RateLimiter(1e9)
    assert beside(lambda: limiter.try_acquire("alice"), lookup)


@pytest.mark.benchmark(group="limiter")
def test_three_levels(beside: Beside, lookup: Call) -> None:
    limiter = RateLimiter(1e9, per_server=HIGH, per_tool=HIGH)
    assert beside(lambda: limiter.try_acquire(*THREE), lookup)


@pytest.mark.benchmark(group="limiter")
def test_three_levels_that_follow_the_machine(beside: Beside, lookup: Call) -> None:
    limiter = RateLimiter(1e9, policy="aimd", per_server=HIGH, per_tool=HIGH)
    assert beside(lambda: limiter.try_acquire(*THREE), lookup)


@pytest.mark.benchmark(group="limiter")
def test_refuse_with_the_wait(beside: Beside, lookup: Call) -> None:
    limiter = RateLimiter(0.001, burst=1)
    assert limiter.check("alice")
    assert not beside(lambda: limiter.check("alice"), lookup)
