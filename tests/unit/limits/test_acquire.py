"""Waiting for a limiter: in order, not in vain, and leaving nothing behind."""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
from collections.abc import Awaitable, Callable
from functools import partial, wraps

import anyio
import pytest

from omnimind.errors import RefusedError
from omnimind.limits import RateLimiter
from omnimind.limits.face import PRIORITIES, Priority

pytestmark = pytest.mark.alone  # tokens come by the clock, also to who has not asked yet

CANCELS = 200_000 if os.environ.get("OMNIMIND_FULL") == "1" else 2_000


def run(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """As a plain test."""

    @wraps(test)
    def plain(*args: object) -> None:
        anyio.run(test, *args)

    return plain


async def spent(limiter: RateLimiter, key: str = "") -> RateLimiter:
    """Takes all that is there."""
    while limiter.try_acquire(key):
        pass
    return limiter


@run
async def test_who_waits_passes_when_its_token_comes_and_not_before() -> None:
    limiter = await spent(RateLimiter(max_rps=100, burst=1))
    began = time.monotonic()
    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(limiter.acquire)
    assert 0.09 <= time.monotonic() - began < 1.0


@run
async def test_the_more_urgent_passes_first_and_the_older_among_equals() -> None:
    limiter = await spent(RateLimiter(max_rps=20, burst=1))
    order: list[tuple[Priority, int]] = []

    async def ask(priority: Priority, number: int) -> None:
        await limiter.acquire(priority=priority)
        order.append((priority, number))

    wanted: list[tuple[Priority, int]] = []
    async with anyio.create_task_group() as group:
        for priority in PRIORITIES[::-1]:
            for number in range(2):
                group.start_soon(ask, priority, number)
            await anyio.lowlevel.checkpoint()
            wanted[:0] = [(priority, number) for number in range(2)]
    assert order == wanted


@run
async def test_a_key_that_asks_for_all_keeps_no_other_from_a_tool() -> None:
    limiter = RateLimiter(max_rps=None, per_tool=(20, 1))
    assert limiter.try_acquire("hog", "files", "read")
    order = []

    async def ask(key: str) -> None:
        await limiter.acquire(key, "files", "read")
        order.append(key)

    async with anyio.create_task_group() as group:
        for key in ["hog"] * 6 + ["modest"] * 2:
            group.start_soon(ask, key)
    assert order[:4].count("modest") == 2


@run
async def test_who_would_be_late_is_refused_at_once_with_the_wait_it_would_take() -> None:
    limiter = await spent(RateLimiter(max_rps=2, burst=1))
    began = time.monotonic()
    with pytest.raises(RefusedError) as caught:
        await limiter.acquire(deadline=anyio.current_time() + 0.1)
    assert time.monotonic() - began < 0.05
    assert (caught.value.reason, caught.value.scope) == ("deadline", "tenant")
    assert 0.4 < caught.value.retry_after_s <= 0.5
    assert "ask again in" in caught.value.render()


@run
async def test_the_deadline_of_the_scope_around_counts_as_its_own() -> None:
    limiter = await spent(RateLimiter(max_rps=2, burst=1))
    with anyio.fail_after(0.1), pytest.raises(RefusedError, match="deadline"):
        await limiter.acquire()


@run
async def test_nobody_waits_longer_than_the_limiter_lets_it() -> None:
    limiter = await spent(RateLimiter(max_rps=1, burst=1, max_wait_s=0.2))
    with pytest.raises(RefusedError, match="deadline"):
        await limiter.acquire()
    patient = await spent(RateLimiter(max_rps=5, burst=1, max_wait_s=60))
    await patient.acquire()


@run
async def test_more_than_may_wait_are_refused() -> None:
    limiter = await spent(RateLimiter(max_rps=20, burst=1, max_waiting=2))
    reasons: list[str] = []

    async def ask() -> None:
        try:
            await limiter.acquire()
        except RefusedError as refused:
            reasons.append(refused.reason)

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(ask)
    assert reasons == ["evicted"] * 3


@run
async def test_what_could_never_pass_raises_without_waiting() -> None:
    limiter = await spent(RateLimiter(max_rps=10, burst=2))
    with pytest.raises(ValueError, match="above the burst"):
        await limiter.acquire(cost=3)


@run
async def test_a_cancelled_waiter_leaves_its_turn_to_the_next_also_when_it_kept_the_time() -> None:
    limiter = await spent(RateLimiter(max_rps=20, burst=1))
    passed = []

    async def ask(number: int) -> None:
        await limiter.acquire()
        passed.append((number, time.monotonic() - began))

    began = time.monotonic()
    async with anyio.create_task_group() as group, anyio.create_task_group() as first:
        first.start_soon(ask, 0)
        await anyio.sleep(0.005)
        group.start_soon(ask, 1)
        await anyio.sleep(0.005)
        first.cancel_scope.cancel()
    [(number, after_s)] = passed
    assert number == 1
    assert after_s < 0.09
    assert sum(limiter.live().waiting.values()) == 0


@run
async def test_who_comes_later_and_needs_less_time_wakes_the_one_that_keeps_it() -> None:
    limiter = RateLimiter(max_rps=1, burst=1, per_tool=(50, 1))
    await spent(limiter, "slow")
    assert limiter.try_acquire("other", "files", "read")
    async with anyio.create_task_group() as group:
        group.start_soon(limiter.acquire, "slow")
        await anyio.sleep(0.01)
        began = time.monotonic()
        await limiter.acquire("third", "files", "read")
        assert time.monotonic() - began < 0.3
        group.cancel_scope.cancel()


@run
async def test_permits_are_exact() -> None:
    limiter = RateLimiter(max_rps=None, max_concurrent=3)
    inside = most = 0

    async def work() -> None:
        nonlocal inside, most
        async with limiter.permit():
            inside += 1
            most = max(most, inside)
            await anyio.sleep(0.001)
            inside -= 1

    async with anyio.create_task_group() as group:
        for _ in range(50):
            group.start_soon(work)
    assert most == 3
    assert limiter.live().in_flight == 0


@run
async def test_a_permit_is_given_back_once_by_whatever_ends_its_block() -> None:
    limiter = RateLimiter(max_rps=None, max_concurrent=1)
    for error in (KeyError, TimeoutError):
        with pytest.raises(error):
            async with limiter.permit():
                raise error
    with anyio.move_on_after(0.01):
        async with limiter.permit():
            await anyio.sleep_forever()
    permit = await limiter.acquire()
    permit.release()
    second = await limiter.acquire()
    permit.release()
    permit.cancel()
    assert limiter.live().in_flight == 1
    second.release(dropped=True)
    assert limiter.live().in_flight == 0


@run
async def test_a_permit_given_in_the_moment_of_a_cancel_is_given_back() -> None:
    limiter = RateLimiter(max_rps=None, max_concurrent=1)
    held = await limiter.acquire()
    waiting = asyncio.create_task(limiter.acquire())
    await asyncio.sleep(0.01)
    held.release()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert limiter.live().in_flight == 0


@run
async def test_who_comes_late_does_not_pass_who_waits_though_a_token_lies_there() -> None:
    limiter = await spent(RateLimiter(max_rps=10, burst=1))
    order = []

    async def ask(name: str) -> None:
        await limiter.acquire()
        order.append(name)

    async with anyio.create_task_group() as group:
        group.start_soon(ask, "first")
        await anyio.sleep(0.01)
        time.sleep(0.12)  # noqa: ASYNC251 -- the loop is busy when the token comes
        await ask("second")
    assert order == ["first", "second"]


@run
async def test_it_shows_who_waits_for_a_rate_and_who_for_a_permit() -> None:
    limiter = RateLimiter(max_rps=1, burst=1, max_concurrent=1)
    await limiter.acquire("one")
    async with anyio.create_task_group() as group:
        group.start_soon(partial(limiter.acquire, "one", priority="system"))
        group.start_soon(partial(limiter.acquire, "two", priority="background"))
        await anyio.sleep(0.01)
        live = limiter.live()
        assert live.waiting == {"system": 1, "interactive": 0, "normal": 0, "background": 1}
        assert (live.limit, live.in_flight, live.rate_per_s) == (1, 1, 1)
        group.cancel_scope.cancel()
    assert sum(limiter.live().waiting.values()) == 0


@run
async def test_cancels_at_random_moments_lose_no_permit_and_no_place() -> None:
    limiter = RateLimiter(max_rps=3_000, burst=20, max_concurrent=4, max_wait_s=0.05)
    chance = random.Random(7)
    inside = 0

    async def work(patience_s: float, hold_s: float, priority: Priority) -> None:
        nonlocal inside
        with anyio.move_on_after(patience_s):
            try:
                async with limiter.permit(chance.choice("abc"), priority=priority):
                    inside += 1
                    assert inside <= 4
                    try:
                        await anyio.sleep(hold_s)
                    finally:
                        inside -= 1
            except RefusedError:
                pass

    async with anyio.create_task_group() as group:
        for _ in range(CANCELS):
            priority: Priority = chance.choice(("system", "interactive", "normal", "background"))
            group.start_soon(work, chance.random() * 0.02, chance.random() * 0.004, priority)
            if chance.random() < 0.1:
                await anyio.sleep(chance.random() * 0.003)
    live = limiter.live()
    assert (live.in_flight, sum(live.waiting.values())) == (0, 0)
    async with anyio.create_task_group() as group, anyio.create_task_group() as inner:
        held = [await limiter.acquire() for _ in range(4)]
        inner.start_soon(_release_all, held)
        group.start_soon(limiter.acquire)


async def _release_all(held: list[object]) -> None:
    for permit in held:
        permit.release()  # type: ignore[attr-defined]


@run
async def test_gradient_lets_more_in_flight_where_calls_do_not_slow_down() -> None:
    limiter = RateLimiter(max_rps=None, max_concurrent=100, concurrency="gradient", max_wait_s=5)
    before = limiter.live().limit

    async def work() -> None:
        for _ in range(25):
            async with limiter.permit():
                await anyio.sleep(0.01)

    async with anyio.create_task_group() as group:
        for _ in range(60):
            group.start_soon(work)
    assert before == 16
    limit = limiter.live().limit
    assert limit is not None
    assert limit > 16


@run
async def test_a_task_of_another_loop_is_told_so_before_anything_has_happened() -> None:
    limiter = RateLimiter(max_rps=None, max_concurrent=1)
    held = await limiter.acquire()
    told: list[str] = []

    def elsewhere() -> None:
        try:
            anyio.run(limiter.acquire)
        except RuntimeError as error:
            told.append(str(error))

    async with anyio.create_task_group() as group:
        group.start_soon(limiter.acquire)
        await anyio.sleep(0.01)
        thread = threading.Thread(target=elsewhere)
        thread.start()
        await anyio.to_thread.run_sync(thread.join)
        held.release()
    assert told == ["tasks of another event loop wait for this limiter"]
    live = limiter.live()
    assert (live.in_flight, sum(live.waiting.values())) == (1, 0)
