"""Loading through the cache: one loads and all get it, threads and tasks, also when that one gives up."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from omnimind.cache import Cache

WAIT_S = 10


def eventually(holds: Callable[[], bool]) -> None:
    ends = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.002)


async def soon(holds: Callable[[], bool]) -> None:
    ends = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < ends
        await asyncio.sleep(0)


def waiting(cache: Cache[str, int]) -> int:
    return sum(len(flight.waiters) for flight in cache._flights._flying.values())


def test_what_is_there_is_not_loaded() -> None:
    cache: Cache[str, int] = Cache()
    assert cache.get_or_load("key", lambda: 1) == 1
    assert cache.get_or_load("key", lambda: 2) == 1
    assert cache["key"] == 1


def test_many_threads_that_miss_load_once() -> None:
    cache: Cache[str, int] = Cache()
    calls: list[int] = []
    go = threading.Event()

    def load() -> int:
        go.wait(WAIT_S)
        calls.append(1)
        return 7

    with ThreadPoolExecutor(50) as pool:
        found = [pool.submit(cache.get_or_load, "key", load) for _ in range(50)]
        eventually(lambda: waiting(cache) == 49)
        go.set()
        assert [future.result() for future in found] == [7] * 50
    assert len(calls) == 1


def test_an_exception_goes_to_all_who_wait_and_is_not_kept() -> None:
    cache: Cache[str, int] = Cache()
    go = threading.Event()

    def fail() -> int:
        go.wait(WAIT_S)
        raise LookupError("no luck")

    with ThreadPoolExecutor(5) as pool:
        found = [pool.submit(cache.get_or_load, "key", fail) for _ in range(5)]
        eventually(lambda: waiting(cache) == 4)
        go.set()
        assert all(isinstance(future.exception(), LookupError) for future in found)
    assert cache.get_or_load("key", lambda: 1) == 1


def test_a_leader_that_is_interrupted_hands_over() -> None:
    cache: Cache[str, int] = Cache()
    go = threading.Event()

    def interrupted() -> int:
        go.wait(WAIT_S)
        raise KeyboardInterrupt

    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(cache.get_or_load, "key", interrupted)
        eventually(lambda: len(cache._flights._flying) == 1)
        others = [pool.submit(cache.get_or_load, "key", lambda: 5) for _ in range(2)]
        eventually(lambda: waiting(cache) == 2)
        go.set()
        assert isinstance(first.exception(), KeyboardInterrupt)
        assert [other.result() for other in others] == [5, 5]
    assert not cache._flights._flying


def test_a_loader_that_asks_for_its_own_key_is_told() -> None:
    cache: Cache[str, int] = Cache()

    def load() -> int:
        return cache.get_or_load("key", lambda: 1)

    with pytest.raises(RuntimeError, match="the key it is loading"):
        cache.get_or_load("key", load)
    assert cache.get_or_load("other", lambda: cache.get_or_load("key", lambda: 2)) == 2


@pytest.mark.parametrize("remove", [lambda cache: cache.delete("key"), lambda cache: cache.clear()])
def test_what_was_loaded_before_a_removal_is_not_kept_after_it(
    remove: Callable[[Cache[str, int]], object],
) -> None:
    cache: Cache[str, int] = Cache()

    def load() -> int:
        remove(cache)
        return 1

    assert cache.get_or_load("key", load) == 1
    assert cache.get("key") is None


def test_who_asks_after_a_removal_does_not_get_what_was_being_loaded_before() -> None:
    cache: Cache[str, int] = Cache()
    go = threading.Event()

    def old() -> int:
        go.wait(WAIT_S)
        return 1

    with ThreadPoolExecutor(1) as pool:
        before = pool.submit(cache.get_or_load, "key", old)
        eventually(lambda: len(cache._flights._flying) == 1)
        cache.delete("key")
        assert cache.get_or_load("key", lambda: 2) == 2
        go.set()
        assert before.result() == 1
    assert cache["key"] == 2


def test_a_value_that_was_set_meanwhile_stays() -> None:
    cache: Cache[str, int] = Cache()

    def load() -> int:
        cache["key"] = 2
        return 1

    assert cache.get_or_load("key", load) == 1
    assert cache["key"] == 2


def test_while_one_loads_anew_the_others_get_the_stale_value() -> None:
    cache: Cache[str, int] = Cache(ttl_s=0.01, stale_s=3600)
    cache["key"] = 1
    eventually(lambda: "key" not in cache)
    others: list[int] = []

    def load() -> int:
        with ThreadPoolExecutor(1) as pool:
            others.append(pool.submit(cache.get_or_load, "key", lambda: 3).result(WAIT_S))
        return 2

    assert cache.get_or_load("key", load, ttl_s=3600) == 2
    assert others == [1]
    assert cache["key"] == 2


def test_a_failed_renewal_leaves_the_stale_value_for_the_others() -> None:
    cache: Cache[str, int] = Cache(ttl_s=0.01, stale_s=3600)
    cache["key"] = 1
    eventually(lambda: "key" not in cache)

    def fail() -> int:
        raise LookupError

    with pytest.raises(LookupError):
        cache.get_or_load("key", fail)
    assert cache.look("key") == (1, False)


def test_a_thousand_tasks_that_miss_load_once() -> None:
    async def run() -> int:
        cache: Cache[str, int] = Cache()
        calls = 0

        async def load() -> int:
            nonlocal calls
            calls += 1
            await asyncio.sleep(0.01)
            return 7

        found = await asyncio.gather(*(cache.aget_or_load("key", load) for _ in range(1000)))
        assert found == [7] * 1000
        return calls

    assert asyncio.run(run()) == 1


def test_a_cancelled_leader_hands_over_and_a_cancelled_waiter_is_forgotten() -> None:
    async def run() -> None:
        cache: Cache[str, int] = Cache()
        calls = 0
        go = asyncio.Event()

        async def load() -> int:
            nonlocal calls
            calls += 1
            await go.wait()
            return calls

        tasks = [asyncio.create_task(cache.aget_or_load("key", load)) for _ in range(4)]
        await soon(lambda: waiting(cache) == 3)
        tasks[1].cancel()
        tasks[0].cancel()
        await soon(lambda: calls == 2)
        assert waiting(cache) == 1
        go.set()
        assert await asyncio.gather(*tasks[2:]) == [2, 2]
        assert all(task.cancelled() for task in tasks[:2])
        assert not cache._flights._flying

    asyncio.run(run())


def test_an_heir_that_is_cancelled_at_once_passes_the_lead_on() -> None:
    async def run() -> None:
        cache: Cache[str, int] = Cache()
        go = asyncio.Event()

        async def load() -> int:
            await go.wait()
            return 1

        tasks = [asyncio.create_task(cache.aget_or_load("key", load)) for _ in range(3)]
        await soon(lambda: waiting(cache) == 2)
        tasks[0].cancel()
        tasks[1].cancel()
        go.set()
        assert await asyncio.wait_for(tasks[2], WAIT_S) == 1
        assert not cache._flights._flying

    asyncio.run(run())


def test_a_task_waits_for_a_thread_and_a_thread_for_a_task() -> None:
    cache: Cache[str, int] = Cache()
    go = threading.Event()

    def slow() -> int:
        go.wait(WAIT_S)
        return 1

    async def quick() -> int:
        raise AssertionError("it is being loaded")

    async def run() -> None:
        thread = asyncio.to_thread(cache.get_or_load, "by a thread", slow)
        loading = asyncio.create_task(thread)
        await soon(lambda: bool(cache._flights._flying))
        task = asyncio.create_task(cache.aget_or_load("by a thread", quick))
        await soon(lambda: waiting(cache) == 1)
        go.set()
        assert (await task, await loading) == (1, 1)

        going = asyncio.Event()

        async def load() -> int:
            await going.wait()
            return 2

        leader = asyncio.create_task(cache.aget_or_load("by a task", load))
        await asyncio.sleep(0)
        follower = asyncio.create_task(asyncio.to_thread(cache.get_or_load, "by a task", slow))
        await soon(lambda: waiting(cache) == 1)
        going.set()
        assert (await leader, await follower) == (2, 2)

    asyncio.run(run())
