"""Following logs by a cursor: each record once, in pages, over rotation, new logs and a reset."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from server_session import Session


def test_the_last_lines_and_then_what_comes(fleet: Any, logging_server: Session) -> None:
    fleet.says("git", *(f"g{number}" for number in range(20)))
    fleet.says("memory", "m0")
    tail = logging_server.data("tail_logs", lines=3)
    assert [one["text"] for one in tail["records"]] == ["g18", "g19", "m0"]
    for _ in range(2):
        again = logging_server.data("tail_logs", lines=3, cursor=tail["cursor"])
        assert (again["records"], again["more"]) == ([], False)
    fleet.says("git", *(f"g{number}" for number in range(20, 25)))
    fleet.says("new", "n0")
    logging_server.data("append_log", message="r0")
    found, cursor = [], again["cursor"]
    for _ in range(4):
        page = logging_server.data("tail_logs", lines=2, cursor=cursor)
        found += [one["text"] for one in page["records"]]
        cursor = page["cursor"]
    assert sorted(found) == ["g20", "g21", "g22", "g23", "g24", "n0", "r0"]
    assert not page["more"]


def test_nothing_is_missed_over_rotation_and_reset(fleet: Any, logging_server: Session) -> None:
    fleet.log("git", limit_bytes=4096, files=1000)
    cursor = logging_server.data("tail_logs")["cursor"]
    found = []
    for turn in range(12):
        fleet.says("git", *(f"{turn}.{number} {'x' * 60}" for number in range(turn * 5)))
        more = True
        while more:
            page = logging_server.data("tail_logs", lines=17, cursor=cursor)
            found += [one["text"].split()[0] for one in page["records"]]
            cursor, more = page["cursor"], page["more"]
    assert found == [f"{turn}.{number}" for turn in range(12) for number in range(turn * 5)]
    fleet.log("git").file.remove()
    fleet.says("git", "fresh")
    page = logging_server.data("tail_logs", cursor=cursor)
    assert [one["text"] for one in page["records"]] == ["fresh"]
    assert "removed since" in page["note"]


def test_half_a_line_is_not_given_before_it_is_whole(fleet: Any, logging_server: Session) -> None:
    fleet.says("git", "one")
    cursor = logging_server.data("tail_logs")["cursor"]
    record = b'{"time": "2026-11-22T10:00:09.000+00:00", "server": "git", "pid": 7, "line": "two"}\n'
    with (fleet.folder / "git.log").open("ab", buffering=0) as file:
        file.write(record[:40])
        page = logging_server.data("tail_logs", cursor=cursor)
        assert page["records"] == []
        file.write(record[40:])
    page = logging_server.data("tail_logs", cursor=page["cursor"])
    assert [one["text"] for one in page["records"]] == ["two"]


@pytest.mark.roomy
def test_waiting_ends_when_something_comes(fleet: Any, logging_server: Session) -> None:
    fleet.says("git", "one")
    cursor = logging_server.data("tail_logs")["cursor"]
    later = threading.Timer(0.1, fleet.says, ["git", "two"])
    later.start()
    began = time.monotonic()
    page = logging_server.data("tail_logs", cursor=cursor, wait_s=20)
    later.join()
    assert [one["text"] for one in page["records"]] == ["two"]
    assert time.monotonic() - began < 15


def test_a_level_narrows_a_tail(fleet: Any, logging_server: Session) -> None:
    fleet.says("git", "ERROR a", "b", "INFO c")
    tail = logging_server.data("tail_logs", level="error")
    assert [one["text"] for one in tail["records"]] == ["ERROR a"]
    fleet.says("git", "INFO d", "CRITICAL e")
    page = logging_server.data("tail_logs", level="error", cursor=tail["cursor"])
    assert [one["text"] for one in page["records"]] == ["CRITICAL e"]
    assert "other arguments" in logging_server.problem("tail_logs", cursor=tail["cursor"])
