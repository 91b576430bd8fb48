"""The memoizing decorator: equal calls of plain arguments, and nothing taken for equal that is not."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnimind.cache import MSGPACK, Cache, spelling


def test_equal_calls_are_answered_from_the_cache() -> None:
    cache: Cache[bytes, Any] = Cache()
    calls: list[tuple[int, str]] = []

    @cache.memoize()
    def join(number: int, word: str = "x") -> str:
        """Joins."""
        calls.append((number, word))
        return f"{number}{word}"

    assert [join(1), join(1), join(2), join(1, word="y"), join(1, word="y")] == ["1x", "1x", "2x", "1y", "1y"]
    assert calls == [(1, "x"), (2, "x"), (1, "y")]
    assert (join.__name__, join.__doc__) == ("join", "Joins.")


def test_coroutine_functions_are_memoized_too() -> None:
    cache: Cache[bytes, Any] = Cache()
    calls: list[int] = []

    @cache.memoize(ttl_s=60)
    async def double(number: int) -> int:
        calls.append(number)
        await asyncio.sleep(0)
        return number * 2

    async def run() -> list[int]:
        return await asyncio.gather(*(double(number % 3) for number in range(30)))

    assert asyncio.run(run()) == [number % 3 * 2 for number in range(30)]
    assert sorted(calls) == [0, 1, 2]


def test_what_has_no_plain_arguments_is_refused_unless_it_names_its_key() -> None:
    cache: Cache[str, Any] = Cache()

    @cache.memoize()
    def name(path: Path) -> str:
        return path.name

    with pytest.raises(TypeError, match="no key can be made of a PosixPath; pass key="):
        name(Path("a"))
    assert len(cache) == 0

    @cache.memoize(key=lambda path: str(path))
    def size(path: Path) -> int:
        return len(str(path))

    assert size(Path("abc")) == 3
    assert cache["abc"] == 3


def test_two_functions_of_one_name_are_two() -> None:
    cache: Cache[bytes, Any] = Cache()

    def made(factor: int) -> Any:
        @cache.memoize()
        def scale(number: int) -> int:
            return number * factor

        return scale

    assert (made(2)(5), made(3)(5)) == (10, 15)


def test_a_call_can_be_deleted() -> None:
    cache: Cache[bytes, Any] = Cache()
    calls: list[int] = []

    @cache.memoize()
    def load(number: int) -> int:
        calls.append(number)
        return number

    load(1)
    assert cache.delete(load.key_of(1))  # type: ignore[attr-defined]
    load(1)
    assert calls == [1, 1]


def test_a_cache_that_lasts_takes_only_functions_with_a_lasting_name(tmp_path: Path) -> None:
    with Cache(("ram", "disk"), folder=tmp_path, codec=MSGPACK) as cache:
        cache.memoize()(math.gcd)
        with pytest.raises(ValueError, match="no name that lasts"):
            cache.memoize()(lambda number: number)


def test_what_lasts_is_found_by_the_next_cache(tmp_path: Path) -> None:
    for expected in (0, 1):
        with Cache(("ram", "disk"), folder=tmp_path, codec=MSGPACK) as cache:
            assert cache.memoize()(math.gcd)(12, 18) == 6
            assert cache.stats()["disk"].hits == expected


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


def shape(value: Any) -> Any:
    """Equal only for what is the same to the last type."""
    if isinstance(value, dict):
        return dict, sorted((name, shape(item)) for name, item in value.items()).__repr__()
    if isinstance(value, list | tuple):
        return type(value), [shape(item) for item in value]
    return type(value), repr(value)


@given(st.tuples(PLAIN, PLAIN), st.tuples(PLAIN, PLAIN))
def test_keys_are_equal_only_for_the_same_arguments(one: tuple[Any, Any], other: tuple[Any, Any]) -> None:
    same = spelling.of_call(b"f", one, {}) == spelling.of_call(b"f", other, {})
    assert same == (shape(one) == shape(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (((1,), {}), ((True,), {})),
        (((1,), {}), ((1.0,), {})),
        ((("a", "b"), {}), (("ab",), {})),
        (((("a",), "b"), {}), (("a", ("b",)), {})),
        ((("a",), {}), ((b"a",), {})),
        ((((),), {}), (([],), {})),
        (((0.0,), {}), ((-0.0,), {})),
        ((({"a": 1},), {}), ((), {"a": 1})),
        ((("x" * 300,), {}), (("x" * 301,), {})),
    ],
)
def test_calls_that_look_alike_have_keys_of_their_own(one: Any, other: Any) -> None:
    assert spelling.of_call(b"f", *one) != spelling.of_call(b"f", *other)


def test_names_may_come_in_any_order_and_long_keys_stay_short() -> None:
    assert spelling.of_call(b"f", (), {"a": 1, "b": 2}) == spelling.of_call(b"f", (), {"b": 2, "a": 1})
    assert len(spelling.of_call(b"f", ("x" * 10_000,), {})) == 32
