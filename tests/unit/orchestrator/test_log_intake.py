"""What reaches a log of what a process prints: limits, floods, repeated lives, secrets, full disks."""

from __future__ import annotations

import errno
import json
import os
import string
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from omnimind.logfiles.redact import MARK, Redactor
from omnimind.orchestrator.logs import repeats
from omnimind.orchestrator.logs.files import LogFile
from omnimind.orchestrator.logs.intake import BURST_S, LAST_WORDS, LINE_BYTES, TELL_EVERY_S

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
PER_S = 10


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def log_in(folder: Path, clock: Clock, **keys: Any) -> LogFile:
    return LogFile(folder, "x", 100_000_000, 3, lines_per_s=PER_S, wall=lambda: NOON, tick_s=clock, **keys)


def written(folder: Path) -> list[str]:
    path = folder / "x.log"
    return [json.loads(line)["line"] for line in path.read_text().splitlines()] if path.exists() else []


def lines(*texts: str) -> bytes:
    return "".join(f"{text}\n" for text in texts).encode()


# --- the limit


def test_a_burst_passes_and_a_flood_is_counted(tmp_path: Path, clock: Clock) -> None:
    intake = log_in(tmp_path, clock).intake(1)
    burst = int(PER_S * BURST_S)
    intake.feed(lines(*(f"line {number}" for number in range(burst))))
    assert not intake.flooding
    intake.feed(lines(*(f"more {number}" for number in range(1000))))
    assert intake.flooding
    clock.now_s += 1.5
    intake.pause()
    assert not intake.flooding
    *whole, note = written(tmp_path)
    assert whole == [f"line {number}" for number in range(burst)]
    assert note.startswith("omnimind: 1000 lines (8890 bytes) dropped in 1.5 s (limit 10 lines a second")


def test_a_flood_is_sampled_at_the_limit_and_told_every_ten_seconds(tmp_path: Path, clock: Clock) -> None:
    intake = log_in(tmp_path, clock).intake(1)
    chunk = lines(*("flood" for _ in range(100)))
    for _ in range(6000):
        clock.now_s += 0.01
        intake.feed(chunk)
    told = written(tmp_path)
    notes = [text for text in told if text.startswith("omnimind: ")]
    assert 60 / TELL_EVERY_S - 1 <= len(notes) <= 60 / TELL_EVERY_S
    assert len(told) - len(notes) == pytest.approx(PER_S * (BURST_S + 60), rel=0.02)
    intake.end()
    dropped = sum(int(text.split()[1]) for text in written(tmp_path) if "dropped" in text)
    assert dropped + len([t for t in written(tmp_path) if t == "flood"]) - LAST_WORDS == 600_000


def test_long_lines_are_limited_by_their_bytes(tmp_path: Path, clock: Clock) -> None:
    intake = log_in(tmp_path, clock).intake(1)
    for _ in range(200):
        intake.feed(b"x" * 200_000 + b"\n")
        clock.now_s += 0.05
    assert (tmp_path / "x.log").stat().st_size < 20 * LINE_BYTES


def test_the_last_words_after_a_flood_are_kept(tmp_path: Path, clock: Clock) -> None:
    log = log_in(tmp_path, clock)
    intake = log.intake(1)
    intake.feed(lines(*(f"flood {number}" for number in range(10_000))))
    intake.feed(lines("Traceback (most recent call last):", "ModuleNotFoundError: No module named 'x'"))
    intake.pause()
    intake.end()
    assert written(tmp_path)[-1] == log.words_of(1)[-1] == "ModuleNotFoundError: No module named 'x'"
    assert len(log.words_of(1)) == LAST_WORDS


def test_processes_of_one_server_share_its_limit_and_another_server_does_not(
    tmp_path: Path, clock: Clock
) -> None:
    log, other = log_in(tmp_path, clock), LogFile(tmp_path, "y", 1_000_000, 3, tick_s=clock)
    first, second = log.intake(1), log.intake(2)
    first.feed(lines(*("flood" for _ in range(1000))))
    second.feed(lines("unheard"))
    third = other.intake(3)
    third.feed(lines("heard"))
    assert second.flooding
    assert not third.flooding


# --- cutting


@given(
    texts=st.lists(st.text(alphabet=string.ascii_letters, min_size=1, max_size=40), min_size=1, max_size=20),
    cuts=st.lists(st.integers(0, 800), max_size=10),
)
def test_lines_are_whole_however_they_arrive(texts: list[str], cuts: list[int]) -> None:
    kept: list[str] = []
    log = LogFile(Path("nowhere"), "x", 1000, 1, lines_per_s=1000)
    log.keep = lambda _pid, line, *, write: kept.append(line)  # type: ignore[method-assign, assignment, misc]
    intake = log.intake(1)
    data = lines(*texts)
    for begin, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(data)], strict=True):
        intake.feed(data[begin:end])
    intake.end()
    assert kept == texts


def test_the_rest_of_a_line_that_was_cut_is_not_taken_for_another(tmp_path: Path, clock: Clock) -> None:
    intake = log_in(tmp_path, clock).intake(1)
    for _ in range(10):
        intake.feed(b"y" * 60_000)
    intake.feed(b"end of it\nnext\n")
    first, second = written(tmp_path)
    assert set(first) == {"y"}
    assert len(first) <= LINE_BYTES
    assert second == "next"


# --- lives that repeat


def live(log: LogFile, clock: Clock, pid: int, *texts: str, for_s: float = 1.0) -> None:
    intake = log.intake(pid)
    intake.feed(lines(*texts))
    clock.now_s += for_s
    intake.end()


def test_a_crash_loop_is_told_once_and_then_counted(tmp_path: Path, clock: Clock) -> None:
    log = log_in(tmp_path, clock)
    for pid in range(1, 101):
        live(log, clock, pid, f"12:00:{pid:02} starting as {pid}", "Traceback:", "OSError: no")
    told = written(tmp_path)
    assert told[:3] == ["12:00:01 starting as 1", "Traceback:", "OSError: no"]
    assert told[3] == "omnimind: ended after 3 lines, the same as pid 1"
    assert told[-1] == "omnimind: ended after 3 lines, the same as pid 1, 64 times by now"
    assert len(told) == 3 + 7
    assert log.words_of(100)[-1] == "OSError: no"
    assert log.last_lines[-1] == "OSError: no"


def test_what_is_new_in_a_crash_loop_is_written(tmp_path: Path, clock: Clock) -> None:
    log = log_in(tmp_path, clock)
    live(log, clock, 1, "starting", "loading", "crash")
    live(log, clock, 2, "starting", "loading", "another crash")
    assert written(tmp_path)[3:] == ["omnimind: 2 lines as at the start of pid 1", "another crash"]
    live(log, clock, 3, "starting", "loading", "another crash")
    live(log, clock, 4, "starting", "loading", "crash")
    assert written(tmp_path)[5:] == [
        "omnimind: ended after 3 lines, the same as pid 2",
        "omnimind: ended after 3 lines, the same as pid 1",
    ]


def test_the_whole_text_comes_again_after_an_hour(tmp_path: Path, clock: Clock) -> None:
    log = log_in(tmp_path, clock)
    for _ in range(2):
        live(log, clock, 1, "crash", for_s=2.0)
        live(log, clock, 2, "crash", for_s=2.0)
        clock.now_s += repeats.WHOLE_AGAIN_S
    assert written(tmp_path).count("crash") == 2


def test_the_output_of_a_server_that_lived_is_never_folded(tmp_path: Path, clock: Clock) -> None:
    log = log_in(tmp_path, clock)
    for pid in (1, 2, 3):
        live(log, clock, pid, "listening", for_s=repeats.SHORT_LIFE_S)
    assert written(tmp_path) == ["listening"] * 3


# --- secrets

key_texts = st.text(alphabet=string.ascii_letters + string.digits + "+/=_-", min_size=8, max_size=60).filter(
    lambda text: any(c.isalpha() for c in text)
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    secret=key_texts,
    before=st.text(alphabet=string.printable, max_size=50),
    padding=st.integers(0, 2 * LINE_BYTES),
    cuts=st.lists(st.integers(1, 20_000), max_size=6),
    flood=st.booleans(),
)
def test_a_secret_is_never_in_the_file_wherever_the_output_is_cut(
    tmp_path_factory: pytest.TempPathFactory,
    secret: str,
    before: str,
    padding: int,
    cuts: list[int],
    flood: bool,
) -> None:
    redactor = Redactor([secret])
    if redactor.longest == 0:
        return
    folder, clock = tmp_path_factory.mktemp("s"), Clock()
    log = log_in(folder, clock, redactor=redactor)
    intake = log.intake(1)
    if flood:
        intake.feed(lines(*("flood" for _ in range(1000))))
    text = f"{before}{' ' * padding}{secret} after\n{secret}\nlast {secret}".encode()
    places = [0, *sorted(cut for cut in cuts if cut < len(text)), len(text)]
    for begin, end in pairwise(places):
        intake.feed(text[begin:end])
    intake.end()
    log.write(1, f"ours: {secret}")
    log.close()
    everything = (folder / "x.log").read_text().replace(MARK, "")
    assert secret not in everything
    assert all(secret not in line.replace(MARK, "") for line in log.last_lines)


def test_a_secret_across_the_cut_of_a_long_line_leaves_no_half(tmp_path: Path, clock: Clock) -> None:
    secret = "abcdefghijklmnop0123456789"
    for shift in range(-30, 3000, 7):
        log = log_in(tmp_path, Clock(), redactor=Redactor([secret]))
        intake = log.intake(1)
        intake.feed(b"." * (LINE_BYTES - 30 + shift) + secret.encode() + b"." * 50_000 + b"\n")
        log.close()
    assert secret[:6] not in (tmp_path / "x.log").read_text()


def test_a_key_that_began_in_a_flood_is_hidden_when_the_flood_ends(tmp_path: Path, clock: Clock) -> None:
    intake = log_in(tmp_path, clock).intake(1)
    intake.feed(lines(*("flood" for _ in range(1000)), "-----BEGIN PRIVATE KEY-----"))
    clock.now_s += 60
    intake.feed(lines("MIIEvQIBADANBgkqhkiG", "-----END PRIVATE KEY-----", "after"))
    assert "MIIE" not in (tmp_path / "x.log").read_text()
    assert written(tmp_path)[-1] == "after"


# --- a disk that is full


class FullDisk:
    """`os.write` as it is while a disk has `room` bytes left."""

    def __init__(self, room: int) -> None:
        self.room = room
        self._write = os.write

    def __call__(self, descriptor: int, data: bytes) -> int:
        if self.room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        part = self._write(descriptor, data[: self.room])
        self.room -= part
        return part


def test_a_full_disk_loses_lines_and_says_so_when_there_is_room(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = log_in(tmp_path, clock)
    disk = FullDisk(room=250)
    monkeypatch.setattr(os, "write", disk)
    for number in range(20):
        log.write(1, f"line {number}")
    assert log.file.lost == 18
    assert log.file.why is not None
    assert written(tmp_path) == ["line 0", "line 1"]
    disk.room = 1_000_000
    log.write(1, "room again")
    assert written(tmp_path)[2:] == [
        "omnimind: 18 lines lost: No space left on device",
        "room again",
    ]
    assert log.file.why is None
