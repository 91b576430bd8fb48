"""`omnimind.Cache` beside dict and the caches of other packages, in one process.

    python -m benches.bench_cache [--rounds 6] [--operations 30000] [--json FILE]

One thread. A figure is CPU time of the thread for one operation, with the loop around it, in the best of all rounds:
6 rounds of 30,000 operations is what the bars were set with. A ratio is of two such figures. The caches take turns,
so that each has the same chance of a quiet moment; on a busy machine take more rounds. Keys are 64 hexadecimal
digits, fresh objects in every turn: each operation hashes and compares a whole key, as it does
when the key comes from outside. Values are 1 KiB; there is room for 10,000.

`get hit` reads what is there, `overwrite` replaces it, `insert+evict` puts a new key into a full cache, `mixed`
reads 100,000 keys of Zipf's distribution (0.99) and puts what is missing. The persistent ones are measured
apart, by the wall clock, because part of their work is the system's.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any

from benches import caches
from benches.caches import Contender

ITEMS = 10_000
VALUE_BYTES = 1024
POPULATION = 100_000
SKEW = 0.99
SCENARIOS = ("get hit", "overwrite", "insert+evict", "mixed")
BARS: tuple[tuple[str, str, str, float], ...] = (
    ("get hit", "omnimind", "dict", 0.9),
    ("get hit", "omnimind", "cachebox LRU", 1.0),
    ("get hit", "omnimind", "moka-py", 2.5),
    ("get hit", "omnimind", "theine", 6.0),
    ("get hit", "omnimind copied", "dict", 0.5),
    ("insert+evict", "omnimind", "cachebox LRU", 0.9),
    ("insert+evict", "omnimind ttl", "cachebox TTL", 1.0),
)
"""In this scenario this cache of ours is at least so many times as fast as that one."""


@dataclass
class Result:
    """Nanoseconds of CPU for one operation: by scenario, then by cache, one figure a round."""

    rounds: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def note(self, scenario: str, name: str, took_ns: float) -> None:
        self.rounds.setdefault(scenario, {}).setdefault(name, []).append(took_ns)

    def best(self, scenario: str, name: str) -> float | None:
        figures = self.rounds.get(scenario, {}).get(name)
        return min(figures) if figures else None

    def speed(self, scenario: str, name: str, beside: str) -> float | None:
        """How many times as fast as the other, each in its best round."""
        one, other = self.best(scenario, name), self.best(scenario, beside)
        return other / one if one and other else None

    def verdicts(self) -> list[tuple[bool, str]]:
        """Each bar that could be measured: whether it is met, and the words for it."""
        found = []
        for scenario, name, beside, bar in BARS:
            speed = self.speed(scenario, name, beside)
            if speed is not None:
                words = f"{scenario}: {name} {speed:.3f} x {beside}, at least {bar}"
                found.append((speed >= bar, words))
        return found

    def misses(self) -> list[str]:
        return [words for met, words in self.verdicts() if not met]

    def table(self) -> str:
        """For people: nanoseconds, and in brackets the speed beside dict."""
        names = list(dict.fromkeys(name for rows in self.rounds.values() for name in rows))
        lines = [f"{'ns of CPU (x dict)':22}" + "".join(f"{scenario:>18}" for scenario in self.rounds)]
        for name in names:
            cells = []
            for scenario in self.rounds:
                best, speed = self.best(scenario, name), self.speed(scenario, name, "dict")
                shown = "-" if best is None else f"{best:.0f} ({speed:.2f})" if speed else f"{best:.0f}"
                cells.append(f"{shown:>18}")
            lines.append(f"{name:22}{''.join(cells)}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Load:
    """What all caches are measured with, the same for each."""

    operations: int
    keys: list[str]
    values: list[bytes]
    zipf: list[int]

    @classmethod
    def make(cls, operations: int, seed: int) -> Load:
        chance = random.Random(seed)
        weights = accumulate(1 / rank**SKEW for rank in range(1, POPULATION + 1))
        population = chance.sample(range(POPULATION), POPULATION)
        return cls(
            operations,
            [chance.randbytes(32).hex() for _ in range(POPULATION)],
            [chance.randbytes(VALUE_BYTES) for _ in range(ITEMS)],
            chance.choices(population, cum_weights=list(weights), k=operations * 8),
        )

    def present(self, chance: random.Random) -> list[str]:
        return [self.keys[at] for at in chance.choices(range(ITEMS), k=self.operations)]

    def values_for(self, count: int) -> list[bytes]:
        return [self.values[at % ITEMS] for at in range(count)]


def fresh(keys: Sequence[str]) -> list[str]:
    """Equal keys that have never been hashed."""
    return [key[:32] + key[32:] for key in keys]


@contextmanager
def _quiet() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def time_reads(get: Callable[[str], Any], keys: list[str]) -> int:
    began = time.thread_time_ns()
    for key in keys:
        get(key)
    return time.thread_time_ns() - began


def time_writes(cache: Any, write: str, keys: list[str], values: list[bytes]) -> int:
    pairs = list(zip(keys, values, strict=True))
    if write == "[]":
        began = time.thread_time_ns()
        for key, value in pairs:
            cache[key] = value
        return time.thread_time_ns() - began
    put = getattr(cache, write)
    began = time.thread_time_ns()
    for key, value in pairs:
        put(key, value)
    return time.thread_time_ns() - began


def time_mixed(cache: Any, write: str, keys: list[str], value: bytes) -> int:
    if not write:
        return time_reads(cache, keys)
    get = cache.get
    if write == "[]":
        began = time.thread_time_ns()
        for key in keys:
            if get(key) is None:
                cache[key] = value
        return time.thread_time_ns() - began
    put = getattr(cache, write)
    began = time.thread_time_ns()
    for key in keys:
        if get(key) is None:
            put(key, value)
    return time.thread_time_ns() - began


class Turn:
    """One cache through all scenarios, kept from round to round."""

    def __init__(self, contender: Contender, load: Load) -> None:
        self.name, self._write, self._load = contender.name, contender.write, load
        self._full, self._mixed = contender.make(ITEMS), contender.make(ITEMS)
        self._made = contender.make
        self._fill(self._full)
        self._mix(load.zipf[: load.operations * 2])

    def take(self, scenario: str, round_: int, result: Result) -> None:
        load, chance = self._load, random.Random(round_)
        if scenario == "get hit":
            keys = fresh(load.present(chance))
            took = time_reads(self._full.get if self._write else self._full, keys)
            self._check()
        elif scenario == "mixed":
            start = (2 + round_) % 8 * load.operations
            took = self._mix(load.zipf[start : start + load.operations])
        elif not self._write:
            if scenario == "overwrite":
                return
            took = time_reads(self._made(ITEMS), fresh(self._strangers(round_)))
        elif scenario == "overwrite":
            keys = fresh(load.present(chance))
            took = time_writes(self._full, self._write, keys, load.values_for(len(keys)))
        else:
            keys = fresh(self._strangers(round_))
            cache = self._made(ITEMS)
            self._fill(cache)
            took = time_writes(cache, self._write, keys, load.values_for(len(keys)))
            _close(cache)
        result.note(scenario, self.name, took / load.operations)

    def close(self) -> None:
        _close(self._full)
        _close(self._mixed)

    def _strangers(self, round_: int) -> list[str]:
        return [
            f"{round_:08x}{at:08x}{self._load.keys[at % POPULATION][16:]}"
            for at in range(self._load.operations)
        ]

    def _fill(self, cache: Any) -> None:
        keys = fresh(self._load.keys[:ITEMS])
        if self._write:
            time_writes(cache, self._write, keys, self._load.values)
        else:
            time_reads(cache, keys)

    def _mix(self, order: list[int]) -> int:
        keys = fresh([self._load.keys[at] for at in order])
        return time_mixed(self._mixed, self._write, keys, self._load.values[0])

    def _check(self) -> None:
        """A cache that lost what it has room for would be measured at misses."""
        if not self._write:
            return
        lost = sum(self._full.get(key) is None for key in self._load.keys[:ITEMS:97])
        if lost > ITEMS // 97 // 20:
            raise RuntimeError(f"{self.name} lost {lost} of {ITEMS // 97 + 1} entries that it has room for")


def _close(cache: Any) -> None:
    close = getattr(cache, "close", None)
    if close is not None:
        close()


def measure(
    contenders: Sequence[Contender],
    *,
    rounds: int = 6,
    operations: int = 30_000,
    scenarios: Sequence[str] = SCENARIOS,
    seed: int = 1,
) -> Result:
    """All caches in turns, every other round in reverse order."""
    load, result = Load.make(operations, seed), Result({scenario: {} for scenario in scenarios})
    turns = [Turn(contender, load) for contender in contenders]
    for round_ in range(rounds):
        for scenario in scenarios:
            for turn in turns if round_ % 2 == 0 else reversed(turns):
                with _quiet():
                    turn.take(scenario, round_, result)
    for turn in turns:
        turn.close()
    result.rounds = {
        scenario: {turn.name: rows[turn.name] for turn in turns if turn.name in rows}
        for scenario, rows in result.rounds.items()
    }
    return result


def measure_on_disk(count: int = 2_000) -> dict[str, dict[str, float]]:
    """Median microseconds of the wall clock for a read and a write of each persistent cache."""
    chance, found = random.Random(1), {}
    keys = [chance.randbytes(32).hex() for _ in range(count)]
    value = chance.randbytes(VALUE_BYTES)
    with caches.on_disk() as contenders:
        for contender in contenders:
            found[contender.name] = _on_disk(contender, keys, value)
    return found


def _on_disk(contender: Contender, keys: list[str], value: bytes) -> dict[str, float]:
    cache = contender.make(len(keys) * 2)
    writes = [_wall_ns(partial(time_writes, cache, contender.write, [key], [value])) for key in keys]
    flush = getattr(cache, "flush", None)
    if flush is not None:
        flush()
    reads = [_wall_ns(partial(cache.get, key)) for key in fresh(keys)]
    lost = sum(cache.get(key) != value for key in keys)
    _close(cache)
    return {
        "get_us": statistics.median(reads) / 1000,
        "set_us": statistics.median(writes) / 1000,
        "lost": lost,
    }


def _wall_ns(call: Callable[[], object]) -> int:
    began = time.perf_counter_ns()
    call()
    return time.perf_counter_ns() - began


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benches.bench_cache",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--operations", type=int, default=30_000, help="of each turn")
    parser.add_argument("--json", type=Path, help="also write every figure to this file")
    arguments = parser.parse_args()
    contenders = [*caches.peers(), *caches.ours()]
    result = measure(contenders, rounds=arguments.rounds, operations=arguments.operations)
    print(
        f"thread CPU time, best of {arguments.rounds} rounds of {arguments.operations:,} operations; ratios of these"
    )
    print(result.table())
    disk = measure_on_disk()
    print(f"\n{'wall clock, us':22}{'get':>10}{'set':>10}{'lost':>10}")
    for name, row in disk.items():
        print(f"{name:22}{row['get_us']:>10.2f}{row['set_us']:>10.2f}{row['lost']:>10.0f}")
    print()
    for met, words in result.verdicts():
        print(f"{'met' if met else 'MISSED'}  {words}")
    misses = result.misses()
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps({**asdict(result), "disk": disk, "misses": misses}, indent=2))
    return 1 if misses else 0


if __name__ == "__main__":
    sys.exit(main())
