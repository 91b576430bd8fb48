"""The parts of one log of the fleet as bytes: the live file and its segments, packed or not.

A part is known by its first line, which never changes: the live file becomes segment 17, then a packed one, and
its bytes stay where they are. The folder is listed until the live file and the segments before it
are of one moment, and what may still be renamed is held open; a segment that is packed between listing and opening
is found under its new name.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from omnimind.cache import Cache
from omnimind.logfiles import segments
from omnimind.servers import depends
from omnimind.servers.problem import Problem

BLOCK_BYTES = 64 * 1024
IN_MEMORY_BYTES = 1024 * 1024
UNPACKED_BYTES = 1024 * 1024 * 1024
"""A segment that unpacks to more is read up to here; no setting allows one so large."""
_FIRST_LINE = 64 * 1024
_MARK_BYTES = 6
_HEADS_BYTES = 4 * 1024 * 1024
_HEADS = 10_000
_LOOKS = 20
_CHUNK = 1024 * 1024
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_DAMAGED = (OSError, EOFError, RuntimeError, ValueError)


Heads = Cache[str, bytes]
"""The first lines of packed segments, by the file as it was: to see one costs unpacking some of it at each question."""


def heads() -> Heads:
    """A place for them."""
    return Cache(max_bytes=_HEADS_BYTES, max_items=_HEADS)


class Part:
    """One file of a log. `mark` says which it is, whatever it is called by now."""

    def __init__(self, path: Path, descriptor: int, spool: Path, live: bool, heads: Heads) -> None:
        self.live = live
        self._path, self._spool = path, spool
        self._packed = path.suffix == segments.LZ4
        self._plain: IO[bytes] | None = None
        found = os.fstat(descriptor)
        self.disk_bytes = found.st_size
        self.changed_s = found.st_mtime
        self._size = None if self._packed else found.st_size
        self._descriptor: int | None = descriptor
        if self._packed:
            key = f"{found.st_ino}:{found.st_size}:{found.st_mtime_ns}:{found.st_ctime_ns}:{path}"
            first = heads.get(key) or self._first_line()
            heads.set(key, first)
        else:
            first = self._first_line()
        if self._packed:  # it never changes, so it need not be held: a fleet may have thousands
            os.close(descriptor)
            self._descriptor = None
        self.mark = hashlib.blake2b(first, digest_size=_MARK_BYTES).hexdigest() if first else ""
        self.begins = segments.stamp(first).decode("ascii", "replace")

    def close(self) -> None:
        """Let it go."""
        self.release()
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def release(self) -> None:
        """Forget what was unpacked; it is unpacked again if it is read again."""
        if self._plain is not None:
            self._plain.close()
            self._plain = None

    @property
    def size(self) -> int:
        """How many bytes it has, unpacked."""
        if self._size is None:
            self._unpack()
        assert self._size is not None
        return self._size

    def read(self, start: int, stop: int) -> bytes:
        """Its bytes from here to there."""
        if self._packed:
            plain = self._unpack()
            plain.seek(start)
            return plain.read(stop - start)
        assert self._descriptor is not None
        return os.pread(self._descriptor, stop - start, start)

    def whole_lines(self, start: int, stop: int) -> int:
        """The end of the last whole line of this range; `start` if there is none."""
        while stop > start:
            chunk = self.read(max(start, stop - BLOCK_BYTES), stop)
            if (at := chunk.rfind(b"\n")) >= 0:
                return max(start, stop - BLOCK_BYTES) + at + 1
            stop = max(start, stop - BLOCK_BYTES)
        return start

    def cut(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """The range in blocks of whole lines, oldest first; what does not end with a line is left out."""
        while start < stop:
            end = self.whole_lines(start, min(stop, start + BLOCK_BYTES))
            ahead = start + BLOCK_BYTES
            while end == start and ahead < stop:  # a line longer than a block
                ahead = min(stop, ahead + BLOCK_BYTES)
                end = self.whole_lines(start, ahead)
            if end == start:
                return
            yield start, end
            start = end

    def _first_line(self) -> bytes:
        head = b""
        if self._packed:
            with contextlib.suppress(*_DAMAGED), self._opened() as unpacked:
                head = unpacked.read(_FIRST_LINE)
        else:
            head = self.read(0, _FIRST_LINE)
        return head.partition(b"\n")[0] if b"\n" in head else b""

    @contextlib.contextmanager
    def _opened(self) -> Iterator[Any]:
        import lz4.frame  # type: ignore[import-untyped]

        descriptor = os.open(self._path, _FLAGS)
        with open(descriptor, "rb") as packed, lz4.frame.LZ4FrameFile(packed) as unpacked:
            yield unpacked

    def _unpack(self) -> IO[bytes]:
        """All of a packed segment; of a damaged one, or one that was removed, what can be read."""
        if self._plain is None:
            # On disk where it is large, in a file without a name: a worker has no temporary folder.
            plain: IO[bytes] = tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES, dir=str(self._spool))  # noqa: SIM115
            self._plain, self._size = plain, 0
            with contextlib.suppress(*_DAMAGED), self._opened() as unpacked:
                while self._size < UNPACKED_BYTES and (chunk := unpacked.read(_CHUNK)):
                    self._size += _written(plain, chunk)
        return self._plain


def _written(plain: IO[bytes], chunk: bytes) -> int:
    try:
        return plain.write(chunk)
    except OSError as fault:
        raise Problem(f"a packed log cannot be unpacked: {fault.strerror}; make room on the disk") from fault


class Parts:
    """All parts of a log at one moment, oldest first; a context manager."""

    def __init__(self, live: Path, spool: Path, heads: Heads) -> None:
        self._spool, self._heads = spool, heads
        self._held: list[Part] = []
        try:
            self.list = self._listed(live)
        except OSError as refusal:
            self.close()
            if refusal.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            raise Problem("too many logs at once for this process; name fewer in `sources`") from refusal

    def __enter__(self) -> Parts:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let all files go."""
        for part in self._held:
            part.close()
        self._held = []

    def _listed(self, live: Path) -> list[Part]:
        for _ in range(_LOOKS):
            numbered = segments.segments(live)
            now = self._open(live, live=True)
            if [number for number, _ in segments.segments(live)] == [number for number, _ in numbered]:
                break
            self.close()
        older = [
            self._open(path) or self._open(path.with_name(path.name + segments.LZ4)) for _, path in numbered
        ]
        return [part for part in [*older, now] if part is not None and part.mark]

    def _open(self, path: Path, *, live: bool = False) -> Part | None:
        try:
            descriptor = os.open(path, _FLAGS)
        except OSError as refusal:
            if refusal.errno in (errno.EMFILE, errno.ENFILE):
                raise
            if refusal.errno != errno.ENOENT:
                depends.unsure()
            return None
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            depends.unsure()
            return None
        depends.opened(descriptor, str(path))
        self._held.append(part := Part(path, descriptor, self._spool, live, self._heads))
        return part
