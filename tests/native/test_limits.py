"""What Python sees of the token bucket."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from omnimind.limits import Refusal, TokenBucket

MS = 1_000_000


def admitted(bucket: TokenBucket, *, now_ns: int, asks: int = 1000) -> int:
    return sum(bool(bucket.try_take(now_ns=now_ns)) for _ in range(asks))


def refusal(bucket: TokenBucket, *, now_ns: int, cost: float = 1.0) -> Refusal:
    outcome = bucket.try_take(cost, now_ns=now_ns)
    assert not outcome
    return outcome


def test_a_new_bucket_admits_its_burst_and_then_refuses() -> None:
    bucket = TokenBucket(rate_per_s=10, burst=5)
    assert admitted(bucket, now_ns=0) == 5
    assert bucket.try_take(now_ns=0) is not True


def test_a_refusal_is_false_and_tells_the_exact_wait() -> None:
    bucket = TokenBucket(1000, 1)
    assert bucket.try_take(now_ns=0) is True
    no = refusal(bucket, now_ns=400_000)
    assert no.retry_after_ns == 600_000
    assert no.retry_after_s == pytest.approx(0.0006)
    assert not bucket.try_take(now_ns=400_000 + no.retry_after_ns - 1)
    assert bucket.try_take(now_ns=400_000 + no.retry_after_ns)


def test_refusals_that_say_the_same_are_equal() -> None:
    bucket = TokenBucket(1000, 1)
    bucket.try_take(now_ns=0)
    first, second, later = refusal(bucket, now_ns=0), refusal(bucket, now_ns=0), refusal(bucket, now_ns=1)
    assert first == second
    assert hash(first) == hash(second)
    assert first != later
    assert repr(first) == "Refusal(retry_after_s=0.001)"


def test_cost_weighs() -> None:
    bucket = TokenBucket(1000, 10)
    assert bucket.try_take(7.5, now_ns=0)
    assert refusal(bucket, cost=5, now_ns=0).retry_after_ns == 2_500_000
    assert bucket.try_take(2.5, now_ns=0)
    assert bucket.try_take(0, now_ns=0)


def test_a_changed_rate_counts_at_once_and_returns_no_tokens() -> None:
    bucket = TokenBucket(100, 10)
    assert admitted(bucket, now_ns=0) == 10
    bucket.set_rate(1, now_ns=0)
    assert (bucket.rate_per_s, bucket.burst) == (1, 10)
    assert admitted(bucket, now_ns=999 * MS) == 0
    bucket.set_rate(1000, 20, now_ns=999 * MS)
    assert (bucket.rate_per_s, bucket.burst) == (1000, 20)
    assert admitted(bucket, now_ns=999 * MS) == 10
    assert repr(bucket) == "TokenBucket(rate_per_s=1000.0, burst=20.0)"


def test_available_says_what_could_be_taken() -> None:
    bucket = TokenBucket(10, 4)
    assert bucket.available(now_ns=0) == pytest.approx(4)
    bucket.try_take(3, now_ns=0)
    assert bucket.available(now_ns=0) == pytest.approx(1)
    assert bucket.available(now_ns=100 * MS) == pytest.approx(2)


def test_without_an_instant_the_bucket_reads_the_clock_itself() -> None:
    slow, fast = TokenBucket(0.001, 1), TokenBucket(1e9, 1)
    assert slow.try_take()
    assert not slow.try_take()
    outcome = slow.try_take()
    assert not outcome
    assert 990 < outcome.retry_after_s <= 1000
    assert all(fast.try_take() for _ in range(100))


@pytest.mark.parametrize(
    ("rate", "burst"), [(0, 1), (-1, 1), (2e9, 1), (1, 0), (1, -1), (1, 1e30), (1e-12, 1)]
)
def test_numbers_that_make_no_limit_are_refused(rate: float, burst: float) -> None:
    with pytest.raises(ValueError, match=r"rate must|burst must|full bucket"):
        TokenBucket(rate, burst)
    bucket = TokenBucket(5, 6)
    with pytest.raises(ValueError, match=r"rate must|burst must|full bucket"):
        bucket.set_rate(rate, burst)
    assert (bucket.rate_per_s, bucket.burst) == (5, 6)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf"), -1.0])
def test_a_number_that_is_no_cost_is_refused(number: float) -> None:
    bucket = TokenBucket(1, 1)
    with pytest.raises(ValueError, match="cost"):
        bucket.try_take(number, now_ns=0)
    assert bucket.available(now_ns=0) == pytest.approx(1)


def test_a_cost_above_the_burst_is_a_mistake_and_raises() -> None:
    bucket = TokenBucket(1, 2)
    with pytest.raises(ValueError, match="could never be admitted"):
        bucket.try_take(2.5, now_ns=0)
    assert bucket.try_take(2, now_ns=0)


def test_threads_together_get_the_burst_and_not_one_more() -> None:
    bucket = TokenBucket(0.001, 5000)
    ready = threading.Barrier(8)

    def take() -> int:
        ready.wait()
        return admitted(bucket, now_ns=0, asks=2000)

    with ThreadPoolExecutor(8) as pool:
        takers = [pool.submit(take) for _ in range(8)]
        assert sum(taker.result() for taker in takers) == 5000


IMPORT_COST = """
import time
start = time.perf_counter()
import omnimind._core
print(time.perf_counter() - start, len(__import__("os").listdir("/proc/self/task")))
"""


def test_importing_the_core_is_quick_and_starts_no_thread() -> None:
    costs = []
    for _ in range(5):
        run = subprocess.run([sys.executable, "-c", IMPORT_COST], check=True, capture_output=True, text=True)
        seconds, threads = run.stdout.split()
        assert int(threads) == 1
        costs.append(float(seconds))
    assert min(costs) <= 0.010, costs
