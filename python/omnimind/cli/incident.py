"""What went wrong of late: one row a server, from the events and the logs alone, so also of a fleet that is dead.

Failures are ends that nobody asked for; a minute's failures are counted over the time that the fleet ran within
the span. The cause is the commonest kind of failure, in the words of its last one.
"""

from __future__ import annotations

import json as json_text
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from omnimind.cli import fleet, logview, terminal
from omnimind.cli.logs import size
from omnimind.logfiles import segments
from omnimind.logfiles.segments import stamp

EVENTS = "events.jsonl"
_FAILED = ("backoff", "parked")
_OURS = b'"line": "omnimind: '
_OWN = frozenset({"gateway", "orchestrator", "zygote"})
"""Logs that are no server's: they count in the sum alone."""
_SHORTEST_S = 60.0


@dataclass(slots=True)
class Row:
    """One server in the span."""

    server: str
    failures: int = 0
    failures_per_min: float = 0.0
    starts: int = 0
    cause: str | None = None
    fix: str | None = None
    kind: str | None = None
    last_stderr: str | None = None
    log_bytes: int = 0
    log_bytes_per_h: float = 0.0
    calls: int = 0
    failed_calls: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    reasons: dict[str, tuple[str, str | None]] = field(default_factory=dict)


@dataclass(slots=True)
class Incident:
    """The table."""

    since: str
    until: str
    ran_s: float = 0.0
    gateway_ends: int = 0
    log_bytes: int = 0
    rows: dict[str, Row] = field(default_factory=dict)

    def row(self, name: str) -> Row:
        """The row of a server."""
        return self.rows.setdefault(name, Row(name))


def table(state_dir: Path, since_s: float, json: bool = False, now: datetime | None = None) -> str:
    """The table of the last `since_s` seconds as text, or as JSON."""
    found = look(state_dir, since_s, now or datetime.now(UTC))
    return _as_json(found) if json else _as_text(found)


def look(state_dir: Path, since_s: float, now: datetime) -> Incident:
    """Read events and logs."""
    after = now - timedelta(seconds=since_s)
    folder, first = state_dir / "logs", segments.stamp_of(after)
    found = Incident(after.isoformat(timespec="seconds"), now.isoformat(timespec="seconds"))
    running = fleet.find(state_dir) is not None
    found.ran_s = _take_events(found, folder, first, now if running else None)
    for name in segments.names(folder):
        row = Row(name) if name in _OWN else found.row(name)
        _take_log(row, folder, first)
        found.log_bytes += row.log_bytes
    minutes, hours = found.ran_s / 60, found.ran_s / 3600
    for row in found.rows.values():
        row.failures_per_min = row.failures / minutes
        row.log_bytes_per_h = row.log_bytes / hours
        if row.kinds:
            row.kind = row.kinds.most_common(1)[0][0]
            row.cause, row.fix = row.reasons.get(row.kind, (row.kind, None))
    return found


def _lines(live: Path, first: bytes) -> Iterator[bytes]:
    log = logview.Log(live)
    try:
        yield from log.forward(first)
    finally:
        log.close()


def _take_events(found: Incident, folder: Path, first: bytes, until: datetime | None) -> float:
    """Count what happened; the seconds that the fleet ran in the span."""
    ran_s, began, last = 0.0, None, None
    for line in _lines(folder / EVENTS, first):
        entry, moment = logview.fields(line), _moment(line)
        if entry is None or moment is None:
            continue
        if (
            entry.get("event") == "fleet"
            and entry.get("what") == "starts"
            and began is not None
            and last is not None
        ):
            ran_s, began = ran_s + _between(began, last), None
        began, last = began or moment, moment
        _take(found, entry)
        if entry.get("event") == "fleet" and entry.get("what") == "stops":
            ran_s, began = ran_s + _between(began, moment), None
    if began is not None and last is not None:
        ran_s += _between(began, until or last)
    return max(ran_s, _SHORTEST_S)


def _between(earlier: datetime, later: datetime) -> float:
    return max(0.0, (later - earlier).total_seconds())


def _moment(line: bytes) -> datetime | None:
    try:
        return datetime.fromisoformat(stamp(line).decode())
    except ValueError:
        return None


def _take(found: Incident, entry: dict[str, Any]) -> None:
    match entry.get("event"):
        case "phase":
            _take_phase(found, entry, 1)
        case "repeats":
            for each in entry.get("of", []):
                _take_phase(found, each, int(each.get("count", 1)))
        case "stats":
            for each in entry.get("servers", []):
                row = found.row(str(each.get("name")))
                row.failed_calls += int(each.get("failed", 0))
                row.calls += int(each.get("calls", 0)) - int(each.get("failed", 0))
        case "gateway" if entry.get("reason"):
            found.gateway_ends += 1


def _take_phase(found: Incident, entry: dict[str, Any], count: int) -> None:
    row = found.row(str(entry.get("server")))
    if entry.get("to") == "starting":
        row.starts += count
    if entry.get("to") in _FAILED:
        kind = str(entry.get("kind") or "other")
        row.failures += count
        row.kinds[kind] += count
        if entry.get("reason"):
            fix = entry.get("fix")
            row.reasons[kind] = str(entry["reason"]), None if fix is None else str(fix)


def _take_log(row: Row, folder: Path, first: bytes) -> None:
    last = b""
    for line in _lines(folder / f"{row.server}.log", first):
        row.log_bytes += len(line) + 1
        if _OURS not in line:
            last = line
    entry = logview.fields(last) if last else None
    if entry is not None:
        row.last_stderr = str(entry.get("line"))


# --- showing


def _ordered(found: Incident) -> list[Row]:
    return sorted(found.rows.values(), key=lambda row: (-row.failures, row.server))


def _as_json(found: Incident) -> str:
    rows = []
    for row in _ordered(found):
        plain = asdict(replace(row, kinds=Counter(), reasons={}))
        del plain["reasons"]
        rows.append({**plain, "kinds": dict(row.kinds)})
    return json_text.dumps(
        {
            "since": found.since,
            "until": found.until,
            "ran_s": round(found.ran_s, 1),
            "gateway_ends": found.gateway_ends,
            "log_bytes": found.log_bytes,
            "log_bytes_per_h": round(found.log_bytes * 3600 / found.ran_s, 1),
            "servers": rows,
        },
        indent=2,
        ensure_ascii=False,
    )


def _as_text(found: Incident) -> str:
    rows = _ordered(found)
    if not rows:
        return f"nothing is known since {found.since}: no fleet ran in this state folder"
    cells = [
        [
            row.server,
            row.failures,
            f"{row.failures_per_min:.2f}",
            row.calls,
            f"{size(row.log_bytes_per_h)}/h",
            _cut(row.cause),
            _cut(row.last_stderr),
        ]
        for row in rows
    ]
    header = ["SERVER", "FAILURES", "A MINUTE", "CALLS", "LOG", "CAUSE", "LAST STDERR LINE"]
    total = found.log_bytes
    return "\n".join(
        [
            f"since {found.since} (the fleet ran {_span(found.ran_s)} of it): "
            f"{sum(row.failures for row in rows):,} failures, {sum(row.calls for row in rows):,} completed calls, "
            f"{size(total)} of log ({size(total * 3600 / found.ran_s)}/h)",
            terminal.table(header, cells),
            *([f"the gateway ended {found.gateway_ends} times unasked"] if found.gateway_ends else []),
            *(_help(row) for row in rows if row.cause),
        ]
    )


def _help(row: Row) -> str:
    words = [f"{row.server}: {row.cause}", *([f"help: {row.fix}"] if row.fix else [])]
    return terminal.printable("; ".join(words))


def _cut(text: str | None, width: int = 60) -> str | None:
    return text if text is None or len(text) <= width else text[: width - 1] + "…"


def _span(seconds: float) -> str:
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
