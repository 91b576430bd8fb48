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
TIMES = 4 if FULL else 3.5
"""The sample is some fifteen results against sixty: one large one more or less tells."""
FROM_TOKENS = 1_000
REPORT = "omnimind/compression"


@dataclass
class Stay:
    """What fitted into the allowance."""

    results: int = 0
    used: int = 0
    cut: int = 0
    preserved: int = 0
    tools: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        each = f"{self.used / self.results:,.0f} tokens each"
        kept = f", {self.preserved} of {self.cut} cut ones with all that is critical" if self.cut else ""
        return f"{self.results} results, {each}{kept} ({dict(self.tools.most_common())})"


def read(result: dict[str, Any]) -> int:
    """Tokens of what a model reads of a result."""
    return sum(
        tokens.count(block["text"] if block["type"] == "text" else json.dumps(block, separators=(",", ":")))
        for block in result["content"]
    )


def stay(fleet: Fleet, world: World, suffix: str) -> Stay:
    """Calls until the next result does not fit."""
    done = Stay()
    for errand in errands(world, random.Random(SEED)):
        result = ask(fleet, errand, suffix)
        count, report = read(result), result.get("_meta", {}).get(REPORT)
        if report is None and count < FROM_TOKENS:
            continue
        if done.used + count > ALLOWANCE:
            return done
        done.results += 1
        done.used += count
        done.tools[errand.tool] += 1
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
    print(
        f"seed {SEED}, {ALLOWANCE:,} tokens\noff: {off}\non:  {on}\n{on.results / off.results:.2f} times as many"
    )
    assert off.cut == 0
    assert len(off.tools) >= 6
    assert on.results >= TIMES * off.results
