"""Which logs there are, and who may read which.

An operator reads all: the logs of the fleet, its events, journald, and what every principal appended. A user reads
the records that it appended itself and learns nothing of the rest, not even the names. Rule: every tool asks here,
with the role and the principal of its call; what is not given out here cannot be read.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from omnimind.cache import Cache
from omnimind.errors import closest
from omnimind.logfiles import segments
from omnimind.servers import depends
from omnimind.servers.database import Databases
from omnimind.servers.logging import journal, records
from omnimind.servers.logging.fleetlogs import EVENTS, FleetLog
from omnimind.servers.logging.index import UPDATE_S, Index
from omnimind.servers.logging.journal import Journal
from omnimind.servers.logging.parts import heads
from omnimind.servers.logging.plain import one_line
from omnimind.servers.logging.record import Source
from omnimind.servers.logging.records import Records
from omnimind.servers.logging.wanted import Budget, Wanted, stamp_of
from omnimind.servers.problem import Problem

SOURCES = 200
"""So many logs may be read in one call."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Who asks."""

    principal: str
    operator: bool


@dataclass(frozen=True, slots=True)
class Described:
    """One log, as a list of logs shows it."""

    name: str
    kind: str
    first: str | None
    last: str | None
    bytes: int
    files: int
    records: int | None = None


class Sources:
    """The logs of one state folder."""

    def __init__(self, state: Path, journal_folder: str | None = None) -> None:
        (state / "logs").mkdir(
            mode=0o700, parents=True, exist_ok=True
        )  # so that a fenced worker sees what comes
        self._logs = (state / "logs").resolve()
        self._own = state.resolve() / "db" / "logging"
        self._journal_folder = journal_folder
        self._records = self._own / "records"
        self._owners: records.Owners = Cache(max_items=records.PRINCIPALS)
        self._heads = heads()
        self.databases = Databases(self._records, records.MIGRATIONS)
        self.index = Index(self._own)

    def names(self, reader: Reader) -> list[str]:
        """Every log that this reader may read."""
        if not reader.operator:
            return [records.NAME]
        depends.file(self._logs)
        logs = segments.names(self._logs)
        events = [EVENTS] if "events" in segments.names(self._logs, ".jsonl") else []
        journals = [journal.NAME] if self.no_journal() is None else []
        return [*logs, *events, records.NAME, *self._others(reader), *journals]

    def _others(self, reader: Reader) -> dict[str, str]:
        """What other principals appended, with the principal of each."""
        self._owners.set(self.databases.path(reader.principal).name, reader.principal)
        found = records.owners(self._records, self._owners)
        return {f"{records.NAME}/{one_line(owner)}": owner for owner in found if owner != reader.principal}

    def no_journal(self) -> str | None:
        """Why there is no journal; None if there is one."""
        if self._journal_folder is not None:
            return journal.why_not((str(Path(self._journal_folder).parent),))
        return journal.why_not()

    def chosen(self, reader: Reader, asked: Sequence[str] | None) -> list[str]:
        """The logs that are meant: by default those of servers and of clients. Raises Problem."""
        there = self.names(reader)
        if not asked:
            return [name for name in there if name not in (EVENTS, journal.NAME)][:SOURCES]
        if len(asked) > SOURCES:
            raise Problem(f"{SOURCES} logs may be read in one call, not {len(asked)}")
        for name in asked:
            if name not in there:
                raise Problem(self._not_there(name, reader, there))
        return list(dict.fromkeys(asked))

    def _not_there(self, name: str, reader: Reader, there: list[str]) -> str:
        if not reader.operator:
            return (
                f"you may read {records.NAME} only, which is what you appended; the logs of the fleet are for its "
                "operators"
            )
        if name == journal.NAME:
            return f"journald is not available here: {self.no_journal()}"
        near = closest(name, there)
        hint = f"did you mean {near}?" if near else f"there are: {', '.join(there)}"
        return f"there is no log called {name[:80]!r}; {hint}"

    @contextlib.contextmanager
    def opened(self, reader: Reader, names: Sequence[str]) -> Iterator[list[Source]]:
        """These logs, held as they are now."""
        allowed = set(self.names(reader))
        held: list[FleetLog] = []
        found: list[Source] = []
        try:
            for name in names:
                if name not in allowed:
                    continue  # gone since it was chosen
                source = self._source(reader, name)
                if isinstance(source, FleetLog):
                    held.append(source)
                found.append(source)
            yield found
        finally:
            for log in held:
                log.close()

    def _source(self, reader: Reader, name: str) -> Source:
        if name == journal.NAME:
            depends.unsure()
            return Journal(self._journal_folder)
        if name == records.NAME:
            return Records(self.databases, reader.principal, name, name)
        if name.startswith(f"{records.NAME}/"):
            owner = self._others(reader)[name]
            return Records(
                self.databases, owner, name, f"{records.NAME}/{self.databases.path(owner).stem[:12]}"
            )
        return FleetLog.of(self._logs, name, self._own, self._heads)

    def look_up(self, sources: Sequence[Source], wanted: Wanted, budget: Budget, *, grow: bool) -> None:
        """Ask the index for what it knows of these logs. With `grow`, take in first what was written since."""
        logs = [source for source in sources if isinstance(source, FleetLog) and not source.events]
        if not logs:
            return
        with self.index.opened() as connection:
            if connection is None:
                return
            if grow:
                spare = Budget(min(UPDATE_S, budget.left_s / 2), budget.check)
                there = frozenset(segments.names(self._logs))
                self.index.update(connection, {log.name: log.parts.list for log in logs}, there, spare)
            self.index.tell(connection, logs, wanted)

    def described(self, reader: Reader) -> list[Described]:
        """Every log that this reader may read, with its size and its times."""
        names = self.names(reader)
        if reader.operator:  # who is also told whether there is a journal
            depends.unsure()
        with self.opened(reader, names) as found:
            return [_described(source) for source in found]


def _described(source: Source) -> Described:
    if isinstance(source, FleetLog):
        parts = source.parts.list
        size = sum(part.disk_bytes for part in parts)
        last = stamp_of(datetime.fromtimestamp(parts[-1].changed_s, UTC)) if parts else None
        kind = "events" if source.events else "server"
        return Described(
            source.name, kind, parts[0].begins or None if parts else None, last, size, len(parts)
        )
    if isinstance(source, Records):
        kept = source.kept()
        return Described(source.name, "records", kept.first, kept.last, kept.bytes, 1, kept.records)
    assert isinstance(source, Journal)
    first, last, size = source.range()
    return Described(source.name, "journal", first, last, size, 0)
