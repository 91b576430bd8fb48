"""Log files as they are in life: rotated, packed, written to, damaged, removed, and many."""

from __future__ import annotations

import gc
import os
import resource
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fleet import wait_until
from log_pages import Texts, pages
from server_session import Session

from omnimind.logfiles import segments


def test_a_clock_that_was_set_back_hides_nothing(fleet: Any, logging_server: Session) -> None:
    for number in range(30):
        if number % 7 == 6:
            fleet.clock.now -= timedelta(seconds=20)
        fleet.says(f"s{number % 2}", f"n{number}")
    for order in ("newest", "oldest"):
        assert sorted(pages(logging_server, order=order, limit=4)) == sorted(f"n{n}" for n in range(30))


def test_nothing_is_lost_or_given_twice_over_rotation_and_packing(
    fleet: Any, logging_server: Session
) -> None:
    fleet.log("git", limit_bytes=20_000, files=100)
    written = [f"n{number} {'x' * 300}" for number in range(400)]
    fleet.says("git", *written[:200])
    first = logging_server.data("search_logs", limit=90)
    backward = [one["text"] for one in first["records"]]
    forward_page = logging_server.data("search_logs", order="oldest", limit=150, query="x*")
    fleet.says("git", *written[200:])
    wait_until(lambda: fleet.packed("git"), 10, "the segments are packed")
    assert len(list(fleet.folder.glob("git.log.*.lz4"))) > 5
    backward += pages(logging_server, first["cursor"], limit=90)
    assert backward == written[:200][::-1]
    forward = [one["text"] for one in forward_page["records"]]
    forward += pages(logging_server, forward_page["cursor"], order="oldest", limit=150, query="x*")
    assert forward == written


def test_a_search_while_a_log_is_written_sees_whole_lines_only(fleet: Any, logging_server: Session) -> None:
    fleet.log("git", limit_bytes=30_000, files=200)
    stop = threading.Event()
    written = []

    def write() -> None:
        while not stop.is_set() and len(written) < 1500:
            written.append(f"n{len(written)} {'x' * 80} end")
            fleet.says("git", written[-1])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(4):
            before = len(written)
            found = pages(logging_server, order="oldest", limit=500)
            assert found == written[: len(found)]
            assert len(found) >= before - 1
    finally:
        stop.set()
        writer.join()


def test_a_name_of_a_log_is_no_path(fleet: Any, logging_server: Session, tmp_path: Path) -> None:
    (tmp_path / "outside.log").write_text(
        '{"time": "2026-11-22T10:00:00.000+00:00", "server": "x", "line": "no"}\n'
    )
    for name in ("../outside", "/etc/passwd", "git/../../outside", "@records/../../../outside"):
        assert "there is no log" in logging_server.problem("search_logs", sources=[name])


def test_lines_that_are_no_records_are_shown_as_they_are(fleet: Any, texts: Texts) -> None:
    fleet.says("git", "one")
    with (fleet.folder / "git.log").open("ab") as file:
        file.write(
            b'not json\n{"time": "2026-11-22T10:00:02.000+00:00", "server": "git"}\n[1]\n\xff\xfe raw\n{"line": 7}\n'
        )
    assert len(texts()) == 6
    assert texts(query="raw") == ["\ufffd\ufffd raw"]


def test_segments_that_vanish_or_are_damaged_stop_nothing(
    fleet: Any, logging_server: Session, texts: Texts
) -> None:
    fleet.log("git", limit_bytes=20_000, files=100)
    fleet.says("git", *(f"n{number} {'x' * 300}" for number in range(300)))
    wait_until(lambda: fleet.packed("git"), 10, "the segments are packed")
    parts = [path for _, path in segments.segments(fleet.folder / "git.log")]
    parts[0].write_bytes(parts[0].read_bytes()[:200])
    parts[1].write_bytes(b"nothing of the kind")
    parts[2].unlink()
    found = pages(logging_server, limit=500)
    assert found[0].startswith("n299 ")
    assert 140 < len(found) < 200, "what is whole is found"


@pytest.mark.parametrize("name", ["git.log", "git.log.1"])
def test_a_log_that_is_no_file_is_passed_over(fleet: Any, texts: Texts, name: str) -> None:

    os.mkfifo(fleet.folder / name)
    fleet.says("memory", "one")
    assert texts() == ["one"]


def test_many_segments_need_few_descriptors_and_too_many_logs_are_said_to_be(
    fleet: Any, logging_server: Session
) -> None:
    fleet.log("git", limit_bytes=4096, files=200)
    fleet.says("git", *(f"n{number} {'x' * 300}" for number in range(1000)))
    wait_until(lambda: fleet.packed("git"), 10, "the segments are packed")
    gc.collect()  # what other tests left would be given back in the midst of this one
    used = len(os.listdir("/proc/self/fd"))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 40, hard))
    try:
        assert len(pages(logging_server, limit=500)) == 1000
        fleet.says("memory", "one")
        for number in range(60):
            (fleet.folder / f"s{number}.log").write_bytes((fleet.folder / "memory.log").read_bytes())
        assert "fewer" in logging_server.problem("search_logs")
        assert len(logging_server.data("search_logs", sources=["s1", "s2"])["records"]) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(os.listdir("/proc/self/fd")) <= used + 10, "none is left open"
