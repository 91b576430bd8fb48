"""A sample of the cache's bar, values by reference beside dict and cachebox; `make bench-cache` is all of it."""

from __future__ import annotations

import os

import pytest

from benches import bench_cache, caches

FULL = bool(os.environ.get("OMNIMIND_FULL"))
GOES = 4
"""Caches are measured in turns, but other work on the machine may still fall on one of them."""


@pytest.mark.bar
@pytest.mark.timeout(300)
def test_a_hit_and_an_insertion_keep_up_with_dict_and_cachebox_as_far_as_the_bar_asks() -> None:
    peers = ["dict"]
    if FULL or caches.are_installed():
        peers += ["cachebox LRU", "cachebox TTL"]
    contenders = [
        *caches.peers(tuple(peers)),
        *(one for one in caches.ours() if one.name != "omnimind copied"),
    ]
    for _ in range(GOES):
        result = bench_cache.measure(
            contenders, rounds=6, operations=10_000, scenarios=("get hit", "insert+evict")
        )
        print(result.table())
        if not result.misses():
            return
    pytest.fail(f"{result.misses()}\n{result.table()}")
