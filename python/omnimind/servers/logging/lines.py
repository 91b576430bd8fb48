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
from omnimind.servers.logging.plain import plain
from omnimind.servers.logging.record import Record, matching
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
        cheap = wanted.without_pattern()
        found: list[Record] = []
        for at, raw in self._candidates(wanted):
            line = parsed_event(raw) if self.events else parsed(raw)
            text = plain(line.text)
            level = _event_level(line) if self.events else levels.level_of(text)
            if cheap.keeps(text, level):
                ends = at + len(raw) + 1
                found.append(
                    Record(
                        line.time, self.source, level, text, place(self.mark, at), place(self.mark, ends),
                        line.pid, line.origin, line.fields,
                    )
                )  # fmt: skip
        if self.backward:
            found.reverse()
        return matching(self, found, wanted, budget, self.backward)

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
