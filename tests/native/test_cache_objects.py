"""What Python sees of the cache in memory: objects by reference, bounded, timed, counted."""

from __future__ import annotations

import gc
import sys
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omnimind import Cache

TICK_S = 0.02


def eventually(holds: Callable[[], bool], within_s: float = 5.0) -> bool:
    ends = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > ends:
            return False
        time.sleep(0.002)
    return True


class Thing:
    """Something that can be watched."""


def test_what_was_set_is_found_and_is_the_same_object() -> None:
    cache: Cache[str, object] = Cache()
    value = Thing()
    assert cache.set("key", value)
    assert cache.get("key") is value
    assert cache["key"] is value
    assert "key" in cache
    assert len(cache) == 1
    assert cache.get("other") is None
    assert cache.get("other", 7) == 7


def test_none_is_a_value() -> None:
    cache: Cache[str, None] = Cache()
    cache["key"] = None
    assert cache.get("key", "nothing there") is None


def test_equal_keys_are_one_key_and_text_is_not_bytes() -> None:
    cache: Cache[str, int] = Cache()
    both: Cache[bytes, int] = cache  # type: ignore[assignment]
    cache["".join(["ke", "y"])] = 1
    both[b"key"] = 2
    cache["schlüssel"] = 3
    cache["\udcff"] = 4
    assert (cache["key"], both[b"key"], cache["schl" + "üssel"], cache["\udcff"]) == (1, 2, 3, 4)


class Name(StrEnum):
    KEY = "key"


@pytest.mark.parametrize("key", [1, None, ("a",), 1.5, bytearray(b"key"), Name.KEY, object()])
def test_only_text_and_bytes_are_keys_and_no_code_of_others_is_run(key: object) -> None:
    cache: Cache[str, int] = Cache()
    calls: list[Callable[[], object]] = [
        lambda: cache.get(key),  # type: ignore[call-overload]
        lambda: cache.set(key, 1),  # type: ignore[type-var]
        lambda: cache.delete(key),  # type: ignore[type-var]
        lambda: cache[key],  # type: ignore[type-var]
        lambda: key in cache,
    ]
    for call in calls:
        with pytest.raises(TypeError, match="a key is a str or bytes, not"):
            call()
    assert len(cache) == 0


def test_get_takes_a_key_and_a_default_and_no_more() -> None:
    cache: Cache[str, int] = Cache()
    with pytest.raises(TypeError, match="get expected 1 or 2 arguments, got 0"):
        cache.get()  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="got 3"):
        cache.get("a", 1, 2)  # type: ignore[call-overload]
    with pytest.raises(TypeError):
        Cache.get("not a cache", "key")  # type: ignore[call-overload]


def test_a_missing_key_is_a_key_error_and_can_be_deleted_in_peace() -> None:
    cache: Cache[str, int] = Cache()
    with pytest.raises(KeyError, match="gone"):
        cache["gone"]
    with pytest.raises(KeyError, match="gone"):
        del cache["gone"]
    assert cache.delete("gone") is False
    cache["there"] = 1
    del cache["there"]
    assert cache.delete("there") is False


def test_the_number_of_entries_is_bounded() -> None:
    cache: Cache[str, int] = Cache(max_items=10)
    for number in range(100):
        cache[str(number)] = number
        assert len(cache) <= 10
    assert len(cache) == 10
    assert cache.stats()["ram"].evictions == 90


def test_a_thousand_entries_unless_said_otherwise() -> None:
    cache: Cache[str, int] = Cache()
    for number in range(1_500):
        cache[str(number)] = number
    assert len(cache) == 1_000


def test_bytes_are_bounded_and_text_and_bytes_weigh_their_length() -> None:
    cache: Cache[str, bytes | str] = Cache(max_bytes=1_000, max_items=1_000)
    for number in range(100):
        cache[str(number)] = b"x" * 90 if number % 2 else "y" * 90
        assert cache.stats()["ram"].bytes <= 1_000
    assert len(cache) == 11


def test_what_is_heavier_than_an_eighth_is_not_kept_and_nor_is_what_it_replaces() -> None:
    cache: Cache[str, bytes] = Cache(max_bytes=800)
    assert cache.set("key", b"x" * 100)
    assert not cache.set("key", b"x" * 101)
    assert cache.get("key") is None
    assert cache.stats()["ram"].refused == 1


def test_weights_are_given_or_asked_for() -> None:
    cache: Cache[str, list[int]] = Cache(max_bytes=80, weigher=len)
    assert cache.set("a", [1] * 10)
    assert not cache.set("b", [1] * 11)
    assert cache.set("c", [1] * 11, weight=3)
    assert cache.stats()["ram"].bytes == 13


def test_an_entry_that_grows_makes_others_leave() -> None:
    cache: Cache[str, int] = Cache(max_bytes=80, weigher=lambda value: value)
    for name in "abcdefgh":
        cache[name] = 2
    for _ in range(8):
        cache["a"] = 10
        cache["b"] = 10
    assert cache.stats()["ram"].bytes <= 80


def test_a_weigher_that_fails_leaves_all_as_it_was() -> None:
    cache: Cache[str, int] = Cache(weigher=lambda value: 1 // value)
    cache["key"] = 1
    with pytest.raises(ZeroDivisionError):
        cache["key"] = 0
    assert cache["key"] == 1


def test_a_value_is_fresh_for_its_time_and_no_longer() -> None:
    cache: Cache[str, int] = Cache(ttl_s=TICK_S)
    cache["key"] = 1
    cache.set("long", 2, ttl_s=3600)
    cache.set("ever", 3, ttl_s=float("inf"))
    assert cache.get("key") == 1
    assert eventually(lambda: cache.get("key") is None)
    assert "key" not in cache
    assert (cache["long"], cache["ever"]) == (2, 3)


def test_a_stale_value_is_seen_by_who_looks_for_it() -> None:
    cache: Cache[str, int] = Cache(ttl_s=TICK_S, stale_s=3600)
    cache["key"] = 1
    assert cache.look("key") == (1, True)
    assert eventually(lambda: cache.get("key") is None)
    assert cache.look("key") == (1, False)
    assert cache.look("other") is None


def test_what_has_ended_gives_its_room_back_without_being_asked_for() -> None:
    cache: Cache[str, int] = Cache(max_items=100)
    for number in range(50):
        cache.set(str(number), number, ttl_s=TICK_S)

    def another() -> bool:
        cache["live"] = 1
        return len(cache) == 1

    assert eventually(another)
    assert cache.stats()["ram"].evictions == 0


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_a_time_that_is_none_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="ttl_s must be above 0"):
        Cache[str, int](ttl_s=seconds)
    with pytest.raises(ValueError, match="ttl_s must be above 0"):
        Cache[str, int]().set("key", 1, ttl_s=seconds)


def test_each_look_is_counted_once() -> None:
    cache: Cache[str, int] = Cache(ttl_s=TICK_S, stale_s=3600)
    cache["key"] = 1
    assert cache.get("key") == 1
    assert cache["key"] == 1
    assert cache.get("other") is None
    assert eventually(lambda: "key" not in cache)
    assert cache.get("key") is None
    assert cache.look("key") == (1, False)
    stats = cache.stats()["ram"]
    assert (stats.hits, stats.stale_hits, stats.misses, stats.inserts) == (3, 1, 2, 1)


def test_what_leaves_is_let_go_at_once() -> None:
    cache: Cache[str, Thing] = Cache(max_items=2)
    seen: list[weakref.ref[Thing]] = []
    for number in range(20):
        thing = Thing()
        seen.append(weakref.ref(thing))
        cache[str(number)] = thing
        del thing
        assert sum(ref() is not None for ref in seen) <= 2
    cache.clear()
    assert not any(ref() for ref in seen)


def test_a_value_that_uses_the_cache_when_it_ends_finds_it_whole() -> None:
    cache: Cache[str, object] = Cache(max_items=4)
    ends: list[object] = []

    class Meddler:
        def __del__(self) -> None:
            cache.set("from the end", len(ends))
            cache.delete("x")
            ends.append(cache.get("from the end"))

    for number in range(50):
        cache[str(number)] = Meddler()
    cache.clear()
    gc.collect()
    assert len(ends) == 50
    assert len(cache) <= 4


def test_a_cycle_through_a_cache_is_collected() -> None:
    cache: Cache[str, object] = Cache()
    thing = Thing()
    thing.cache = cache  # type: ignore[attr-defined]
    cache["thing"] = thing
    gone = weakref.ref(thing)
    del cache, thing
    gc.collect()
    assert gone() is None


def test_references_are_neither_lost_nor_kept() -> None:
    cache: Cache[str, object] = Cache(max_items=50)
    value, key = object(), "".join(["a", " key"])
    before = sys.getrefcount(value), sys.getrefcount(key)
    for _ in range(1_000):
        cache[key] = value
        cache.get(key)
        cache.get(key, value)
        cache.get("nothing", value)
        cache.look(key)
        cache.delete(key)
    assert (sys.getrefcount(value), sys.getrefcount(key)) == before


def test_threads_see_only_what_was_set() -> None:
    cache: Cache[str, str] = Cache(max_items=64)

    def work(seed: int) -> int:
        wrong = 0
        for step in range(4_000):
            key = str((step * 7 + seed) % 200)
            if (value := cache.get(key)) is not None:
                wrong += value != f"value of {key}"
            else:
                cache[key] = f"value of {key}"
            if step % 50 == 0:
                cache.delete(key)
        return wrong

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(work, range(8))) == 0
    assert len(cache) <= 64
    stats = cache.stats()["ram"]
    assert stats.hits + stats.misses == 32_000


Step = tuple[str, str, int]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["set", "get", "delete", "clear"]),
        st.sampled_from("abcdefghijklmnop"),
        st.integers(0, 9),
    ),
    max_size=200,
)


@settings(max_examples=100, deadline=None)
@given(STEPS, st.integers(1, 12), st.integers(8, 100))
def test_any_history_holds_the_bounds_and_never_finds_what_is_not_there(
    steps: list[Step], max_items: int, max_bytes: int
) -> None:
    cache: Cache[str, int] = Cache(max_items=max_items, max_bytes=max_bytes, weigher=lambda value: value)
    model: dict[str, int] = {}
    for what, key, value in steps:
        if what == "set":
            kept = cache.set(key, value)
            assert kept == (value <= max(max_bytes // 8, 1))
            model[key] = value
            if not kept:
                del model[key]
        elif what == "get":
            assert cache.get(key, model.get(key)) == model.get(key)
        elif what == "delete":
            cache.delete(key)
            model.pop(key, None)
        else:
            cache.clear()
            model.clear()
        stats = cache.stats()["ram"]
        assert stats.entries == len(cache) <= max_items
        assert stats.bytes <= max_bytes
        assert stats.bytes == sum(model[name] for name in model if name in cache)
    assert all(name not in cache for name in "abcdefghijklmnop" if name not in model)
