"""How the servers and the tokens fared in a run, from what was read before and after it.

Exits are counted by the orchestrator: ends that nobody planned, and starts that came to nothing, of servers, gateway
and of itself; kills of ours are taken off. Tokens of results that were told shorter are counted by the gateway. What
all results cost nobody counts while they pass: each call of the mix is asked once more by itself, what a model reads
of the answer is counted exactly (o200k_base), and multiplied by how often it was answered.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from omnimind.bench.nine import COMPRESSIBLE, Client, Nine
from omnimind.bench.report import Health, Tokens
from omnimind.compression import tokens
from omnimind.stress.mix import Call
from omnimind.stress.report import Part

SHARE: Final = 0.25
"""What is left of a result that is told in fewer tokens."""
_FROM_TOKENS: Final = 1_000
_GOES: Final = 5
"""A result that is not told shorter in time goes out as it came: on a machine with other work it is asked for again."""
_BUDGET: Final = "omnimind/budgetTokens"
_RESULTS: Final = "omnimind_compressed_results_total"
_BEFORE: Final = "omnimind_compressed_tokens_before_total"
_AFTER: Final = "omnimind_compressed_tokens_after_total"


@dataclass(frozen=True, slots=True)
class Look:
    """What fleet and gateway said at one moment."""

    status: Mapping[str, Any]
    metrics: str


@dataclass(frozen=True, slots=True)
class Cost:
    """Tokens of the answer to one call of the mix: as it is, and told in a quarter where it is long enough for that."""

    whole: int
    short: int | None = None


def look(nine: Nine) -> Look:
    """Read both. Raises OmniMindError."""
    return Look(nine.status(), nine.metrics())


def of_run(before: Look, after: Look, kills: int, parts: Sequence[Part], costs: Sequence[Cost]) -> Health:
    """The health of a run: `parts` are the calls of the mix as the client counted them between the two looks, `costs`
    what each of them costs."""
    starts, exits = crashes(before.status, after.status)
    saved = shortened(before.metrics, after.metrics)
    return Health(
        starts=starts,
        exits=max(0, exits - kills),
        kills=kills,
        shipped=of_all(parts, costs, saved),
        compressing=of_compressible(parts, costs),
    )


def crashes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[int, int]:
    """Starts of the fleet's processes until the second look, and exits between the two. A new orchestrator is one exit
    itself, and counts from nothing."""
    starts = sum(row["restarts"] + 1 for row in _processes(after))
    anew = before["orchestrator"]["pid"] != after["orchestrator"]["pid"]
    counted = {} if anew else {row["name"]: row["crashes"] for row in _processes(before)}
    exits = sum(row["crashes"] - counted.get(row["name"], 0) for row in _processes(after))
    return starts + 1 + anew, exits + anew


def _processes(status: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    servers = [row for row in status["servers"] if row["kind"] in ("worker", "stdio")]
    return [*(row for row in servers if row["state"] != "disabled"), {"name": "gateway", **status["gateway"]}]


def shortened(before: str, after: str) -> Tokens:
    """The results that the gateway told in fewer tokens between two readings of `/metrics`."""
    fresh = (_counter(after, name) - _counter(before, name) for name in (_RESULTS, _BEFORE, _AFTER))
    return Tokens(*(max(0, count) for count in fresh))


def _counter(text: str, name: str) -> int:
    found = re.search(rf"^{name} (\d+)", text, re.MULTILINE)
    return int(found[1]) if found else 0


def of_all(parts: Sequence[Part], costs: Sequence[Cost], saved: Tokens) -> Tokens:
    """All results of a run: what they cost as they are, and what is left after what was saved."""
    whole = sum(part.right * cost.whole for part, cost in zip(parts, costs, strict=True))
    return Tokens(sum(part.right for part in parts), whole, whole - (saved.before - saved.after))


def of_compressible(parts: Sequence[Part], costs: Sequence[Cost]) -> Tokens:
    """Those that are long enough to be told in fewer tokens, had they all been."""
    long = [
        (part.right, cost.whole, cost.short) for part, cost in zip(parts, costs, strict=True) if cost.short
    ]
    before, after = (sum(right * one[at] for right, *one in long) for at in (0, 1))
    return Tokens(sum(right for right, *_ in long), before, after)


def costs(nine: Nine, calls: Sequence[Call]) -> list[Cost]:
    """What the answer to each call costs one of the agents. Writes as the calls do. Raises OmniMindError."""
    with nine.client() as client:
        return [_cost(client, call) for call in calls]


def _cost(client: Client, call: Call) -> Cost:
    params = {"name": call.tool, "arguments": arguments(call)}
    whole = read(client.request("tools/call", params))
    if call.tool not in COMPRESSIBLE or whole < _FROM_TOKENS:
        return Cost(whole)
    budget = {**params, "_meta": {_BUDGET: int(whole * SHARE)}}
    for _ in range(_GOES):
        short = read(client.request("tools/call", budget))
        if short < whole:
            break
    return Cost(whole, short)


def arguments(call: Call) -> dict[str, Any]:
    """What the tool is asked for once, outside of a run: as the generator fills it in, but for names that are new."""
    said = call.arguments.replace("$PAD", "x" * call.size_bytes)
    for word in ("$CANARY", "$NUMBER", "$RUN"):
        said = said.replace(word, "0")  # which may stand for a number as well as in a text
    found: dict[str, Any] = json.loads(said)
    return found


def read(result: Mapping[str, Any]) -> int:
    """Tokens of what a model reads of a result: its texts, and links to what was left out."""
    blocks = result.get("content", ())
    return sum(
        tokens.count(block["text"] if block["type"] == "text" else json.dumps(block, separators=(",", ":")))
        for block in blocks
    )
