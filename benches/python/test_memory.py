"""What a look into each level of `omnimind.Cache` costs, beside the plain thing that does no more than the level must.

Memory: a dict. Packed memory: zlib unpacking the same text. Disk: a read of as many bytes from a file the system has
in its own memory.
"""

from __future__ import annotations

import os
import random
import zlib
from pathlib import Path

import pytest

from benches.python.rounds import Beside, Call
from omnimind import Cache

WORDS = ("error", "info", "request", "served", "in", "ms", "127.0.0.1", "GET", "/servers/memory/mcp")
KEYS = 64


def page(seed: int, length: int = 4096) -> bytes:
    chance = random.Random(seed)
    text = " ".join(f"{chance.choice(WORDS)}={chance.randrange(1000)}" for _ in range(length // 4))
    return text.encode()[:length]


PAGES = {f"page {number}": page(number) for number in range(KEYS)}


class Walk:
    """Keys in turn, so that a level that keeps only some in the level above must go down for each."""

    def __init__(self) -> None:
        self._keys = list(PAGES)
        self._at = 0

    def __call__(self) -> str:
        self._at = (self._at + 1) % KEYS
        return self._keys[self._at]


@pytest.mark.benchmark(group="cache level")
def test_hit_in_memory(beside: Beside, lookup: Call) -> None:
    cache: Cache[str, bytes] = Cache(max_items=1000)
    cache["key"] = PAGES["page 0"]
    assert beside(lambda: cache.get("key"), lookup) == PAGES["page 0"]


@pytest.mark.benchmark(group="cache level")
def test_put_into_a_full_cache(beside: Beside) -> None:
    cache: Cache[str, bytes] = Cache(max_items=1000)
    table: dict[str, bytes] = {}
    fresh, other, value = iter(range(1 << 60)), iter(range(1 << 60)), PAGES["page 0"]

    def into_dict() -> None:
        table[f"key {next(other)}"] = value
        if len(table) > 1000:
            table.pop(next(iter(table)))

    assert beside(lambda: cache.set(f"key {next(fresh)}", value), into_dict)


@pytest.mark.benchmark(group="cache level")
def test_hit_in_packed_memory(beside: Beside) -> None:
    # Room for few in memory, and for all of them packed; down goes what was asked for.
    cache: Cache[str, bytes] = Cache(("ram", "compressed"), max_items=4, compressed_bytes=1 << 22)
    for key, text in PAGES.items():
        cache[key] = text
        cache.get(key)
    packed = zlib.compress(PAGES["page 0"])
    walk = Walk()
    for _ in range(10 * KEYS):  # until what packs them has learned them
        cache[walk()]
    before = cache.stats()["compressed"].hits
    found = beside(lambda: cache[walk()], lambda: zlib.decompress(packed))
    assert found in PAGES.values()
    assert cache.stats()["compressed"].hits > before + KEYS


@pytest.mark.benchmark(group="cache level")
def test_hit_on_disk(beside: Beside, tmp_path: Path) -> None:
    file = tmp_path / "plain"
    file.write_bytes(b"".join(PAGES.values()))
    descriptor = os.open(file, os.O_RDONLY)
    cache: Cache[str, bytes] = Cache(("ram", "disk"), max_items=4, folder=tmp_path / "cache")
    try:
        for key, text in PAGES.items():
            cache[key] = text
        cache.flush()
        walk = Walk()
        before = cache.stats()["disk"].hits
        found = beside(lambda: cache[walk()], lambda: os.pread(descriptor, 4096, 8192))
        assert found in PAGES.values()
        assert cache.stats()["disk"].hits > before + KEYS
    finally:
        os.close(descriptor)
        cache.close()
