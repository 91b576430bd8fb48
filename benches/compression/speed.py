"""`python -m benches.compression.speed [--seed N] [--rounds 7] [--tokens 100000 10000] [--absolute] [--json FILE]`.

How long a quarter takes, ours beside headroom: the compressor that it has for a document's kind, picked by hand, and
its extractive one for any text. Everybody gets the same documents in one run, in turns, every other round in reverse
order: each round a document that nobody has seen, the first not counted. A kind's figure is the median of its rounds in
milliseconds for 100,000 tokens, that of all the mean over the kinds. Ours is measured from Python to Python, with the
exact counts before and after, which theirs are without.

It ends with 1 if theirs, picked by hand, do not take 2.5 times as long over the longest documents, and with
`--absolute` also if ours take more than 40 ms for 100,000 tokens or any kind more than 5 ms for 10,000: figures of a
machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benches.compression import corpus
from benches.compression.__main__ import RATIO
from benches.compression.contenders import Contender, Ours, Peer
from benches.compression.document import Document, Maker
from omnimind.compression import tokens
from tests.contract import toolbox

TIMES: Final = 2.5
"""So many times as long theirs, picked by hand, take at least."""
MS_PER_100K: Final = 40.0
SHORT_TOKENS, SHORT_MS = 10_000, 5.0
BY_HAND: Final = "headroom by hand"
PEERS: Final = (BY_HAND, "headroom TextCrusher")
_PROBE: Final = 900


@dataclass(frozen=True)
class Figure:
    """What documents of one kind took whom."""

    kind: str
    ms: dict[str, float]
    """By contender, the median for 100,000 tokens; NaN where it failed."""

    @property
    def times(self) -> float:
        """How many times as long theirs took."""
        return self.ms[BY_HAND] / self.ms[Ours.name]


def made(maker: Maker, wanted: int, rng: random.Random) -> Document:
    """A document of about so many tokens."""
    seed = rng.getrandbits(64)
    probe = tokens.count(maker(random.Random(seed), _PROBE).text)
    return maker(random.Random(seed), max(1, _PROBE * wanted // probe))


def measure(all_of_them: Sequence[Contender], documents: Sequence[Document]) -> Figure:
    """Documents of one kind, each for all in turns."""
    took: dict[str, list[float]] = {one.name: [] for one in all_of_them}
    for turn, document in enumerate(documents):
        count = tokens.count(document.text)
        for one in all_of_them[:: 1 if turn % 2 else -1]:
            _, ms = one.compress(document, int(count * RATIO), RATIO)
            if turn:
                took[one.name].append(ms * 100_000 / count)
    return Figure(documents[0].kind, {name: statistics.median(found) for name, found in took.items()})


def mean(figures: Sequence[Figure], name: str) -> float:
    """Over the kinds that both sides did."""
    return statistics.fmean(one.ms[name] for one in figures if not math.isnan(one.ms[BY_HAND]))


def table(figures: Sequence[Figure]) -> str:
    """One line a kind."""
    names = list(figures[0].ms)
    lines = [f"{'':12}" + "".join(f"{name:>22}" for name in names) + f"{'times':>8}"]
    for one in figures:
        ms = "".join(f"{one.ms[name]:>22.1f}" for name in names)
        lines.append(f"{one.kind:12}{ms}{one.times:>8.1f}")
    means = {name: mean(figures, name) for name in names}
    lines.append(
        f"{'mean':12}"
        + "".join(f"{means[name]:>22.1f}" for name in names)
        + f"{means[BY_HAND] / means[Ours.name]:>8.1f}"
    )
    return "\n".join(lines)


def missed(by_size: dict[int, list[Figure]], absolute: bool) -> list[str]:
    """The bars that are not met, in words."""
    long = by_size[max(by_size)]
    times = mean(long, BY_HAND) / mean(long, Ours.name)
    misses = [f"theirs take {times:.2f} times as long, at least {TIMES}"] if times < TIMES else []
    if absolute:
        ms = statistics.fmean(one.ms[Ours.name] for one in long)
        misses += [f"{ms:.1f} ms for 100,000 tokens, at most {MS_PER_100K:g}"] if ms > MS_PER_100K else []
        for one in by_size.get(SHORT_TOKENS, []):
            short = one.ms[Ours.name] * SHORT_TOKENS / 100_000
            if short > SHORT_MS:
                misses.append(f"{one.kind}: {short:.1f} ms for {SHORT_TOKENS:,} tokens, at most {SHORT_MS:g}")
    return misses


@contextmanager
def contenders() -> Iterator[list[Contender]]:
    """Ours and theirs; their processes end with the block."""
    with ExitStack() as stack:
        box = toolbox.prepare(("compressors",), npm=False)
        found: list[Contender] = [Ours()]
        for name in PEERS:
            peer = Peer(name, box.python("compressors"))
            stack.callback(peer.close)
            found.append(peer)
        yield found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, prints a table for each size, and says which bars are missed."""
    parser = argparse.ArgumentParser(prog="python -m benches.compression.speed", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tokens", type=int, nargs="+", default=[100_000, SHORT_TOKENS])
    parser.add_argument("--absolute", action="store_true", help="fail for milliseconds too")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args(arguments)
    rng = random.Random(chosen.seed)
    by_size: dict[int, list[Figure]] = {}
    with contenders() as all_of_them:
        for wanted in chosen.tokens:
            by_size[wanted] = [
                measure(all_of_them, [made(maker, wanted, rng) for _ in range(chosen.rounds + 1)])
                for maker in corpus.MAKERS
            ]
            sys.stdout.write(
                f"about {wanted:,} tokens, seed {chosen.seed}, medians of {chosen.rounds}: ms for 100,000\n"
            )
            sys.stdout.write(table(by_size[wanted]) + "\n\n")
    short = [one.ms[Ours.name] * SHORT_TOKENS / 100_000 for one in by_size.get(SHORT_TOKENS, [])]
    if short:
        sys.stdout.write(
            f"ours for {SHORT_TOKENS:,} tokens: {statistics.median(short):.1f} ms, at most {max(short):.1f}\n"
        )
    if chosen.json:
        chosen.json.parent.mkdir(parents=True, exist_ok=True)
        rows = {str(size): [vars(one) for one in figures] for size, figures in by_size.items()}
        chosen.json.write_text(json.dumps({"seed": chosen.seed, "figures": rows}, indent=2))
    misses = missed(by_size, chosen.absolute)
    sys.stdout.writelines(f"bar missed: {miss}\n" for miss in misses)
    return bool(misses)


if __name__ == "__main__":
    sys.exit(main())
