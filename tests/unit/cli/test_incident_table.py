"""The incident table: the original diagnosis, from events and logs alone."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from omnimind.cli import incident
from omnimind.orchestrator.events import Events
from omnimind.orchestrator.exits import Cause
from omnimind.orchestrator.lastwords import Kind
from omnimind.orchestrator.logs.files import LogFile
from omnimind.orchestrator.logs.rotating import Room

BEGAN = datetime(2025, 12, 13, 8, tzinfo=UTC)
HELD = Cause("port 4321 is held by node (pid 4121)", False, "stop it", Kind.PORT)
IMPORT = Cause("import error: No module named 'psutil'", False, "install it", Kind.IMPORT)


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def wall(self) -> datetime:
        return BEGAN + timedelta(seconds=self.now_s)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def events(tmp_path: Path, clock: Clock) -> Events:
    (tmp_path / "logs").mkdir()
    return Events(tmp_path / "logs", Room(20_000, 50, 1e9), clock.wall, clock)


def log_of(folder: Path, name: str, clock: Clock) -> LogFile:
    return LogFile(folder / "logs", name, 10_000, 50, wall=clock.wall, tick_s=clock)


def four_hours(folder: Path, events: Events, clock: Clock) -> None:
    """Two servers fail once a minute each, one serves."""
    memory = log_of(folder, "memory", clock)
    events.fleet("starts")
    for minute in range(240):
        clock.now_s = minute * 60.0 + 30
        for name, cause in (("memory", HELD), ("system_info", IMPORT)):
            events.moved(name, "starting")
            events.moved(name, "backoff", cause)
        memory.write(1, "OSError: [Errno 98] Address already in use")
        memory.note(1, "a note of ours")
        events.stats([{"name": "git", "calls": 10 * (minute + 1), "failed": minute + 1}])
        events.flush()
    clock.now_s = 4 * 3600.0
    events.fleet("stops")


def test_the_original_incident_is_told_in_one_table(tmp_path: Path, events: Events, clock: Clock) -> None:
    four_hours(tmp_path, events, clock)
    text = incident.table(tmp_path, 5 * 3600, now=clock.wall())
    head, _, *rows = text.splitlines()
    assert "(the fleet ran 4.0 h of it): 480 failures, 2,160 completed calls" in head
    assert rows[0].split()[:4] == ["memory", "240", "1.00", "0"]
    assert "port 4321 is held by node (pid 4121)" in rows[0]
    assert "OSError: [Errno 98] Address already in use" in rows[0]
    assert rows[2].split()[:4] == ["git", "0", "0.00", "2160"]
    assert "system_info: import error: No module named 'psutil'; help: install it" in text


def test_a_shorter_span_sees_less(tmp_path: Path, events: Events, clock: Clock) -> None:
    four_hours(tmp_path, events, clock)
    found = json.loads(incident.table(tmp_path, 3600, json=True, now=clock.wall()))
    memory = next(row for row in found["servers"] if row["server"] == "memory")
    assert memory["failures"] == pytest.approx(60, abs=1)
    assert memory["failures_per_min"] == pytest.approx(1, abs=0.05)
    assert memory["kinds"] == {"port held": memory["failures"]}
    assert memory["log_bytes_per_h"] == pytest.approx(memory["log_bytes"], rel=0.05)
    assert memory["calls"] == 0
    assert found["ran_s"] == pytest.approx(3600, abs=60)


def test_hours_in_which_nothing_ran_do_not_thin_the_rate(
    tmp_path: Path, events: Events, clock: Clock
) -> None:
    for begin_s in (0.0, 36_000.0):
        clock.now_s = begin_s
        events.fleet("starts")
        for _ in range(6):
            clock.now_s += 10
            events.moved("memory", "starting")
            events.moved("memory", "backoff", HELD)
        events.flush()
        clock.now_s = begin_s + 120
        events.phase("git", "starting", "ready")
    found = json.loads(incident.table(tmp_path, 86_400, json=True, now=clock.wall()))
    assert found["ran_s"] == 240
    assert next(row for row in found["servers"] if row["server"] == "memory")["failures_per_min"] == 3


def test_an_empty_or_missing_folder_is_said_so(tmp_path: Path) -> None:
    assert "nothing is known" in incident.table(tmp_path, 3600)


def test_what_a_server_prints_cannot_reach_the_terminal(tmp_path: Path, events: Events, clock: Clock) -> None:
    events.phase("memory", "starting", "backoff", "bad \x1b[31m", 1, "exit code")
    assert "\x1b" not in incident.table(tmp_path, 3600, now=clock.wall())
