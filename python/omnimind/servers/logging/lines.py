"""A block of a log file's lines, looked through: from bytes to the records that are wanted.

Most lines are never parsed: the time stands at the same place of every line, and words are looked for in the
bytes first. What remains is read as text, made plain, and looked at again as it would be given out.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from omnimind.logfiles import segments
from omnimind.servers.logging import levels
from omnimind.servers.logging.plain import one_line, plain, plain_value
from omnimind.servers.logging.record import Record, keeps
from omnimind.servers.logging.wanted import Budget, Wanted

_TEXT_FROM = b'"line": "'
_PID_FROM = b'"pid": '
_STAMP = 29
_SHAPE = "2026-11-22T10:00:00.000+00:00"


@dataclass(frozen=True, slots=True)
class Line:
    """One line, read."""

    time: str
    text: str
    pid: int | None
    origin: str | None = None
    fields: dict[str, Any] | None = None


def stamp(raw: bytes) -> str:
    """Its time, or nothing."""
    found = segments.stamp(raw)
    return found.decode("ascii", "replace") if len(found) == _STAMP else ""


def parsed(raw: bytes) -> Line:
    """A line of a server's log; one that is no record of ours is a text without a time."""
    if b"\\" not in raw and raw.endswith(b'"}') and (at := raw.find(_TEXT_FROM)) > 0 and stamp(raw):
        pid = raw[:at].rpartition(_PID_FROM)[2].rstrip(b", ")
        text = raw[at + len(_TEXT_FROM) : -2].decode("utf-8", "replace")
        return Line(stamp(raw), text, int(pid) if pid.isdigit() else None)
    try:
        entry = json.loads(raw)
        text, pid = entry["line"], entry.get("pid")
    except (ValueError, TypeError, LookupError, RecursionError):
        return Line(stamp(raw), raw.decode("utf-8", "replace"), None)
    return Line(stamp(raw), str(text), pid if isinstance(pid, int) else None)


def parsed_event(raw: bytes) -> Line:
    """A line of the fleet's events: its text says in one line what the object says."""
    try:
        entry = json.loads(raw)
        event = str(entry.pop("event"))
        entry.pop("time", None)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return Line(stamp(raw), raw.decode("utf-8", "replace"), None)
    server, pid = entry.get("server"), entry.get("pid")
    said = " ".join(f"{key}={_short(value)}" for key, value in entry.items())
    return Line(
        stamp(raw),
        f"{event} {said}".rstrip(),
        pid if isinstance(pid, int) else None,
        str(server) if server is not None else None,
        {"event": event, **entry},
    )


def _short(value: object) -> str:
    if isinstance(value, str) and value and " " not in value and '"' not in value:
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class _Read:
    """A line, and its place."""

    start: int
    stop: int
    line: Line
    text: str


@dataclass(slots=True)
class Block:
    """Some lines of a part that stand beside each other. `counts` are its lines by rank, if they are known."""

    source: str
    mark: str
    start: int
    data: bytes
    newest: str
    oldest: str
    backward: bool
    events: bool = False
    counts: tuple[int, ...] | None = None
    after: str = ""

    def __post_init__(self) -> None:
        self.after = place(self.mark, self.start if self.backward else self.start + len(self.data))

    def records(self, wanted: Wanted, budget: Budget) -> list[Record]:
        """What is wanted of it, in the direction of reading."""
        budget.spend(len(self.data))
        found = [read for at, raw in self._candidates(wanted) if (read := self._read(at, raw, wanted))]
        if self.backward:
            found.reverse()
        found = self._matching(found, wanted, budget)
        shown = (self._record(read) for read in found)
        return [record for record in shown if keeps(record, wanted)]

    def _read(self, at: int, raw: bytes, wanted: Wanted) -> _Read | None:
        """A line whose text may be wanted, as it is before secrets are taken out."""
        line = parsed_event(raw) if self.events else parsed(raw)
        text = one_line(line.text)
        if wanted.query is not None and not wanted.query.may_keep(text):
            return None
        if wanted.levelled and not wanted.of_level(self._level(line, text)):
            return None
        return _Read(at, at + len(raw) + 1, line, text)

    def _level(self, line: Line, text: str) -> str:
        return _event_level(line) if self.events else levels.level_of(text)

    def _matching(self, found: list[_Read], wanted: Wanted, budget: Budget) -> list[_Read]:
        """Those that hold the pattern, as far as the time goes; at least one is looked at."""
        if wanted.pattern is None or not found:
            return found
        texts = [read.text.encode("utf-8", "replace") for read in found]
        hits, looked = wanted.pattern.filter(texts, max(1, int(budget.left_s * 1000)))
        if looked < len(found):
            budget.cut = True
            last = found[looked - 1]
            self.after = place(self.mark, last.start if self.backward else last.stop)
        return [found[at] for at in hits]

    def _record(self, read: _Read) -> Record:
        bounds = place(self.mark, read.start), place(self.mark, read.stop)
        line = read.line
        text = plain(line.text)
        origin = plain(line.origin) if line.origin else None
        return Record(
            line.time,
            self.source,
            self._level(line, text),
            text,
            *bounds,
            line.pid,
            origin,
            plain_value(line.fields),
        )

    def _candidates(self, wanted: Wanted) -> list[tuple[int, bytes]]:
        """Lines that may be wanted, by their bytes alone, oldest first."""
        raws = self.data.split(b"\n")[:-1]
        found, at = [], self.start
        timed = not (wanted.in_time(self.oldest) and wanted.in_time(self.newest) and self.oldest)
        needle = wanted.query.needle.encode("utf-8", "replace") if wanted.query else b""
        lowered = self.data.lower() if needle else b""
        if needle and self.data.isascii() and needle not in lowered and b"\\u" not in self.data:
            return []
        for raw in raws:
            if not (timed and not wanted.in_time(stamp(raw))) and (
                not needle or not raw.isascii() or b"\\u" in raw or needle in raw.lower()
            ):
                found.append((at, raw))
            at += len(raw) + 1
        return found


def _event_level(line: Line) -> str:
    """Events have no level of their own; a fall is one that somebody should see."""
    fields = line.fields or {}
    if fields.get("to") == "parked":
        return "error"
    if fields.get("to") in ("backoff", "degraded") or (
        fields.get("event") == "gateway" and fields.get("reason")
    ):
        return "warning"
    return "info" if fields else levels.UNKNOWN


def place(mark: str, offset: int) -> str:
    """A boundary between two lines."""
    return f"{mark}.{offset:x}"


def read_place(text: str) -> tuple[str, int] | None:
    """The part and the offset of a boundary."""
    mark, _, offset = text.partition(".")
    try:
        return mark, int(offset, 16)
    except ValueError:
        return None
