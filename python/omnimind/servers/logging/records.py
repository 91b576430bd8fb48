"""What clients append: structured records in one SQLite file a principal.

One record is one line whatever was sent: the message is stored as it will be given out, without control characters
and without secrets, and its time is ours. A file is bounded: beyond its room the oldest tenth goes. Writers are
slowed by a token bucket, so that one client cannot push out what another one of its principal has said.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from omnimind.cache import Cache
from omnimind.limits import TokenBucket
from omnimind.servers import depends
from omnimind.servers.database import Databases
from omnimind.servers.logging import levels, words
from omnimind.servers.logging.plain import plain, plain_value
from omnimind.servers.logging.record import Chunk, Loaded, Record
from omnimind.servers.logging.wanted import Budget, Wanted, stamp_of
from omnimind.servers.problem import Problem

NAME = "@records"
MESSAGE_BYTES = 8 * 1024
FIELDS = 32
FIELD_NAME_CHARS = 64
FIELDS_BYTES = 8 * 1024
DEPTH = 4
RECORDS_PER_S = 20.0
BURST = 400.0
KEPT_RECORDS = 50_000
KEPT_BYTES = 16 * 1024 * 1024
ORIGIN_CHARS = 64
PRINCIPALS = 1000
_PAGE = 200
_RATES = 1000

MIGRATIONS = (
    (
        """CREATE TABLE records (
            id INTEGER PRIMARY KEY AUTOINCREMENT, time TEXT NOT NULL, rank INTEGER NOT NULL, origin TEXT,
            text TEXT NOT NULL, fields TEXT, bytes INTEGER NOT NULL)""",
        "CREATE VIRTUAL TABLE words USING fts5(said, tokenize = 'ascii', detail = 'none', columnsize = 0)",
        "CREATE TABLE kept (records INTEGER NOT NULL, bytes INTEGER NOT NULL)",
        "INSERT INTO kept VALUES (0, 0)",
    ),
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A record to append, as it will be given out."""

    rank: int
    text: str
    origin: str | None
    fields: dict[str, Any] | None

    @property
    def bytes(self) -> int:
        """What it takes of the room."""
        fields = json.dumps(self.fields, ensure_ascii=False) if self.fields else ""
        return len(self.text.encode()) + len(fields.encode()) + 64


def entry(level: str, message: str, fields: Mapping[str, Any] | None, origin: str | None) -> Entry:
    """A record from what a client sent. Raises Problem for one that is too large."""
    size = len(message.encode("utf-8", "replace"))
    if size > MESSAGE_BYTES:
        raise Problem(
            f"a message may have {MESSAGE_BYTES:,} bytes, not {size:,}; shorten it, or append it in parts"
        )
    if not message.strip():
        raise Problem("the message is empty; say what happened")
    return Entry(
        levels.RANKS[level],
        plain(message),
        plain(origin)[:ORIGIN_CHARS] if origin and origin.strip() else None,
        _clean_fields(fields) if fields else None,
    )


def _clean_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    if len(fields) > FIELDS:
        raise Problem(f"a record may have {FIELDS} fields, not {len(fields):,}")
    size = len(json.dumps(fields, ensure_ascii=False, default=str).encode("utf-8", "replace"))
    if size > FIELDS_BYTES:
        raise Problem(f"the fields of a record may have {FIELDS_BYTES:,} bytes of JSON, not {size:,}")
    for name in fields:
        if not name or len(name) > FIELD_NAME_CHARS:
            raise Problem(f"the name of a field has 1 to {FIELD_NAME_CHARS} characters, not {len(name)}")
        if _depth(fields[name]) > DEPTH:
            raise Problem(f"fields may be {DEPTH} levels deep; {plain(name)!r} is deeper")
    cleaned: dict[str, Any] = plain_value(fields)
    if len(cleaned) < len(fields):
        raise Problem("two fields have the same name once control characters are shown; rename one")
    return cleaned


def _depth(value: Any) -> int:
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, inner)) if inner else 0


class Rates:
    """How fast each principal may append."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, principal: str) -> None:
        """One record. Raises Problem with the time after which there is room again."""
        with self._lock:
            bucket = self._buckets.pop(principal, None) or TokenBucket(RECORDS_PER_S, BURST)
            self._buckets[principal] = bucket
            while len(self._buckets) > _RATES:
                self._buckets.popitem(last=False)
        refusal = bucket.try_take()
        if refusal is not True:
            raise Problem(
                f"too many records: {RECORDS_PER_S:.0f} a second are taken, and {BURST:.0f} at once; "
                f"try again in {max(0.1, refusal.retry_after_s):.1f} s"
            )


def append(data: sqlite3.Connection, record: Entry, now: datetime) -> tuple[int, str, int]:
    """Append a record; its number, its time, and how many old ones went for it."""
    moment = stamp_of(now)
    fields = json.dumps(record.fields, ensure_ascii=False) if record.fields else None
    (number,) = data.execute(
        "INSERT INTO records (time, rank, origin, text, fields, bytes) VALUES (?, ?, ?, ?, ?, ?) RETURNING id",
        (moment, record.rank, record.origin, record.text, fields, record.bytes),
    ).fetchone()
    found = words.words_of(f"{record.text} {fields}" if fields else record.text)
    data.execute("INSERT INTO words (rowid, said) VALUES (?, ?)", (number, words.tokens_of(found)))
    data.execute("UPDATE kept SET records = records + 1, bytes = bytes + ?", (record.bytes,))
    return number, moment, _make_room(data)


def _make_room(data: sqlite3.Connection) -> int:
    """Remove the oldest tenth while there is too much."""
    removed = 0
    while True:
        count, size = data.execute("SELECT records, bytes FROM kept").fetchone()
        if count <= KEPT_RECORDS and size <= KEPT_BYTES:
            return removed
        (last,) = data.execute(
            "SELECT max(id) FROM (SELECT id FROM records ORDER BY id LIMIT ?)", (max(1, count // 10),)
        ).fetchone()
        gone, freed = data.execute(
            "SELECT count(*), sum(bytes) FROM records WHERE id <= ?", (last,)
        ).fetchone()
        data.execute("DELETE FROM words WHERE rowid <= ?", (last,))
        data.execute("DELETE FROM records WHERE id <= ?", (last,))
        data.execute("UPDATE kept SET records = records - ?, bytes = bytes - ?", (gone, freed))
        removed += gone


@dataclass(frozen=True, slots=True)
class Kept:
    """How much one principal's file holds."""

    records: int
    bytes: int
    first: str | None
    last: str | None


@dataclass(frozen=True, slots=True)
class Records:
    """The records of one principal as a source."""

    databases: Databases
    principal: str
    name: str
    key: str

    def begins(self) -> str:
        """The time of its first record."""
        return self.kept().first or ""

    def end(self) -> str:
        """Behind the last record."""
        with self.databases.reading(self.principal) as data:
            (last,) = data.execute("SELECT max(id) FROM records").fetchone()
        return "" if last is None else str(last + 1)

    def kept(self) -> Kept:
        """How much there is."""
        with self.databases.reading(self.principal) as data:
            count, size = data.execute("SELECT records, bytes FROM kept").fetchone()
            first, last = data.execute("SELECT min(time), max(time) FROM records").fetchone()
        return Kept(count, size, first, last)

    def chunks(self, wanted: Wanted, where: str, backward: bool, budget: Budget) -> Iterator[Chunk]:
        """Its records from a boundary on, some at a time."""
        boundary = int(where) if where.isdigit() and len(where) < 19 else None
        if backward and boundary is None:
            return
        at = boundary or 0
        while True:
            with self.databases.reading(self.principal) as data:
                rows = data.execute(*_page(wanted, at, backward)).fetchall()
            budget.spend(sum(len(row[4]) for row in rows))
            if not rows:
                return
            at = rows[-1][0] if backward else rows[-1][0] + 1
            times = [row[1] for row in rows]
            chunk = Loaded(max(times), min(times), str(at), backward)
            chunk.found = [self._record(row) for row in rows]
            yield chunk

    def _record(self, row: tuple[Any, ...]) -> Record:
        number, moment, rank, origin, text, fields = row
        said = json.loads(fields) if fields else None
        bounds = str(number), str(number + 1)
        return Record(
            moment, self.name, levels.BY_RANK[rank], text, *bounds, None, origin, said, said is not None
        )


def _page(wanted: Wanted, at: int, backward: bool) -> tuple[str, list[Any]]:
    where = ["id < ?" if backward else "id >= ?", "rank >= ?"]
    values: list[Any] = [at, wanted.least]
    if wanted.since:
        where.append("time >= ?")
        values.append(wanted.since)
    if wanted.until:
        where.append("time < ?")
        values.append(wanted.until)
    if wanted.query is not None:
        where.append("id IN (SELECT rowid FROM words WHERE words MATCH ?)")
        values.append(wanted.query.match)
    order = "DESC" if backward else "ASC"
    conditions = " AND ".join(where)
    return (
        f"SELECT id, time, rank, origin, text, fields FROM records WHERE {conditions} ORDER BY id {order} "  # noqa: S608
        f"LIMIT {_PAGE}",
        values,
    )


Owners = Cache[str, str]
"""Whose a file is, by its name; it never changes."""


def owners(folder: Path, known: Owners) -> list[str]:
    """The principals that have records here."""
    depends.file(folder)
    files = sorted(folder.glob("*.db"))[:PRINCIPALS] if folder.is_dir() else []
    found: list[str] = []
    for file in files:
        owner = known.get(file.name) or _owner(file)
        if owner is None:  # it may have one later, under the same name
            depends.unsure()
            continue
        known.set(file.name, owner)
        found.append(owner)
    return found


def _owner(file: Path) -> str | None:
    with contextlib.suppress(sqlite3.Error), contextlib.closing(_read_only(file)) as connection:
        row = connection.execute("SELECT principal FROM owner").fetchone()
        return None if row is None else str(row[0])
    return None


def _read_only(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True, timeout=1.0)
