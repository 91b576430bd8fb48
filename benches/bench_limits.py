"""`omnimind.RateLimiter` beside the rate limiters of other packages, in one process.

    python -m benches.bench_limits [--rounds 12] [--operations 20000] [--json FILE]

One thread, one key. A figure is CPU time of the thread for one decision, with the loop around it, in the best of all
rounds; a ratio is of two such figures. The limiters take turns, so that each has the same chance of a quiet moment;
on a busy machine take more rounds. The bars: ours is at least 1.5 times as fast as the fastest of the others, and a
decision at three levels takes no more than 250 ns.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import repeat
from pathlib import Path

from benches import limiters
from benches.limiters import Contender

TIMES_AS_FAST = 1.5
THREE_LEVELS_NS = 250.0


@dataclass
class Result:
    """Nanoseconds of CPU for one decision: by limiter, one figure a round."""

    rounds: dict[str, list[float]] = field(default_factory=dict)

    def best(self, name: str) -> float:
        return min(self.rounds[name])

    def fastest_peer(self) -> str | None:
        """The fastest limiter of another package."""
        others = [name for name in self.rounds if not name.startswith("omnimind")]
        return min(others, key=self.best, default=None)

    def times_as_fast(self) -> float | None:
        """Our decision for one key beside that of the fastest peer."""
        peer = self.fastest_peer()
        return None if peer is None else self.best(peer) / self.best("omnimind")

    def verdicts(self) -> list[tuple[bool, str]]:
        """Each bar that could be measured: whether it is met, and the words for it."""
        three = self.best("omnimind three levels")
        found = [(three <= THREE_LEVELS_NS, f"three levels: {three:.0f} ns, at most {THREE_LEVELS_NS:.0f}")]
        times = self.times_as_fast()
        if times is not None:
            words = f"one key: {times:.2f} x {self.fastest_peer()}, at least {TIMES_AS_FAST}"
            found.append((times >= TIMES_AS_FAST, words))
        return found

    def table(self) -> str:
        """For people: nanoseconds, and the speed beside ours."""
        ours = self.best("omnimind")
        rows = sorted((self.best(name), name) for name in self.rounds)
        lines = [f"{name:28}{best:>10.0f}{ours / best:>10.2f}" for best, name in rows]
        return "\n".join([f"{'':28}{'ns of CPU':>10}{'x ours':>10}", *lines])


def measure(contenders: Sequence[Contender], *, rounds: int = 12, operations: int = 20_000) -> Result:
    """All limiters in turns, every other round in reverse order."""

    async def within_a_loop() -> Result:  # one of them asks for the running loop
        result = Result({contender.name: [] for contender in contenders})
        for round_ in range(rounds):
            gc.collect()
            for contender in contenders if round_ % 2 == 0 else reversed(contenders):
                took_ns = _time(contender, operations)
                result.rounds[contender.name].append(took_ns / operations)
        return result

    return asyncio.run(within_a_loop())


def _time(contender: Contender, operations: int) -> int:
    ask, arguments = contender.ask, contender.arguments
    gc.disable()
    try:
        began = time.thread_time_ns()
        for _ in repeat(None, operations):
            ask(*arguments)
        return time.thread_time_ns() - began
    finally:
        gc.enable()


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benches.bench_limits",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--operations", type=int, default=20_000, help="of each turn")
    parser.add_argument("--json", type=Path, help="also write every figure to this file")
    arguments = parser.parse_args()
    result = measure(
        [*limiters.peers(), *limiters.ours()], rounds=arguments.rounds, operations=arguments.operations
    )
    print(f"thread CPU time of a decision, best of {arguments.rounds} rounds of {arguments.operations:,}")
    print(result.table())
    print()
    for met, words in result.verdicts():
        print(f"{'met' if met else 'MISSED'}  {words}")
    misses = [words for met, words in result.verdicts() if not met]
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps({**asdict(result), "misses": misses}, indent=2))
    return 1 if misses else 0


if __name__ == "__main__":
    sys.exit(main())
