"""One log file a process: `logs/<name>.log`, JSON lines, rotated into lz4 frames.

Rules: reading a child's stderr never waits for anything, so the child never blocks on it; a line is cut at
8 KiB; the last lines stay in memory for `status`. A full disk loses log lines, never the process.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import anyio

LINE_BYTES = 8 * 1024
KEPT_LINES = 20
_CHUNK = 64 * 1024


def wall_clock() -> datetime:
    """Now, for people; nothing decides by it."""
    return datetime.now(UTC)


class LogFile:
    """The log of one server, over all its processes."""

    def __init__(
        self,
        folder: Path,
        name: str,
        limit_bytes: int,
        segments: int,
        clock: Callable[[], datetime] = wall_clock,
    ) -> None:
        self._path = folder / f"{name}.log"
        self._name = name
        self._limit_bytes = limit_bytes
        self._segments = segments
        self._clock = clock
        self._descriptor: int | None = None
        self._size = 0
        self.last_lines: deque[str] = deque(maxlen=KEPT_LINES)

    def write(self, pid: int, line: str) -> None:
        """Append one line, rotating first if the file is full."""
        if line.strip():
            self.last_lines.append(line)
        time = self._clock().isoformat(timespec="milliseconds")
        entry = {"time": time, "server": self._name, "pid": pid, "line": line}
        record = (json.dumps(entry, ensure_ascii=False) + "\n").encode("utf-8", "replace")
        with contextlib.suppress(OSError):
            descriptor = self._opened()
            if self._size and self._size + len(record) > self._limit_bytes:
                self._rotate()
                descriptor = self._opened()
            self._size += os.write(descriptor, record)

    def close(self) -> None:
        """Close the file; the next line opens it again."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _opened(self) -> int:
        if self._descriptor is None:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self._descriptor = os.open(self._path, flags, 0o600)
            self._size = os.fstat(self._descriptor).st_size
        return self._descriptor

    def _segment(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}.lz4")

    def _rotate(self) -> None:
        import lz4.frame  # type: ignore[import-untyped]

        self.close()
        for number in range(self._segments, 1, -1):
            with contextlib.suppress(FileNotFoundError):
                os.replace(self._segment(number - 1), self._segment(number))
        if self._segments > 0:
            packed = lz4.frame.compress(self._path.read_bytes())
            descriptor = os.open(
                self._segment(1), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600
            )
            with open(descriptor, "wb") as file:
                file.write(packed)
        self._path.unlink(missing_ok=True)
        self._size = 0


async def pump(descriptor: int, log: LogFile, pid: int) -> None:
    """Copy a pipe into the log, line by line, until every writer is gone; closes the descriptor."""
    pending = b""
    try:
        os.set_blocking(descriptor, False)
        while True:
            await anyio.wait_readable(descriptor)
            try:
                chunk = os.read(descriptor, _CHUNK)
            except BlockingIOError:
                continue
            *lines, pending = (pending + chunk).split(b"\n")
            for line in lines:
                log.write(pid, _text(line))
            if not chunk or len(pending) > LINE_BYTES:
                if pending:
                    log.write(pid, _text(pending))
                pending = b""
            if not chunk:
                return
    finally:
        os.close(descriptor)


def _text(line: bytes) -> str:
    return line[:LINE_BYTES].decode("utf-8", "replace").rstrip("\r")
