"""Events: what is written, and how little of what repeats."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from omnimind.orchestrator.events import FILE, WHOLE, Events
from omnimind.orchestrator.exits import Cause
from omnimind.orchestrator.lastwords import Kind
from omnimind.orchestrator.logs.rotating import Room

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def events(tmp_path: Path, clock: Clock) -> Iterator[Events]:
    made = Events(tmp_path, Room(1_000_000, 3, 1e9), lambda: NOON + timedelta(seconds=clock.now_s), clock)
    yield made
    made.file.close()


def written(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / FILE).read_text().splitlines()]


def test_a_move_says_from_where_to_where_and_why(tmp_path: Path, events: Events) -> None:
    events.moved("memory", "starting")
    events.moved("memory", "backoff", Cause("exit code 1", False, "see its log", Kind.EXIT), 7)
    events.moved("memory", "backoff")
    assert written(tmp_path) == [
        {
            "time": "2026-11-22T12:00:00.000+00:00",
            "event": "phase",
            "server": "memory",
            "from": "stopped",
            "to": "starting",
        },
        {
            "time": "2026-11-22T12:00:00.000+00:00",
            "event": "phase",
            "server": "memory",
            "from": "starting",
            "to": "backoff",
            "kind": "exit code",
            "reason": "exit code 1",
            "fix": "see its log",
            "pid": 7,
        },
    ]


def test_a_loop_costs_little_and_nothing_is_lost_from_the_count(
    tmp_path: Path, events: Events, clock: Clock
) -> None:
    for number in range(1000):
        clock.now_s += 6
        events.moved("memory", "starting")
        events.moved("memory", "backoff", Cause(f"killed as pid {number}", kind=Kind.SIGNAL))
        if number % 10 == 9:
            events.flush()
    events.flush()
    found = written(tmp_path)
    whole = [entry for entry in found if entry["event"] == "phase"]
    counted = [row for entry in found if entry["event"] == "repeats" for row in entry["of"]]
    failures = sum(entry["to"] == "backoff" for entry in whole)
    failures += sum(row["count"] for row in counted if row["to"] == "backoff")
    assert failures == 1000
    assert len(whole) <= 3 * WHOLE + 2 * 2 * 2
    assert (tmp_path / FILE).stat().st_size < 40_000


def test_another_reason_is_news(tmp_path: Path, events: Events) -> None:
    for number in range(10):
        events.phase("memory", "starting", "backoff", f"exit code {number}")
    events.phase("memory", "starting", "backoff", "import error: x")
    assert written(tmp_path)[-1]["reason"] == "import error: x"
    assert len(written(tmp_path)) == WHOLE + 1


def test_calls_are_told_as_they_grow_also_over_a_new_gateway(tmp_path: Path, events: Events) -> None:
    for calls, failed in ((5, 0), (5, 0), (9, 1), (2, 0)):
        events.stats([{"name": "git", "calls": calls, "failed": failed}])
        events.flush()
    assert [entry["servers"] for entry in written(tmp_path)] == [
        [{"name": "git", "calls": 5, "failed": 0}],
        [{"name": "git", "calls": 4, "failed": 1}],
        [{"name": "git", "calls": 2, "failed": 0}],
    ]
