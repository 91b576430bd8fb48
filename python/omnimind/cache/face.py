"""`Cache`: the typed class over `omnimind._core.Cache`, which keeps the values.

What is here is what needs no speed: settings, loading with one caller for many, memoizing. A hit in memory
never comes through this module: `get`, `cache[key]` and `set` are the core's own.

Levels, in the order they are looked at: `ram`, `compressed` (packed memory), `disk`; `semantic` is for `ask`. With
`ram` alone values are kept by reference, any object; with a level below they are bytes, or what a codec turns into
bytes, and each hit is a copy of its own.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, ParamSpec, Self, TypeVar

from omnimind import _core
from omnimind.cache.flights import Flights, Landed
from omnimind.cache.foresight import Foresight
from omnimind.cache.memo import memoized
from omnimind.cache.results import LevelStats

if TYPE_CHECKING:
    from omnimind.cache.meaning import Meaning

Level = Literal["ram", "compressed", "disk", "semantic", "predictive"]
LEVELS: Final[tuple[Level, ...]] = ("ram", "compressed", "disk", "semantic", "predictive")
BELOW: Final = frozenset(("compressed", "disk"))
MAX_BYTES: Final = 64 * 1024 * 1024
DISK_BYTES: Final = 1024 * 1024 * 1024
RAM_ITEMS: Final = 1_000
DISK_ITEMS: Final = 10_000

K = TypeVar("K", str, bytes)
V = TypeVar("V")
P = ParamSpec("P")
R = TypeVar("R")


class Codec(NamedTuple):
    """How values become bytes for the levels below memory, and come back."""

    dumps: Callable[[Any], bytes]
    loads: Callable[[bytes], Any]


def _pack(value: Any) -> bytes:
    import msgpack

    packed: bytes = msgpack.packb(value, strict_types=True)
    return packed


def _unpack(packed: bytes) -> Any:
    import msgpack

    return msgpack.unpackb(packed, strict_map_key=False)


MSGPACK: Final = Codec(_pack, _unpack)
"""Plain data: None, bool, int, float, str, bytes, lists and dicts of them. What is not raises TypeError."""


class Cache(_core.Cache[K, V]):
    """A cache of bounded size, safe from any thread.

    Keys are `str` or `bytes`. The bounds are `max_bytes`, of the values as they are weighed, and `max_items`,
    whichever is reached first; then S3-FIFO decides who leaves. A value heavier than an eighth of `max_bytes` is
    not kept. `ttl_s` is how long a value is fresh, `stale_s` how much longer `get_or_load` may give it to
    others while one caller loads it anew.

    A value weighs its length if it is `bytes` or `str`, else what `weigher` says, else its `__sizeof__`.
    Two `levels` below `"ram"` keep bytes: `"compressed"` up to `compressed_bytes` packed (default: `max_bytes`),
    `"disk"` in `folder`, up to `disk_bytes`, for the next process too. A folder serves one process at a time; a
    second one warns, works without, and says so in `stats()`. `"predictive"` calls memoized functions ahead that
    say `predict=True`; `prefetch` is given each such call, to run it elsewhere: the `submit` of an executor.
    `"semantic"` is for `ask`, and needs the package wordllama; ImportError says so.
    """

    __slots__ = ("_flights", "_foresight", "_levels", "_meaning")

    _flights: Flights[V]
    _foresight: Foresight | None
    _levels: tuple[Level, ...]
    _meaning: Meaning | None

    def __new__(
        cls,
        levels: Sequence[Level] = ("ram",),
        *,
        max_bytes: int = MAX_BYTES,
        max_items: int | None = None,
        ttl_s: float | None = None,
        stale_s: float | None = None,
        weigher: Callable[[V], int] | None = None,
        codec: Codec | None = None,
        compressed_bytes: int | None = None,
        folder: str | os.PathLike[str] | None = None,
        disk_bytes: int = DISK_BYTES,
        prefetch: Callable[[Callable[[], None]], object] | None = None,
    ) -> Self:
        """Make an empty cache, or open what the folder holds. Raises ValueError for settings that do not fit."""
        chosen = _checked(levels, weigher, codec, compressed_bytes, folder, prefetch)
        below = not BELOW.isdisjoint(chosen)
        if max_items is None:
            max_items = DISK_ITEMS if "disk" in chosen else RAM_ITEMS
        packed = (
            (max_bytes if compressed_bytes is None else compressed_bytes) if "compressed" in chosen else 0
        )
        meaning = None
        if "semantic" in chosen:
            from omnimind.cache.meaning import Meaning

            meaning = Meaning(codec, ttl_s)
        cache = super().__new__(
            cls,
            max_bytes=max_bytes,
            max_items=max_items,
            ttl_s=ttl_s,
            stale_s=stale_s,
            weigher=weigher,
            codec=codec if below else None,
            compressed_bytes=packed if below else None,
            folder=None if folder is None else os.fspath(folder),
            disk_bytes=disk_bytes,
        )
        cache._levels = chosen
        cache._flights = Flights()
        cache._meaning = meaning
        cache._foresight = None if prefetch is None else Foresight(prefetch)
        if cache._no_disk is not None:
            warnings.warn(
                f"the cache works without its disk level: {cache._no_disk}", RuntimeWarning, stacklevel=2
            )
        return cache

    def stats(self) -> dict[str, LevelStats]:
        """What each level did and holds, by its name."""
        counted = self._counts()
        found: dict[str, LevelStats] = {
            level: LevelStats(**counted[level]) for level in self._levels if level in counted
        }
        if self._foresight is not None:
            found["predictive"] = self._foresight.stats()
        if self._meaning is not None:
            found["semantic"] = self._meaning.stats()
        if self._no_disk is not None:
            found["disk"] = found["disk"]._replace(off=self._no_disk)
        return found

    def get_or_load(
        self,
        key: K,
        loader: Callable[[], V],
        *,
        ttl_s: float | None = None,
        stale_s: float | None = None,
        weight: int | None = None,
    ) -> V:
        """The value of a key, loaded if there is none: by one thread or task, while all others wait for it.

        An exception of the loader goes to all who wait, and is not kept. While a stale value is there, one caller
        loads and the others get the stale one. What was loaded is given back but not kept if the key was set,
        or anything was deleted, meanwhile.
        """
        found = self.look(key)
        if found is not None and found[1]:
            return found[0]
        flight = (key, self._generation)
        if found is not None:
            if not self._flights.lead(flight):
                return found[0]
        elif (waiter := self._flights.join(flight)) is not None:
            try:
                waiter.wait()
            except BaseException:
                self._flights.leave(flight, waiter)
                raise
            if isinstance(waiter.outcome, Landed):
                return waiter.outcome.result()
            self._flights.take_over(flight)
        with self._flights.leading(flight) as lands:
            if found is None and (again := self._just_landed(key)) is not None:
                return lands(again[0])
            value = loader()
            self._keep(flight, key, value, ttl_s, stale_s, weight)
            return lands(value)

    async def aget_or_load(
        self,
        key: K,
        loader: Callable[[], Awaitable[V]],
        *,
        ttl_s: float | None = None,
        stale_s: float | None = None,
        weight: int | None = None,
    ) -> V:
        """As `get_or_load`, with a loader to await; asyncio only.

        If the task that loads is cancelled, one that waits loads instead. Threads and tasks, of any loop, wait for each
        other; a key that tasks load is not for `get_or_load` in the thread of their loop, which would stop it.
        """
        import asyncio

        found = self.look(key)
        if found is not None and found[1]:
            return found[0]
        flight = (key, self._generation)
        if found is not None:
            if not self._flights.lead(flight):
                return found[0]
        elif (waiter := self._flights.join(flight, asyncio.get_running_loop())) is not None:
            try:
                await waiter.arrive()
            except BaseException:
                self._flights.leave(flight, waiter)
                raise
            if isinstance(waiter.outcome, Landed):
                return waiter.outcome.result()
            self._flights.take_over(flight)
        with self._flights.leading(flight) as lands:
            if found is None and (again := self._just_landed(key)) is not None:
                return lands(again[0])
            value = await loader()
            self._keep(flight, key, value, ttl_s, stale_s, weight)
            return lands(value)

    def ask(self, text: str, loader: Callable[[], V], *, scope: str = "", ttl_s: float | None = None) -> V:
        """The answer to a question in free text: the kept one, or one kept for other words that ask the same.

        `scope` is all else that the answer depends on. An answer for other words is given only after the loader has
        shown hundreds of times that such a change of words changes nothing; until then, and now and then for ever, the
        question is loaded and compared. Answers are compared as `bytes` or `str`, others as the codec spells them.
        """
        if self._meaning is None:
            raise ValueError("the cache has no level 'semantic'")
        return self._meaning.ask(self, text, loader, scope, ttl_s)

    def memoize(
        self,
        *,
        key: Callable[P, str | bytes] | None = None,
        ttl_s: float | None = None,
        stale_s: float | None = None,
        predict: bool = False,
    ) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """A decorator for functions and coroutine functions: equal calls are answered from the cache.

        Equal means: the same arguments given in the same way. They must be plain (None, bool, int, float, str, bytes,
        tuples, lists and dicts of them), else the call raises TypeError; with `key`, a function of the arguments, they
        may be anything, and calls are equal if their keys are, whatever function they are of. The decorated function
        has `key_of(...)`, the key of a call, to delete it by.

        With `predict`, and the level `"predictive"`, the function is called ahead when its next call can be told: say
        so only of a function that does nothing but answer. Then arguments are equal however they are given.
        """
        if predict and self._foresight is None:
            raise ValueError("the cache has no level 'predictive'")
        foresight = self._foresight if predict else None
        return lambda function: memoized(self, function, key, ttl_s, stale_s, foresight)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def is_lasting(self) -> bool:
        """Whether what it keeps is there for the next process too."""
        return "disk" in self._levels

    def _just_landed(self, key: K) -> tuple[V, bool] | None:
        """What another caller loaded between this one's look and its lead."""
        return self.look(key) if key in self else None

    def _keep(
        self,
        flight: tuple[K, int],
        key: K,
        value: V,
        ttl_s: float | None,
        stale_s: float | None,
        weight: int | None,
    ) -> None:
        if self._generation == flight[1] and key not in self:
            self.set(key, value, ttl_s=ttl_s, stale_s=stale_s, weight=weight)


def _checked(
    levels: Sequence[Level],
    weigher: object,
    codec: object,
    compressed_bytes: int | None,
    folder: object,
    prefetch: object,
) -> tuple[Level, ...]:
    """The levels in their order, if the settings fit them."""
    unknown = [level for level in levels if level not in LEVELS]
    if unknown:
        raise ValueError(f"unknown level {unknown[0]!r}; there are {', '.join(LEVELS)}")
    if "ram" not in levels:
        raise ValueError("the first level is always 'ram': what is found below comes up to it")
    if ("disk" in levels) != (folder is not None):
        raise ValueError("the level 'disk' and a folder belong together")
    if compressed_bytes is not None and "compressed" not in levels:
        raise ValueError("compressed_bytes is for the level 'compressed'")
    if ("predictive" in levels) != (prefetch is not None):
        raise ValueError("the level 'predictive' and prefetch, who runs what is asked ahead, belong together")
    below = not BELOW.isdisjoint(levels)
    if codec is not None and not below and "semantic" not in levels:
        raise ValueError("a codec is for levels below 'ram', which keeps values by reference")
    if weigher is not None and below:
        raise ValueError("levels below 'ram' weigh their values themselves: they are bytes")
    return tuple(level for level in LEVELS if level in levels)
