"""A file that is appended to for ever in bounded room: rotated by size and by age, packed beside the loop.

Rules. An append never waits for packing: that is done by a thread of its own that starts no process. A record is
there whole or not at all: one that the disk took half of is taken back. A full disk loses records, never the
process; what was lost is counted, and told in the file itself once there is room again.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from omnimind.logfiles import segments
from omnimind.logfiles.segments import Removed

Wall = Callable[[], datetime]


def wall_clock() -> datetime:
    """Now, for people; nothing but the age of files is decided by it."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Room:
    """How much is kept of one log: so many bytes a file, so many old files, so many seconds."""

    bytes: int
    files: int
    age_s: float


class RotatingFile:
    """One file and its segments; one writer at a time."""

    def __init__(
        self,
        path: Path,
        room: Room,
        wall: Wall = wall_clock,
        tell_loss: Callable[[int, str], bytes] | None = None,
    ) -> None:
        self.path = path
        self.lost = 0
        self.why: str | None = None
        self.room = room
        self._wall = wall
        self._tell_loss = tell_loss
        self._descriptor: int | None = None
        self._size = 0
        self._untold = 0
        self._began: datetime | None = None
        self._inherited = True
        self._packing = threading.Lock()

    def append(self, record: bytes) -> bool:
        """Write one line; False if it is lost."""
        try:
            descriptor = self._opened()
            if self._size and (self._size + len(record) > self.room.bytes or self._aged()):
                self._rotate()
                descriptor = self._opened()
            if self._untold:
                self._write(descriptor, self._loss())
                self._untold = 0
            self._write(descriptor, record)
        except OSError as fault:
            self.lost += 1
            self._untold += 1
            self.why = fault.strerror or str(fault)
            return False
        self.why = None
        return True

    def tend(self) -> None:
        """What age asks for, where nothing is written."""
        with contextlib.suppress(OSError):
            if self.path.exists():
                self._opened()
                if self._size and self._aged():
                    self._rotate()
            self._prune()

    def close(self) -> None:
        """Close the file; the next line opens it again."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def remove(self) -> Removed:
        """Remove all that was written so far."""
        self.close()
        with self._packing:
            found = segments.remove(self.path.parent, [self.path.name])
        return found[0] if found else Removed(self.path.stem, 0, 0)

    def _write(self, descriptor: int, record: bytes) -> None:
        written = os.write(descriptor, record) if record else 0
        if written < len(record):
            os.ftruncate(descriptor, self._size)
            raise OSError(None, "no room for a whole line: the disk is full")
        self._size += written

    def _loss(self) -> bytes:
        return b"" if self._tell_loss is None else self._tell_loss(self._untold, self.why or "no room")

    def _opened(self) -> int:
        if self._descriptor is None:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self._descriptor = os.open(self.path, flags, 0o600)
            self._size = os.fstat(self._descriptor).st_size
            self._began = self._first_time() if self._size else self._wall()
            if self._inherited:
                self._inherited = False
                self._pack_what_is_left()
        return self._descriptor

    def _first_time(self) -> datetime:
        first = next(segments.lines(self.path), b"")
        with contextlib.suppress(ValueError):
            return datetime.fromisoformat(segments.stamp(first).decode())
        return self._wall()

    def _aged(self) -> bool:
        return self._began is not None and (self._wall() - self._began).total_seconds() > self.room.age_s

    def _rotate(self) -> None:
        self.close()
        if self.room.files:
            raw = segments.next_segment(self.path)
            self.path.rename(raw)
            self._prune()
            self._pack(raw)
        else:
            self.path.unlink()

    def _prune(self) -> None:
        """Remove segments that are too many or too old."""
        known = [path for _, path in segments.segments(self.path)]
        too_many = known[: max(0, len(known) - self.room.files)]
        now_s = self._wall().timestamp()
        for path in known:
            with contextlib.suppress(FileNotFoundError):
                if path in too_many or now_s - path.stat().st_mtime > self.room.age_s:
                    path.unlink()

    def _pack_what_is_left(self) -> None:
        """Segments of a process that was ended before it had packed them."""
        for _, path in segments.segments(self.path):
            if path.suffix != segments.LZ4:
                self._pack(path)

    def _pack(self, raw: Path) -> None:
        threading.Thread(target=self._pack_now, args=(raw,), name=f"pack {raw.name}", daemon=True).start()

    def _pack_now(self, raw: Path) -> None:
        with self._packing, contextlib.suppress(OSError):
            segments.finish(raw, segments.pack(raw))
