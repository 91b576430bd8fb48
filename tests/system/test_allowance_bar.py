"""How many results fit into an allowance of tokens, as they are and in a quarter; in full by `make bar-allowance`.

Two entries of each server share its data: one as it is, one with its tools named under `compress`. The same calls, in
the same order, go to the one until the allowance is used, then to the other. Counted is what a model reads: every block
of a result's content, the link to the original included; `structuredContent`, which is the same once more and is left
as it is, is not. A result below 1,000 tokens, which compression leaves as it is too, counts in neither.
"""

from __future__ import annotations

import json
import os
import random
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from omnimind.compression import tokens
from tests.fleet import Fleet
from tests.system.errands import SHORT, World, ask, errands

FULL = bool(os.environ.get("OMNIMIND_FULL"))
ALLOWANCE = 1_000_000 if FULL else 120_000
SEED = int(os.environ.get("OMNIMIND_SEED", random.randrange(1_000_000) if FULL else 7))
TIMES = 4
SAME_CALLS = 4 if FULL else 3.8
"""Tokens of the same calls, as they are and in a quarter. The sample is a dozen results, short ones with a link among
them, and who fits into a small allowance depends on who comes first."""
TOOLS = 6
GOES = 1 if FULL else 5
"""On a machine with other work a result may be shortened too late and goes out as it came: the sample asks again, and
compares the others if that does not help."""
FROM_TOKENS = 1_000
REPORT = "omnimind/compression"


@dataclass
class Stay:
    """What fitted into the allowance."""

    counts: dict[int, int] = field(default_factory=dict)
    """Tokens of each result, by the place of its call."""
    part: float = 0
    """Of the first result that did not fit, what would have."""
    late: set[int] = field(default_factory=set)
    """Calls whose results were to be shortened and were not."""
    cut: int = 0
    preserved: int = 0
    tools: Counter[str] = field(default_factory=Counter)

    @property
    def results(self) -> float:
        return len(self.counts) + self.part

    def __str__(self) -> str:
        each = f"{sum(self.counts.values()) / len(self.counts):,.0f} tokens each"
        kept = f", {self.preserved} of {self.cut} cut ones with all that is critical" if self.cut else ""
        late = f", {len(self.late)} not shortened" if self.late else ""
        return f"{self.results:.1f} results, {each}{kept}{late} ({dict(self.tools.most_common())})"


def read(result: dict[str, Any]) -> int:
    """Tokens of what a model reads of a result."""
    return sum(
        tokens.count(block["text"] if block["type"] == "text" else json.dumps(block, separators=(",", ":")))
        for block in result["content"]
    )


def stay(fleet: Fleet, world: World, suffix: str) -> Stay:
    """Calls until the next result does not fit."""
    done, left = Stay(), ALLOWANCE
    for at, errand in enumerate(errands(world, random.Random(SEED))):
        for _ in range(GOES if suffix else 1):
            result = ask(fleet, errand, suffix)
            count, report = read(result), result.get("_meta", {}).get(REPORT)
            if report is not None or count < FROM_TOKENS:
                break
        if report is None and count < FROM_TOKENS:
            continue
        if count > left:
            done.part = left / count
            return done
        left -= count
        done.counts[at] = count
        done.tools[errand.tool] += 1
        if suffix and report is None:
            done.late.add(at)
        if report is not None:
            done.cut += 1
            done.preserved += report["criticalInfoPreserved"]
    raise AssertionError


@pytest.mark.bar
@pytest.mark.timeout(900)
def test_four_times_as_many_results_fit_into_the_same_tokens() -> None:
    with tempfile.TemporaryDirectory(prefix="omt-") as name:
        world = World(Path(name).resolve(), random.Random(SEED))
        with Fleet(world.servers(), auth=True) as fleet:
            world.fill(fleet)
            off = stay(fleet, world, "")
            on = stay(fleet, world, SHORT)
    times = on.results / off.results
    both = [at for at in off.counts if FULL or at not in on.late]
    same = sum(off.counts[at] for at in both) / sum(on.counts[at] for at in both)
    print(f"seed {SEED}, {ALLOWANCE:,} tokens\noff: {off}\non:  {on}")
    print(f"{times:.2f} times as many results; the same calls take {same:.2f} times the tokens when off")
    assert off.cut == 0
    assert len(off.tools) >= TOOLS
    assert len(both) >= len(off.counts) / 2
    assert same >= SAME_CALLS
    if FULL:
        assert times >= TIMES
