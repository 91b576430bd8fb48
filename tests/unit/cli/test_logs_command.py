"""`omnimind logs`: what is shown, across segments and servers, followed and emptied."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fake_fleet import FakeFleet
from fleet import wait_until

from omnimind import cli
from omnimind.cli import logs, logview
from omnimind.errors import Exit
from omnimind.logfiles import moments, segments
from omnimind.orchestrator.logs.files import LogFile

Capture = pytest.CaptureFixture[str]
NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)


class Clock:
    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def log_of(state: Path, name: str, clock: Clock | None = None, limit_bytes: int = 10_000) -> LogFile:
    (state / "logs").mkdir(exist_ok=True)
    return LogFile(state / "logs", name, limit_bytes, 100, wall=clock or Clock())


def nothing_is_packed() -> bool:
    return not any(thread.name.startswith("pack ") for thread in threading.enumerate())


def lines_of(capsys: Capture) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_the_last_lines_of_a_server_are_shown(state: Path, capsys: Capture) -> None:
    log = log_of(state, "memory")
    for text in ("one", "two", "bell\x07"):
        log.write(1, text)
    assert cli.main(["logs", "memory", "-n", "2"]) == Exit.OK
    assert lines_of(capsys) == ["12:00:00.000 two", "12:00:00.000 bell\\x07"]
    assert cli.main(["logs", "memory", "-n", "1", "--json"]) == Exit.OK
    assert json.loads(capsys.readouterr().out)["line"] == "bell\x07"


def test_an_unknown_server_is_answered_with_the_nearest_name(state: Path, capsys: Capture) -> None:
    log_of(state, "memory").write(1, "x")
    assert cli.main(["logs", "memroy"]) == Exit.FAILURE
    assert "did you mean memory?" in capsys.readouterr().err


def test_a_server_that_kept_silent_is_known_to_its_fleet(
    state: Path, fleet: FakeFleet, capsys: Capture
) -> None:
    assert cli.main(["logs", "thinking"]) == Exit.OK
    assert "thinking has written nothing yet" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["../tokens", "/etc/passwd", "..", ""])
def test_nothing_outside_the_folder_is_read(state: Path, name: str) -> None:
    log_of(state, "memory").write(1, "x")
    assert cli.main(["logs", name]) == Exit.FAILURE


def test_all_servers_are_merged_by_time(state: Path, capsys: Capture) -> None:
    clock = Clock()
    memory, git = log_of(state, "memory", clock), log_of(state, "git", clock)
    for number in range(6):
        clock.now += timedelta(seconds=1)
        (memory if number % 2 else git).write(1, f"line {number}")
    assert cli.main(["logs"]) == Exit.OK
    assert [line.split(maxsplit=1)[1] for line in lines_of(capsys)] == [
        f"{'memory' if number % 2 else 'git   '} line {number}" for number in range(6)
    ]
    assert cli.main(["logs", "-n", "2", "--grep", "[0-3]$"]) == Exit.OK
    assert [line[-1] for line in lines_of(capsys)] == ["2", "3"]


def test_segments_are_read_packed_or_not_and_only_as_far_as_needed(
    state: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    log = log_of(state, "memory", clock, limit_bytes=500)
    for number in range(100):
        clock.now += timedelta(minutes=1)
        log.write(1, f"line {number}")
    live = state / "logs" / "memory.log"
    wait_until(lambda: all(path.suffix == ".lz4" for _, path in segments.segments(live)), 10, "all is packed")
    assert len(segments.segments(live)) > 10
    assert cli.main(["logs", "memory"]) == Exit.OK
    assert [int(line.split()[-1]) for line in lines_of(capsys)] == list(range(100))
    assert cli.main(["logs", "memory", "--since", clock.now.isoformat()]) == Exit.OK
    assert [int(line.split()[-1]) for line in lines_of(capsys)] == [99]
    half = (clock.now - timedelta(minutes=49)).isoformat()
    assert cli.main(["logs", "memory", "--since", half, "--grep", "7$"]) == Exit.OK
    assert [int(line.split()[-1]) for line in lines_of(capsys)] == [57, 67, 77, 87, 97]
    opened: list[Path] = []
    read = segments.lines
    monkeypatch.setattr(segments, "lines", lambda part: (opened.append(part), read(part))[1])
    assert cli.main(["logs", "memory", "-n", "1"]) == Exit.OK
    assert opened == []


def test_a_damaged_segment_and_a_damaged_line_hide_nothing_else(state: Path, capsys: Capture) -> None:
    log_of(state, "memory").write(1, "whole")
    (state / "logs" / "memory.log.3.lz4").write_bytes(b"\x04\x22\x4d\x18 no frame")
    with (state / "logs" / "memory.log").open("a") as file:
        file.write("half a li\nthe end of a disk")
    assert cli.main(["logs", "memory"]) == Exit.OK
    assert lines_of(capsys) == ["12:00:00.000 whole", "half a li"]


def test_lines_of_another_day_have_their_date(state: Path, capsys: Capture) -> None:
    log_of(state, "memory", Clock(datetime(2020, 2, 3, 4, 5, 6, tzinfo=UTC))).write(1, "old")
    assert cli.main(["logs", "memory"]) == Exit.OK
    assert lines_of(capsys) == ["2020-02-03 04:05:06.000 old"]


@pytest.mark.parametrize(
    "argv",
    [["--since", "yesterday"], ["--since", "10x"], ["--grep", "("], ["--reset", "-f"], ["-n", "many"]],
)
def test_what_cannot_be_understood_is_usage(state: Path, argv: list[str], capsys: Capture) -> None:
    assert cli.main(["logs", *argv]) == Exit.USAGE
    assert "help" in capsys.readouterr().err


def test_spans_and_times_are_understood() -> None:
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    assert moments.since("90s", now) == now - timedelta(seconds=90)
    assert moments.since("4h", now) == now - timedelta(hours=4)
    assert moments.since("2026-11-22", now) == now - timedelta(hours=12)
    assert moments.since("11:30", now) == now - timedelta(minutes=30)
    assert moments.since("12:00:01", now) == now - timedelta(hours=24) + timedelta(seconds=1)
    assert moments.since("2026-11-22T13:00+02:00", now) == now - timedelta(hours=1)


def followed(log: logview.Log, count: int) -> list[str]:
    seen: list[str] = []

    def look() -> bool:
        seen.extend(json.loads(line)["line"] for line in log.fresh())
        return len(seen) >= count

    wait_until(look, 10, f"{count} lines are seen, after {seen}")
    return seen


def test_following_sees_every_line_once_while_the_log_is_rotated(state: Path) -> None:
    log = log_of(state, "memory", limit_bytes=20_000)
    log.write(1, "before")
    view = logview.Log(state / "logs" / "memory.log")
    assert [json.loads(line)["line"] for line in view.forward(b"")] == ["before"]

    def write() -> None:
        for number in range(3000):
            log.write(1, str(number))
            if number % 100 == 0:
                time.sleep(0.005)

    writer = threading.Thread(target=write)
    writer.start()
    seen = followed(view, 3000)
    writer.join()
    view.close()
    assert seen == [str(number) for number in range(3000)]
    assert len(segments.segments(state / "logs" / "memory.log")) > 5


def test_following_a_log_that_was_not_there_misses_nothing_though_it_is_rotated_before_the_first_look(
    state: Path,
) -> None:
    (state / "logs").mkdir()
    view = logview.Log(state / "logs" / "memory.log")
    log = log_of(state, "memory", limit_bytes=1_000)
    for number in range(40):
        log.write(1, str(number))
    assert followed(view, 40) == [str(number) for number in range(40)]
    view.close()


def test_following_goes_on_after_a_reset_and_from_a_log_that_is_not_there_yet(state: Path) -> None:
    (state / "logs").mkdir()
    view = logview.Log(state / "logs" / "memory.log")
    log = log_of(state, "memory")
    log.write(1, "first")
    assert followed(view, 1) == ["first"]
    log.file.remove()
    log.write(1, "second")
    assert followed(view, 1) == ["second"]
    view.close()


def test_following_on_the_command_line_shows_new_logs_too(
    state: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_of(state, "memory").write(1, "old")
    ticks: list[Callable[[], None]] = [
        lambda: log_of(state, "git").write(1, "from a new one"),
        lambda: log_of(state, "memory").write(1, "not this"),
        lambda: log_of(state, "git").write(1, "from it again"),
    ]

    def tick(_: float) -> None:
        if not ticks:
            raise KeyboardInterrupt
        ticks.pop(0)()

    monkeypatch.setattr(logs, "_NEW_LOGS_S", 0.0)
    monkeypatch.setattr(logs.time, "sleep", tick)
    assert cli.main(["logs", "-f", "--grep", "from|old"]) == Exit.INTERRUPTED
    assert [re.sub(r"^\S+ +", "", line) for line in lines_of(capsys)] == [
        "memory old",
        "git    from a new one",
        "git    from it again",
    ]


def test_reset_removes_everything_and_says_what(state: Path, capsys: Capture) -> None:
    log = log_of(state, "memory", limit_bytes=300)
    for number in range(20):
        log.write(1, f"line {number}")
    wait_until(nothing_is_packed, 10, "the segments to be packed")
    log_of(state, "git").write(1, "x")
    (state / "logs" / "events.jsonl").write_text("{}\n")
    (state / "logs" / "notes.txt").write_text("of somebody else")
    assert cli.main(["logs", "--reset", "git"]) == Exit.OK
    assert "removed 1 files" in capsys.readouterr().out
    assert cli.main(["logs", "--reset"]) == Exit.OK
    said = capsys.readouterr().out
    assert re.search(r"events +1 ", said)
    assert re.search(r"memory +\d+ ", said)
    assert [path.name for path in (state / "logs").iterdir()] == ["notes.txt"]
    assert cli.main(["logs", "--reset", "--json"]) == Exit.OK
    assert json.loads(capsys.readouterr().out) == {"removed": []}


def test_reset_of_a_running_fleet_goes_through_it(state: Path, fleet: FakeFleet, capsys: Capture) -> None:
    log_of(state, "memory").write(1, "x")
    fleet.answer = lambda request: {
        "ok": True,
        "removed": [{"name": "memory", "files": 2, "bytes": 3_500_000}],
    }
    assert cli.main(["logs", "--reset"]) == Exit.OK
    assert fleet.asked == [{"cmd": "logs-reset", "server": None}]
    assert "3.5 MB" in capsys.readouterr().out
    assert (state / "logs" / "memory.log").exists()
