"""What is made of two looks at a fleet: exits apart from kills, tokens as counted."""

from __future__ import annotations

from typing import Any

from omnimind.bench import health
from omnimind.bench.health import Cost, Look
from omnimind.bench.report import Tokens
from omnimind.stress.report import Latency, Part


def status(crashes: dict[str, int], *, gateway: int = 0, orchestrator: int = 7) -> dict[str, Any]:
    rows = [
        {"name": name, "kind": "worker", "state": "ready", "restarts": count, "crashes": count}
        for name, count in crashes.items()
    ]
    rows.append({"name": "far", "kind": "http", "state": "ready", "restarts": 0, "crashes": 0})
    return {
        "orchestrator": {"pid": orchestrator},
        "gateway": {"restarts": gateway, "crashes": gateway},
        "servers": rows,
    }


def metrics(results: int, before: int, after: int) -> str:
    names = ("results", "tokens_before", "tokens_after")
    counts = zip(names, (results, before, after), strict=True)
    return "".join(f"# TYPE x counter\nomnimind_compressed_{name}_total {count}\n" for name, count in counts)


def part(right: int) -> Part:
    return Part("tool", right, right, 0, {}, 1.0, Latency(1, 1, 1, 1, 1, 1))


def test_exits_are_those_between_two_looks_and_starts_all_that_ever_were() -> None:
    before, after = status({"a": 1, "b": 0}), status({"a": 3, "b": 0}, gateway=1)
    starts, exits = health.crashes(before, after)
    assert exits == 3
    assert starts == 1 + (3 + 1) + 1 + 2


def test_a_new_orchestrator_is_an_exit_and_its_counters_begin_anew() -> None:
    before, after = status({"a": 5}), status({"a": 1}, orchestrator=8)
    assert health.crashes(before, after) == (2 + 2 + 1, 1 + 1)


def test_kills_of_ours_are_no_exits() -> None:
    before, after = Look(status({"a": 0}), metrics(0, 0, 0)), Look(status({"a": 3}), metrics(0, 0, 0))
    found = health.of_run(before, after, 2, [part(1)], [Cost(10)])
    assert (found.kills, found.exits) == (2, 1)
    assert found.crash_rate == 1 / found.starts


def test_tokens_are_counted_by_the_gateway_and_weighed_by_what_was_answered() -> None:
    saved = health.shortened(metrics(1, 100, 50), metrics(4, 1_100, 300))
    assert saved == Tokens(3, 1_000, 250)
    assert saved.saved == 0.75
    parts, costs = [part(10), part(2)], [Cost(50), Cost(2_000, 400)]
    assert health.of_all(parts, costs, saved) == Tokens(12, 4_500, 3_750)
    assert health.of_compressible(parts, costs) == Tokens(2, 4_000, 800)
