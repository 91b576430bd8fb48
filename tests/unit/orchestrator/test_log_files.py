"""Log files: JSON lines, rotation into lz4 frames, and pumps that never make a child wait."""

from __future__ import annotations

import json
import os
import re
import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import lz4.frame
from fleet import wait_until

from omnimind.logfiles import segments
from omnimind.orchestrator.logs.files import KEPT_LINES, LINE_BYTES, LogFile, pump

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def log_in(folder: Path, limit_bytes: int = 10_000, segments: int = 3) -> LogFile:
    return LogFile(folder, "memory", limit_bytes, segments, wall=lambda: NOON)


def test_a_line_is_a_json_object_with_time_server_and_pid(tmp_path: Path) -> None:
    log_in(tmp_path).write(42, 'ho "ho" \u2603')
    entry = json.loads((tmp_path / "memory.log").read_text())
    assert entry == {
        "time": "2026-11-21T12:00:00.000+00:00",
        "server": "memory",
        "pid": 42,
        "line": 'ho "ho" \u2603',
    }


def test_a_log_is_closed_to_others(tmp_path: Path) -> None:
    log_in(tmp_path).write(1, "x")
    assert stat.S_IMODE((tmp_path / "memory.log").stat().st_mode) == 0o600


def settled(folder: Path) -> list[str]:
    """The files of a folder, once every segment is packed."""

    def names() -> list[str]:
        return sorted(p.name for p in folder.iterdir())

    wait_until(lambda: not any(re.search(r"\.(part|\d+)$", n) for n in names()), 10, "all is packed")
    return names()


def test_a_full_log_is_rotated_into_a_bounded_number_of_lz4_frames(tmp_path: Path) -> None:
    log = log_in(tmp_path, limit_bytes=1000, segments=2)
    for number in range(100):
        log.write(1, f"line {number}")
    packed = [name for name in settled(tmp_path) if name != "memory.log"]
    assert len(packed) == 2
    assert all(name.endswith(".lz4") for name in packed)
    parts = [list(segments.lines(part)) for part in segments.parts(tmp_path / "memory.log")]
    numbers = [int(json.loads(line)["line"].split()[1]) for part in parts for line in part]
    assert numbers == list(range(numbers[0], 100))
    assert all(sum(map(len, part)) <= 1000 for part in parts)
    assert lz4.frame.decompress((tmp_path / packed[0]).read_bytes()).startswith(b'{"time": ')


def test_a_log_goes_on_where_an_earlier_process_stopped(tmp_path: Path) -> None:
    log_in(tmp_path, limit_bytes=150).write(1, "first")
    log_in(tmp_path, limit_bytes=150).write(1, "second")
    assert settled(tmp_path) == ["memory.log", "memory.log.1.lz4"]


def test_a_segment_that_a_killed_process_left_unpacked_is_packed_by_the_next(tmp_path: Path) -> None:
    (tmp_path / "memory.log.7").write_text('{"time": "2026-11-21T11:00:00.000+00:00", "line": "old"}\n')
    log_in(tmp_path).write(1, "new")
    assert settled(tmp_path) == ["memory.log", "memory.log.7.lz4"]
    assert segments.next_segment(tmp_path / "memory.log").name == "memory.log.8"


def test_age_rotates_what_is_old_and_removes_what_is_older(tmp_path: Path) -> None:
    now = [NOON]
    log = LogFile(tmp_path, "memory", 10_000, 3, age_s=3600, wall=lambda: now[0])
    log.write(1, "first")
    now[0] += timedelta(minutes=59)
    log.write(1, "still the same file")
    now[0] += timedelta(minutes=2)
    log.write(1, "a new file")
    assert settled(tmp_path) == ["memory.log", "memory.log.1.lz4"]
    assert len((tmp_path / "memory.log").read_text().splitlines()) == 1
    written = (tmp_path / "memory.log.1.lz4").stat().st_mtime
    now[0] = datetime.fromtimestamp(written + 7200, UTC)
    log.file.tend()
    assert "memory.log.1.lz4" not in settled(tmp_path)


def test_a_folder_that_cannot_be_written_loses_lines_and_nothing_else(tmp_path: Path) -> None:
    log = log_in(tmp_path / "missing")
    log.write(1, "unheard")
    assert list(log.last_lines) == ["unheard"]


def test_a_link_in_place_of_the_log_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.touch()
    (tmp_path / "memory.log").symlink_to(target)
    log_in(tmp_path).write(1, "x")
    assert target.read_bytes() == b""


def pumped(log: LogFile, *chunks: bytes) -> None:
    read, write = os.pipe()

    def feed() -> None:
        with open(write, "wb", buffering=0) as pipe:
            for chunk in chunks:
                pipe.write(chunk)

    feeder = threading.Thread(target=feed)
    feeder.start()
    anyio.run(pump, read, log, 7)
    feeder.join()


def test_lines_are_put_together_across_reads_and_the_last_needs_no_newline(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    pumped(log, b"one\ntw", b"o\r\n", b"three")
    assert list(log.last_lines) == ["one", "two", "three"]


def test_a_line_without_end_is_cut(tmp_path: Path) -> None:
    log = log_in(tmp_path, limit_bytes=10_000_000)
    pumped(log, b"x" * 300_000, b"\nafter\n")
    assert max(len(line) for line in log.last_lines) <= LINE_BYTES
    assert log.last_lines[-1] == "after"


def test_bytes_that_are_no_text_do_not_stop_the_pump(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    pumped(log, b"\xff\xfe\x00\n", b"fine\n")
    assert log.last_lines[-1] == "fine"


def test_only_the_last_lines_stay_in_memory_and_blank_ones_are_not_last_words(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    for number in range(100):
        log.write(1, str(number))
    log.write(1, "   ")
    assert len(log.last_lines) == KEPT_LINES
    assert log.last_lines[-1] == "99"
