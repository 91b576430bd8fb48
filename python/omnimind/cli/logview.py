"""Logs as they are read: across packed segments and the live file, of one server or merged by time, and on.

Works on the files alone, so it needs no fleet. Rules: a line is shown once, whatever is rotated meanwhile, because
the live file is held open from before the history is read; only lines that end are shown; nothing is parsed that is
not shown or searched, since the time stands at the same place of every line.
"""

from __future__ import annotations

import heapq
import json
import os
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from omnimind.logfiles import segments

Keep = Callable[[bytes], bool]

_CHUNK = 1 << 20


def fields(line: bytes) -> dict[str, Any] | None:
    """What a line says; None for one that is damaged."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


def matching(pattern: re.Pattern[str] | None) -> Keep:
    """True for lines whose text holds the pattern."""
    if pattern is None:
        return lambda _: True

    def keep(line: bytes) -> bool:
        entry = fields(line)
        text = line.decode("utf-8", "replace") if entry is None else str(entry.get("line", ""))
        return pattern.search(text) is not None

    return keep


class Log:
    """One log: its past, and what comes."""

    def __init__(self, live: Path) -> None:
        self._live = live
        self._file: int | None = None
        self._read = 0
        self._pending = b""
        self._number = 0
        self._older = [path for _, path in self._begin()]
        self._end = self._read = self._end_of_lines()

    def _end_of_lines(self) -> int:
        """Behind the last whole line that is there now."""
        if self._file is None:
            return 0
        size = os.fstat(self._file).st_size
        begin = max(0, size - _CHUNK)
        return begin + os.pread(self._file, size - begin, begin).rfind(b"\n") + 1

    def close(self) -> None:
        """Let the file go."""
        if self._file is not None:
            os.close(self._file)
        self._file, self._read, self._pending = None, 0, b""

    # --- what was

    def forward(self, after: bytes) -> Iterator[bytes]:
        """Every line since a stamp, oldest first."""
        parts = [*self._parts(), self._now]
        for at, part in enumerate(parts):
            following = next(parts[at + 1](), b"") if at + 1 < len(parts) else b""
            if after and following and segments.stamp(following) < after:
                continue
            yield from (line for line in part() if not after or segments.stamp(line) >= after)

    def last(self, most: int, after: bytes, keep: Keep) -> list[bytes]:
        """The last lines since a stamp that are wanted, oldest first."""
        found: list[bytes] = []
        for part in [self._now, *reversed(self._parts())]:
            begins = segments.stamp(next(part(), b""))
            wanted = (line for line in part() if segments.stamp(line) >= after and keep(line))
            found = [*deque(wanted, maxlen=most - len(found)), *found]
            if len(found) >= most or (begins and begins < after):
                break
        return found

    def _parts(self) -> list[Callable[[], Iterator[bytes]]]:
        return [lambda path=path: segments.lines(path) for path in self._older]  # type: ignore[misc]

    def _now(self) -> Iterator[bytes]:
        at = 0

        def read(count: int) -> bytes:
            nonlocal at
            if self._file is None:
                return b""
            chunk = os.pread(self._file, min(count, self._end - at), at)
            at += len(chunk)
            return chunk

        return segments.whole_lines(read)

    # --- what comes

    def fresh(self) -> list[bytes]:
        """Whole lines that came since the last look; goes on with the next file when this one is rotated."""
        found = self._fresh_of_this()
        if self._rotated():
            found += self._fresh_of_this()  # what came between the two looks
            # Of the segment that the held file became all is read; if none was there, nothing of it.
            known = self._number if self._file is not None else self._number - 1
            for number, path in self._begin():
                if number > known:  # filled and rotated since
                    found += segments.lines(path)
            found += self._fresh_of_this()
        return found

    def _begin(self) -> list[tuple[int, Path]]:
        """Hold the live file open, and list what was before it; it will be the segment `_number`."""
        while True:
            self.close()
            before = segments.segments(self._live)
            self._open()
            if [number for number, _ in segments.segments(self._live)] == [number for number, _ in before]:
                self._number = before[-1][0] + 1 if before else 1
                return before

    def _open(self) -> None:
        try:
            self._file = os.open(self._live, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            self._file = None

    def _rotated(self) -> bool:
        try:
            there = os.stat(self._live, follow_symlinks=False)
        except FileNotFoundError:
            return False
        if self._file is None:
            return True
        here = os.fstat(self._file)
        return (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino)

    def _fresh_of_this(self) -> list[bytes]:
        found: list[bytes] = []
        while self._file is not None and (chunk := os.pread(self._file, _CHUNK, self._read)):
            self._read += len(chunk)
            *lines, self._pending = (self._pending + chunk).split(b"\n")
            found += lines
        return found


def history(logs: Sequence[Log], most: int | None, after: bytes, keep: Keep) -> Iterator[bytes]:
    """The past of several logs, merged by time; the last `most` lines, or all."""
    if most is None:
        merged = heapq.merge(*(log.forward(after) for log in logs), key=segments.stamp)
        return (line for line in merged if keep(line))
    merged = heapq.merge(*(log.last(most, after, keep) for log in logs), key=segments.stamp)
    return iter(deque(merged, maxlen=most))
