"""A guard against a cache that became slow; the bar itself is `make bench-cache`, on a release build.

A sample of a second on a busy machine, with whatever build is installed, can tell half the speed from the whole, and no
more: so that is what is asked of it.
"""

from __future__ import annotations

import pytest

from benches import bench_cache, caches

GOES = 4
SLACK = 0.5


@pytest.mark.alone
@pytest.mark.bar
@pytest.mark.timeout(300)
def test_a_hit_and_an_insertion_are_not_far_from_dict_and_cachebox() -> None:
    peers = ("dict", "cachebox LRU", "cachebox TTL") if caches.are_installed() else ("dict",)
    by_reference = [one for one in caches.ours() if one.name != "omnimind copied"]
    for _ in range(GOES):
        result = bench_cache.measure(
            [*caches.peers(peers), *by_reference],
            rounds=4,
            operations=5_000,
            scenarios=("get hit", "insert+evict"),
        )
        speeds = [(result.speed(*pair), bar) for *pair, bar in bench_cache.BARS]
        if all(speed is None or speed >= bar * SLACK for speed, bar in speeds):
            return
    pytest.fail(result.table())
