"""What happened to the fleet, for later: `logs/events.jsonl`, one JSON object a line.

`phase` (a server came to stand elsewhere, and why), `gateway` (a process began or ended), `stats` (calls since the
last look), `fleet` (start, stop, reload, reset). Rule: cheap whatever loops. The first events of a kind are written
as they are; of a server that goes on failing the same way, two an hour are, and the rest is counted and written
once a minute as `repeats`. Nothing that depends on an event waits for it.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio

from omnimind.orchestrator.exits import Cause
from omnimind.orchestrator.logs.repeats import without_numbers
from omnimind.orchestrator.logs.rotating import Room, RotatingFile, wall_clock

FILE = "events.jsonl"
WHOLE = 3
"""So many of the same are written one by one, before they are counted."""
WHOLE_EVERY_S = 1800.0
FLUSH_S = 60.0
LOOK_S = 5.0
"""A gateway that is killed takes the calls of so many seconds with it."""
_REASON_CHARS = 300
_KINDS = 1000

_LAST_LOOK_S = 0.3

Stats = Callable[[], Awaitable[Mapping[str, Any] | None]]
_What = tuple[str, str, str, str | None, str]


@dataclass(slots=True)
class _Seen:
    """How often one thing may still be written in full."""

    left: float
    at_s: float


class Events:
    """The writer; one a fleet."""

    def __init__(
        self,
        folder: Path,
        room: Room,
        wall: Callable[[], datetime] = wall_clock,
        tick_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.file = RotatingFile(folder / FILE, room, wall)
        self._wall = wall
        self._tick_s = tick_s
        self._stands: dict[str, str] = {}
        self._seen: dict[_What, _Seen] = {}
        self._counted: Counter[tuple[str, str, str, str | None]] = Counter()
        self._calls: dict[str, tuple[int, int]] = {}
        self._fresh: dict[str, tuple[int, int]] = {}

    async def run(self, stats: Stats, tend: Callable[[], None]) -> None:
        """Look at the counters; once a minute, write what was counted and do what age asks of the files."""
        self.fleet("starts", pid=os.getpid())
        flushed_s = self._tick_s()
        while True:
            await anyio.sleep(LOOK_S)
            await self._look(stats)
            if self._tick_s() - flushed_s >= FLUSH_S:
                flushed_s = self._tick_s()
                self.flush()
                tend()

    async def close(self, stats: Stats) -> None:
        """The fleet stops: the last counts."""
        with anyio.move_on_after(_LAST_LOOK_S):
            await self._look(stats)
        self.flush()
        self.fleet("stops")

    async def _look(self, stats: Stats) -> None:
        counted = await stats()
        if counted is not None and "servers" in counted:
            self.stats(counted["servers"])

    def moved(self, server: str, after: str, cause: Cause | None = None, pid: int | None = None) -> None:
        """A server stands elsewhere than before, which is remembered here."""
        before = self._stands.get(server, "stopped")
        if before != after:
            self._stands[server] = after
            if cause is None:
                self.phase(server, before, after, pid=pid)
            else:
                self.phase(server, before, after, cause.reason, pid, cause.kind, cause.fix)

    def phase(
        self,
        server: str,
        before: str,
        after: str,
        reason: str | None = None,
        pid: int | None = None,
        kind: str | None = None,
        fix: str | None = None,
    ) -> None:
        """A server went from one phase to another."""
        if not self._in_full((server, before, after, kind, without_numbers(reason or ""))):
            self._counted[server, before, after, kind] += 1
            return
        entry = {
            "server": server,
            "from": before,
            "to": after,
            "kind": kind,
            "reason": _short(reason),
            "fix": fix,
            "pid": pid,
        }
        self._write("phase", entry)

    def gateway(self, what: str, epoch: int, reason: str | None = None) -> None:
        """A gateway process `begins` or `ends`, with a reason where that was not planned."""
        self._write("gateway", {"what": what, "epoch": epoch, "reason": _short(reason)})

    def fleet(self, what: str, **details: object) -> None:
        """The fleet itself: `starts`, `ready`, `stops`, `reload`, `reset`."""
        self._write("fleet", {"what": what, **details})

    def stats(self, servers: Iterable[Mapping[str, Any]]) -> None:
        """The counters of the gateway: what came since the last look is written with the next `flush`."""
        for row in servers:
            name, calls, failed = str(row["name"]), int(row["calls"]), int(row["failed"])
            calls_before, failed_before = self._calls.get(name, (0, 0))
            self._calls[name] = (calls, failed)
            if calls < calls_before or failed < failed_before:
                calls_before = failed_before = 0  # another process counts
            fresh, fresh_failed = self._fresh.get(name, (0, 0))
            self._fresh[name] = (fresh + calls - calls_before, fresh_failed + failed - failed_before)

    def flush(self) -> None:
        """Write what was counted; to be called every minute and at the end."""
        counted, self._counted = self._counted, Counter()
        if counted:
            rows = [
                {"server": server, "from": before, "to": after, "kind": kind, "count": count}
                for (server, before, after, kind), count in counted.items()
            ]
            self._write("repeats", {"of": rows})
        fresh, self._fresh = self._fresh, {}
        called = [
            {"name": name, "calls": calls, "failed": failed}
            for name, (calls, failed) in fresh.items()
            if calls or failed
        ]
        if called:
            self._write("stats", {"servers": called})

    def _in_full(self, what: _What) -> bool:
        now_s = self._tick_s()
        if what not in self._seen and len(self._seen) >= _KINDS:
            self._seen.clear()
        seen = self._seen.setdefault(what, _Seen(WHOLE, now_s))
        seen.left = min(WHOLE, seen.left + (now_s - seen.at_s) / WHOLE_EVERY_S)
        seen.at_s = now_s
        if seen.left < 1:
            return False
        seen.left -= 1
        return True

    def _write(self, event: str, entry: Mapping[str, object]) -> None:
        time_text = self._wall().isoformat(timespec="milliseconds")
        told = {key: value for key, value in entry.items() if value is not None}
        record = json.dumps({"time": time_text, "event": event, **told}, ensure_ascii=False) + "\n"
        self.file.append(record.encode("utf-8", "replace"))


def _short(reason: str | None) -> str | None:
    return None if reason is None else reason[:_REASON_CHARS]
