"""What Python sees of a limiter's decisions: levels, refusals, costs, and rates that follow the machine."""

from __future__ import annotations

import gc
import os
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

import omnimind
from omnimind.limits import Health, RateLimiter, Refusal

S = 1_000_000_000


def passed(limiter: RateLimiter, *names: str, now_ns: int = 0, asks: int = 2_000) -> int:
    return sum(limiter.try_acquire(*names, now_ns=now_ns) for _ in range(asks))


def refusal(limiter: RateLimiter, *names: str, now_ns: int = 0, cost: float = 1.0) -> Refusal:
    outcome = limiter.check(*names, cost=cost, now_ns=now_ns)
    assert not outcome
    return outcome


def test_a_second_s_worth_passes_at_once_and_then_what_comes_back() -> None:
    limiter = omnimind.RateLimiter(max_rps=100)
    assert passed(limiter) == 100
    assert passed(limiter, now_ns=S // 2) == 50


def test_should_allow_request_is_the_same_decision_by_its_first_name() -> None:
    limiter = RateLimiter(max_rps=10, burst=3)
    assert [limiter.should_allow_request("alice", now_ns=0) for _ in range(4)] == [True] * 3 + [False]
    assert limiter.should_allow_request("alice", cost=2, now_ns=S // 5)
    assert not limiter.try_acquire("alice", now_ns=S // 5)


def test_each_key_has_a_bucket_of_its_own() -> None:
    limiter = RateLimiter(max_rps=10, burst=3)
    assert [passed(limiter, key) for key in ("alice", "bob", "alice")] == [3, 3, 0]


def test_a_refusal_tells_the_exact_wait_and_the_level() -> None:
    limiter = RateLimiter(max_rps=1_000, burst=1)
    assert limiter.check("alice", now_ns=0) is True
    no = refusal(limiter, "alice", now_ns=400_000)
    assert (no.retry_after_ns, no.scope) == (600_000, "tenant")
    assert repr(no) == "Refusal(retry_after_s=0.0006, scope='tenant')"
    assert not limiter.try_acquire("alice", now_ns=400_000 + no.retry_after_ns - 1)
    assert limiter.try_acquire("alice", now_ns=400_000 + no.retry_after_ns)


def test_a_call_passes_every_level_that_it_names_or_burdens_none() -> None:
    limiter = RateLimiter(max_rps=1_000, burst=10, per_server=(10, 2), per_tool=(1, 3))
    assert passed(limiter, "alice", "files", "read") == 2
    assert refusal(limiter, "alice", "files", "read").scope == "tenant_server"
    assert passed(limiter, "bob", "files", "read") == 1
    assert refusal(limiter, "bob", "files", "read").scope == "server_tool"
    assert passed(limiter, "bob", "files", "write") == 1
    assert passed(limiter, "alice") == 8
    assert refusal(limiter, "alice", "git").scope == "tenant"


def test_a_rate_alone_has_a_second_s_worth_of_burst_at_every_level() -> None:
    limiter = RateLimiter(max_rps=None, per_server=5, per_tool=0.5)
    assert passed(limiter) == 2_000
    assert passed(limiter, "alice", "files") == 5
    assert passed(limiter, "bob", "files", "read") == 1
    assert limiter.rate_per_s is None


def test_cost_weighs_and_what_no_bucket_could_pay_is_a_mistake() -> None:
    limiter = RateLimiter(max_rps=10, burst=10)
    assert limiter.try_acquire(cost=7.5, now_ns=0)
    assert refusal(limiter, cost=5, now_ns=0).retry_after_s == 0.25
    for wrong in (10.5, -1, float("nan")):
        with pytest.raises(ValueError, match="cost"):
            limiter.try_acquire(cost=wrong)


@pytest.mark.parametrize(
    "settings",
    [
        {"max_rps": 0},
        {"burst": 0},
        {"policy": "vegas"},
        {"max_rps": None, "policy": "cpu-step"},
        {"max_rps": None, "burst": 3},
        {"health": Health},
        {"policy": "aimd", "overload": Health(cpu=90)},
        {"max_concurrent": 0},
        {"max_concurrent": 3, "concurrency": "vegas"},
        {"max_wait_s": -1},
        {"max_waiting": 0},
        {"keys": 0},
        {"per_server": -1},
        {"per_tool": (1, 0)},
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        RateLimiter(**settings)  # type: ignore[arg-type]


def test_cpu_step_is_the_rule_to_the_letter() -> None:
    cpu = 0.5
    limiter = RateLimiter(500, policy="cpu-step", health=lambda: Health(cpu=cpu))
    table = [(0.5, 500), (0.81, 250), (0.80, 250), (0.30, 250), (0.29, 1_000), (0.5, 1_000)]
    for second, (reading, rate) in enumerate(table):
        cpu = reading
        limiter.try_acquire(now_ns=second * S)
        assert limiter.rate_per_s == rate
    assert passed(limiter, "new", now_ns=20 * S) == 500
    assert passed(limiter, "new", now_ns=20 * S + S // 4) == 250


def test_aimd_halves_on_a_reading_above_the_mark_and_comes_back_step_by_step() -> None:
    now = Health(p99_s=0.5)
    limiter = RateLimiter(100, policy="aimd", health=lambda: now, overload=Health(p99_s=0.2))
    limiter.try_acquire(now_ns=0)
    assert limiter.rate_per_s == 50
    now = Health(p99_s=0.1, cpu=1.0)
    rates = [(limiter.try_acquire(now_ns=second * S), limiter.rate_per_s)[1] for second in range(1, 13)]
    assert rates == [55, 60, 65, 70, 75, 80, 85, 90, 95, 100, 100, 100]


def test_the_machine_is_looked_at_once_a_second_by_whoever_asks() -> None:
    looks = 0

    def health() -> Health:
        nonlocal looks
        looks += 1
        return Health()

    limiter = RateLimiter(policy="cpu-step", health=health)
    for ms in range(0, 2_000, 10):
        limiter.try_acquire(now_ns=ms * 1_000_000)
    assert looks == 2


@pytest.mark.parametrize("answer", [SimpleNamespace(cpu=1), Health(cpu=40), Health(p99_s=-1)])
def test_a_reading_that_fails_is_reported_and_the_rate_stays(
    answer: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda failure: reported.append(failure.exc_value))
    limiter = RateLimiter(policy="cpu-step", health=lambda: answer)  # type: ignore[arg-type, return-value]
    assert limiter.try_acquire(now_ns=0)
    assert limiter.rate_per_s == 100
    assert len(reported) == 1


def test_without_a_reading_of_yours_the_machine_s_own_is_read() -> None:
    """A second apart, with this thread at work between: some share of the CPU was in use, and the rule is followed."""
    limiter = RateLimiter(policy="cpu-step")
    assert limiter.try_acquire(now_ns=0)
    while os.times().user < 0.05:
        pass
    assert limiter.try_acquire(now_ns=S)
    assert limiter.rate_per_s in (50, 100, 200)


def test_a_limiter_has_no_thread_and_lets_go_of_its_reading() -> None:
    threads = len(os.listdir("/proc/self/task"))

    class Reading:
        limiter: RateLimiter

        def __call__(self) -> Health:
            return Health()

    reading = Reading()
    reading.limiter = RateLimiter(policy="aimd", health=reading)
    assert reading.limiter.try_acquire()
    assert len(os.listdir("/proc/self/task")) == threads
    gone = weakref.ref(reading)
    del reading
    gc.collect()
    assert gone() is None


def test_threads_together_get_no_more_than_the_burst() -> None:
    limiter = RateLimiter(max_rps=0.001, burst=5_000, per_server=(0.001, 3_000))
    started = threading.Barrier(4)

    def ask() -> int:
        started.wait()
        return sum(limiter.try_acquire("alice", "files") for _ in range(2_000))

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(lambda _: ask(), range(4))) == 3_000
