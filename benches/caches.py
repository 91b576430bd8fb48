"""The caches that `benches.bench_cache` holds against each other: ours and the peers, each as two plain calls.

Peers come from the package index into `.tools/`, pinned by hash in `requirements/contract-caches.txt`, and are
loaded into this process beside ours, behind everything that is installed: none of their dependencies hides
one of ours. Every cache is used by its own fastest public way to read (`get`) and to write (`cache[key] =
value` where it has that).
"""

from __future__ import annotations

import sys
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import Any

from tests.contract import toolbox

HOUR_S = 3600


@dataclass(frozen=True)
class Contender:
    """One cache: how to make it for a number of entries, and how it is written."""

    name: str
    make: Callable[[int], Any]
    write: str = "[]"
    """`[]` for `cache[key] = value`, else the method; empty for a memo, which is only called."""


def peers(names: tuple[str, ...] = ()) -> list[Contender]:
    """All peers, or those named; those of other packages are installed and imported for that."""
    found = [*BUILT_IN]
    if not names or set(names) - {one.name for one in BUILT_IN}:
        _make_importable()
        found += _packages()
    return [one for one in found if not names or one.name in names]


def are_installed() -> bool:
    """Whether the peers lie in `.tools/` already."""
    return bool(_site_packages())


def ours() -> list[Contender]:
    """Our own: values by reference, the same with a life, and values that live in Rust and are copied out."""
    from omnimind import Cache

    room = 1 << 30
    return [
        Contender("omnimind", lambda items: Cache(max_items=items, max_bytes=room)),
        Contender("omnimind ttl", lambda items: Cache(max_items=items, max_bytes=room, ttl_s=HOUR_S)),
        Contender(
            "omnimind copied",
            lambda items: Cache(("ram", "compressed"), max_items=items, max_bytes=room),
        ),
    ]


def _packages() -> list[Contender]:
    cachebox, cachetools = import_module("cachebox"), import_module("cachetools")
    lru_dict, moka, theine = import_module("lru"), import_module("moka_py"), import_module("theine")
    return [
        Contender("cachebox LRU", cachebox.LRUCache),
        Contender("cachebox TTL", lambda items: cachebox.TTLCache(items, HOUR_S)),
        Contender("lru-dict", lru_dict.LRU),
        Contender("moka-py", moka.Moka, "set"),
        Contender("moka-py ttl", lambda items: moka.Moka(items, ttl=HOUR_S), "set"),
        Contender("theine", theine.Cache, "set"),
        Contender("cachetools LRU", cachetools.LRUCache),
        Contender("cachetools TTL", lambda items: cachetools.TTLCache(items, HOUR_S)),
    ]


@contextmanager
def on_disk() -> Iterator[list[Contender]]:
    """The persistent ones, each with a folder of its own that is gone afterwards."""
    _make_importable()
    from omnimind import Cache

    diskcache, lmdb = import_module("diskcache"), import_module("lmdb")
    with tempfile.TemporaryDirectory(prefix="omnimind-bench-") as folder:
        home = Path(folder)
        yield [
            Contender(
                "omnimind disk",
                # With next to no memory: nearly every look-up goes down to the disk.
                lambda _: Cache(("ram", "disk"), folder=home / "ours", max_bytes=16 * 1024),
            ),
            Contender("diskcache", lambda _: diskcache.Cache(str(home / "diskcache")), "set"),
            Contender("lmdb, no sync", lambda _: _Lmdb(lmdb, home / "lmdb")),
        ]


def _memo(items: int) -> Callable[[str], Any]:
    @lru_cache(maxsize=items)
    def load(key: str) -> str:
        return key

    return load


class _Locked:
    """What one writes without a package."""

    def __init__(self, items: int) -> None:
        self._items, self._kept, self._lock = items, OrderedDict[str, bytes](), Lock()

    def get(self, key: str) -> bytes | None:
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found

    def __setitem__(self, key: str, value: bytes) -> None:
        with self._lock:
            self._kept[key] = value
            self._kept.move_to_end(key)
            if len(self._kept) > self._items:
                self._kept.popitem(last=False)


class _Lmdb:
    """LMDB with a transaction for each call, as a cache would use it."""

    def __init__(self, lmdb: Any, folder: Path) -> None:
        self._environment = lmdb.open(str(folder), map_size=1 << 30, sync=False)

    def get(self, key: str) -> bytes | None:
        with self._environment.begin(buffers=False) as transaction:
            found: bytes | None = transaction.get(key.encode())
            return found

    def __setitem__(self, key: str, value: bytes) -> None:
        with self._environment.begin(write=True) as transaction:
            transaction.put(key.encode(), value)

    def close(self) -> None:
        self._environment.close()


BUILT_IN = (
    Contender("dict", lambda _: {}),
    Contender("functools.lru_cache", _memo, ""),
    Contender("OrderedDict + Lock", _Locked),
)


def _site_packages() -> list[Path]:
    return sorted((toolbox.TOOLS / "caches").glob("lib/python*/site-packages"))


def _make_importable() -> None:
    toolbox.prepare(("caches",), npm=False)
    for folder in _site_packages():
        if str(folder) not in sys.path:
            sys.path.append(str(folder))
