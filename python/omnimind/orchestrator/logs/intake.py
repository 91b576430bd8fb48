"""One process's output on its way into the log: cut into lines, limited, cleaned of secrets, folded.

Rules. Whatever comes is taken at once, so that the process never waits for its log. What is above the limit is
counted without being looked at, and told in one line when the flood ends or every 10 s. The last words of a
process are always kept, also after a flood: they say why it ended. A secret is taken out before a line is cut, so
that no half of it stays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from omnimind.limits import TokenBucket
from omnimind.logfiles.redact import Redactor
from omnimind.orchestrator.logs.repeats import Life

LINE_BYTES = 8 * 1024
LAST_WORDS = 20
TELL_EVERY_S = 10.0
BURST_S = 20.0
LINE_AVERAGE_BYTES = 256
"""The byte limit: so many a line, at the allowed number of lines."""
_TAIL_BYTES = 4 * 1024
_GUARD_CHARS = 256
"""Cut off a line that was too long to be read whole: a secret may begin there."""
_KEY_HINT = b"PRIVATE KEY"


class Allowance:
    """What one server may write: lines and bytes a second, with a burst of 20 s' worth."""

    def __init__(self, lines_per_s: float, tick_s: Callable[[], float]) -> None:
        self.lines_per_s = lines_per_s
        bytes_per_s = lines_per_s * LINE_AVERAGE_BYTES
        self._longest = 4 * LINE_BYTES
        self._lines = TokenBucket(lines_per_s, lines_per_s * BURST_S)
        self._bytes = TokenBucket(bytes_per_s, max(bytes_per_s * BURST_S, self._longest))
        self._tick_s = tick_s

    def admits(self, length: int) -> bool:
        """True if a line of this length may be written now."""
        now_ns = int(self._tick_s() * 1e9)
        if not self._lines.try_take(now_ns=now_ns):
            return False
        return bool(self._bytes.try_take(min(length + 1, self._longest), now_ns=now_ns))


class Sink(Protocol):
    """The log of the server that the process belongs to."""

    def keep(self, pid: int, line: str, *, write: bool) -> None:
        """A clean line: remember it, and write it if told so."""

    def note(self, pid: int, text: str) -> None:
        """Something that we say about it."""


@dataclass(slots=True)
class _Flood:
    """What was dropped and not told yet."""

    began_s: float
    lines: int = 0
    bytes: int = 0


class Intake:
    """Takes the output of one process, chunk by chunk."""

    def __init__(
        self,
        sink: Sink,
        pid: int,
        allowance: Allowance,
        redactor: Redactor,
        life: Life,
        tick_s: Callable[[], float],
    ) -> None:
        self._sink = sink
        self._pid = pid
        self._allowance = allowance
        self._clean = redactor.stream()
        self._guard_chars = max(redactor.longest, _GUARD_CHARS)
        self._most_bytes = LINE_BYTES + 4 * self._guard_chars
        self._life = life
        self._tick_s = tick_s
        self._pending = b""
        self._skipping = False
        self._flood: _Flood | None = None
        self._tail = b""

    @property
    def flooding(self) -> bool:
        """True while something was dropped that is not told yet."""
        return self._flood is not None

    def feed(self, chunk: bytes) -> None:
        """Some output."""
        if self._flood is not None and self._tick_s() - self._flood.began_s >= TELL_EVERY_S:
            self._tell(self._flood)
        if self._skipping:
            end = chunk.find(b"\n")
            if end < 0:
                return
            self._skipping, chunk = False, chunk[end + 1 :]
        data, at = self._pending + chunk, 0
        while (end := data.find(b"\n", at)) >= 0:
            if not self._allowance.admits(end - at):
                last = data.rfind(b"\n")
                self._drop(data[at:last])
                at = last + 1
                break
            self._take(data[at:end])
            at = end + 1
        self._pending = data[at:]
        if len(self._pending) > self._most_bytes:
            self._take_or_drop(self._pending)
            self._pending, self._skipping = b"", True

    def pause(self) -> None:
        """Nothing came for a while: a flood is over."""
        if self._flood is not None:
            self._tell(self._flood)

    def end(self) -> None:
        """Every writer is gone: the last words, whatever the limit says."""
        self.pause()
        tail, self._tail = self._tail, b""
        for line in tail.split(b"\n")[1:][-LAST_WORDS:]:
            self._take(line)
        if self._pending:
            self._take(self._pending)
        self._pending = b""
        told = self._life.ends()
        if told:
            self._sink.note(self._pid, told)

    def _take_or_drop(self, raw: bytes) -> None:
        if self._allowance.admits(len(raw)):
            self._take(raw)
        else:
            self._drop(raw)

    def _take(self, raw: bytes) -> None:
        line = self._clean(raw[: self._most_bytes].decode("utf-8", "replace").rstrip("\r"))
        if len(raw) > self._most_bytes:
            line = line[: -self._guard_chars]
        line = line[:LINE_BYTES]
        repeated = self._life.repeats(line)
        if not repeated and not self._life.parted:
            told = self._life.parts()
            if told:
                self._sink.note(self._pid, told)
        self._sink.keep(self._pid, line, write=not repeated)
        self._tail = b""

    def _drop(self, data: bytes) -> None:
        if self._flood is None:
            self._flood = _Flood(self._tick_s())
        self._flood.lines += data.count(b"\n") + 1
        self._flood.bytes += len(data) + 1
        self._tail = (self._tail + b"\n" + data[-_TAIL_BYTES:])[-_TAIL_BYTES:]
        if _KEY_HINT in data:
            for raw in data.split(b"\n"):
                self._clean(raw.decode("utf-8", "replace"))
            self._tail = b""

    def _tell(self, flood: _Flood) -> None:
        took_s = max(self._tick_s() - flood.began_s, 0.001)
        self._sink.note(
            self._pid,
            f"{flood.lines} lines ({flood.bytes} bytes) dropped in {took_s:.1f} s"
            f" (limit {self._allowance.lines_per_s:g} lines a second: orchestrator.log_lines_per_s)",
        )
        self._flood = None
