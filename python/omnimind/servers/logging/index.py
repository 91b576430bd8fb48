"""The full-text index of the fleet's logs: which block of 64 KB holds which words, levels and times.

It is derived from the logs, may be deleted at any time, and decides nothing: a block that it names is read and
looked through like one that it does not know. So it is small (a block keeps each word once) and cannot give out
what was removed. Parts are known by their first line, so rotation and packing change nothing, and a log that was
reset is another. It grows at each question by what was written since, within limits of time and room; what is not
in it is scanned.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from omnimind.servers.logging import levels, lines, words
from omnimind.servers.logging.fleetlogs import FleetLog, Known
from omnimind.servers.logging.parts import BLOCK_BYTES, Part
from omnimind.servers.logging.plain import one_line
from omnimind.servers.logging.wanted import Budget, Wanted

FILE_BYTES = 256 * 1024 * 1024
UPDATE_S = 1.5
"""How long a question may spend on the index before it goes on without the rest."""
_BUSY_S = 0.2
_BLOCKS_TOGETHER = 16
_VERSION = 1

_SCHEMA = (
    "CREATE TABLE parts (id INTEGER PRIMARY KEY, log TEXT NOT NULL, mark TEXT NOT NULL, UNIQUE (log, mark))",
    """CREATE TABLE blocks (
        id INTEGER PRIMARY KEY, part INTEGER NOT NULL, start INTEGER NOT NULL, stop INTEGER NOT NULL,
        oldest TEXT NOT NULL, newest TEXT NOT NULL, counts TEXT NOT NULL, last INTEGER NOT NULL)""",
    "CREATE INDEX blocks_of_part ON blocks (part, start)",
    "CREATE VIRTUAL TABLE words USING fts5(said, tokenize = 'ascii', detail = 'none', columnsize = 0)",
)


class Index:
    """The index of one state folder. Cheap to make; the file is opened for each question."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "index.db"
        self._updating = threading.Lock()

    @contextlib.contextmanager
    def opened(self) -> Iterator[sqlite3.Connection | None]:
        """A connection; None where there can be none, and then everything is scanned."""
        connection = None
        with contextlib.suppress(sqlite3.Error, OSError):
            connection = self._connected()
        try:
            yield connection
        finally:
            if connection is not None:
                connection.close()

    def update(
        self,
        connection: sqlite3.Connection,
        logs: Mapping[str, Sequence[Part]],
        there: frozenset[str],
        budget: Budget,
    ) -> bool:
        """Take in what was written since to these logs, and forget what is gone of them, and logs that are not
        `there` any more. True if nothing is left to take in."""
        if not self._updating.acquire(blocking=False):
            return False
        try:
            taken = _taken(connection)
            self._forget(connection, taken, logs, there)
            return all(
                self._take(connection, log, part, budget)
                for log, parts in logs.items()
                for part in reversed(parts)
                if _lacks(part, taken.get((log, part.mark)))
            )
        except sqlite3.DatabaseError as trouble:
            self._drop_if_damaged(trouble)
            return False
        finally:
            self._updating.release()

    def tell(self, connection: sqlite3.Connection, logs: Sequence[FleetLog], wanted: Wanted) -> None:
        """Give these logs what is known of their blocks, all of one moment."""
        try:
            connection.execute("BEGIN")
            for log in logs:
                log.known = _known(connection, log.name)
                log.hits = None if wanted.query is None else _hits(connection, wanted.query)
            connection.execute("COMMIT")
        except sqlite3.DatabaseError as trouble:
            for log in logs:
                log.known, log.hits = {}, None
            self._drop_if_damaged(trouble)

    # --- keeping it

    def _connected(self) -> sqlite3.Connection:
        try:
            return self._ready()
        except sqlite3.DatabaseError as trouble:
            if not self._drop_if_damaged(trouble):
                raise
            return self._ready()

    def _ready(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._file, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA temp_store = MEMORY")
            connection.execute("PRAGMA synchronous = OFF")  # what is lost is made again
            connection.execute(f"PRAGMA max_page_count = {FILE_BYTES // 4096}")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version != _VERSION:
                connection.execute("PRAGMA journal_mode = WAL")
                self._create(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _create(self, connection: sqlite3.Connection) -> None:
        with _change(connection):
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version == _VERSION:
                return
            for table in ("words", "blocks", "parts"):
                connection.execute(f"DROP TABLE IF EXISTS {table}")
            for statement in _SCHEMA:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {_VERSION}")

    def _drop_if_damaged(self, trouble: sqlite3.DatabaseError) -> bool:
        """A file that is no database any more is removed; the next question makes another."""
        said = str(trouble)
        if "malformed" not in said and "not a database" not in said:
            return False
        for suffix in ("", "-wal", "-shm"):
            self._file.with_name(self._file.name + suffix).unlink(missing_ok=True)
        return True

    def _forget(
        self,
        connection: sqlite3.Connection,
        taken: Mapping[tuple[str, str], _Taken],
        logs: Mapping[str, Sequence[Part]],
        there: frozenset[str],
    ) -> None:
        parts = {(log, part.mark) for log, parts in logs.items() for part in parts}
        gone = [
            known.id
            for (log, mark), known in taken.items()
            if log not in there or (log in logs and (log, mark) not in parts)
        ]
        if not gone:
            return
        with _change(connection):
            for part in gone:
                connection.execute(
                    "DELETE FROM words WHERE rowid IN (SELECT id FROM blocks WHERE part = ?)", (part,)
                )
                connection.execute("DELETE FROM blocks WHERE part = ?", (part,))
                connection.execute("DELETE FROM parts WHERE id = ?", (part,))

    def _take(self, connection: sqlite3.Connection, log: str, part: Part, budget: Budget) -> bool:
        """Take in a part as far as it is whole blocks; a part that nobody writes to any more, to its end."""
        while not budget.over():
            with _change(connection):
                connection.execute("INSERT OR IGNORE INTO parts (log, mark) VALUES (?, ?)", (log, part.mark))
                known = _taken(connection, log, part.mark)[log, part.mark]
                if not _lacks(part, known) or _add(connection, known.id, part, known.stop):
                    part.release()
                    return True
        part.release()
        return False


@dataclass(frozen=True, slots=True)
class _Taken:
    """How far the index has a part, and whether that is all that will ever be in it."""

    id: int
    stop: int
    whole: bool


def _taken(
    connection: sqlite3.Connection, log: str | None = None, mark: str | None = None
) -> dict[tuple[str, str], _Taken]:
    rows = connection.execute(
        "SELECT log, mark, parts.id, coalesce(max(stop), 0), coalesce(max(last), 0) FROM parts "
        "LEFT JOIN blocks ON part = parts.id WHERE ?1 IS NULL OR (log = ?1 AND mark = ?2) GROUP BY parts.id",
        (log, mark),
    )
    return {(log, mark): _Taken(row, stop, bool(whole)) for log, mark, row, stop, whole in rows}


def _lacks(part: Part, known: _Taken | None) -> bool:
    """True if there is something to take in."""
    if known is None:
        return not part.live or part.size > BLOCK_BYTES
    return not known.whole and not (part.live and part.size - known.stop <= BLOCK_BYTES)


def _known(connection: sqlite3.Connection, log: str) -> dict[str, Sequence[Known]]:
    """The blocks of a log by part, in their order."""
    found: dict[str, list[Known]] = {}
    rows = connection.execute(
        "SELECT mark, blocks.id, start, stop, oldest, newest, counts, last FROM parts "
        "JOIN blocks ON part = parts.id WHERE log = ? ORDER BY part, start",
        (log,),
    )
    for mark, row, start, stop, oldest, newest, counts, last in rows:
        known = Known(row, start, stop, oldest, newest, tuple(json.loads(counts)), bool(last))
        found.setdefault(mark, []).append(known)
    return dict(found)


def _hits(connection: sqlite3.Connection, query: words.Query) -> frozenset[int]:
    """The blocks that may hold a line with these words."""
    rows = connection.execute("SELECT rowid FROM words WHERE words MATCH ?", (query.match,))
    return frozenset(row for (row,) in rows)


def _add(connection: sqlite3.Connection, row: int, part: Part, start: int) -> bool:
    """Some blocks of a part; True when nothing is left of it. The last block of a live file still grows."""
    spans = list(itertools.islice(part.cut(start, part.size), _BLOCKS_TOGETHER + 1))
    ended = len(spans) <= _BLOCKS_TOGETHER
    if part.live or not ended:
        spans = spans[:-1]
    for first, last in spans:
        _insert(connection, row, part, first, last)
    if ended and not part.live:
        connection.execute(
            "UPDATE blocks SET last = 1 WHERE id = (SELECT max(id) FROM blocks WHERE part = ?)", (row,)
        )
    return ended


def _insert(connection: sqlite3.Connection, row: int, part: Part, start: int, stop: int) -> None:
    found = {"redacted"}  # which any line may hold once it is given out
    counts = [0] * len(levels.BY_RANK)
    times: list[str] = []
    for raw in part.read(start, stop).split(b"\n")[:-1]:
        line = lines.parsed(raw)
        text = one_line(line.text)
        counts[levels.RANKS[levels.level_of(text)]] += 1
        found.update(words.words_of(text))
        if line.time:
            times.append(line.time)
    (block,) = connection.execute(
        "INSERT INTO blocks (part, start, stop, oldest, newest, counts, last) VALUES (?, ?, ?, ?, ?, ?, 0) "
        "RETURNING id",
        (row, start, stop, min(times, default=""), max(times, default=""), json.dumps(counts)),
    ).fetchone()
    connection.execute("INSERT INTO words (rowid, said) VALUES (?, ?)", (block, words.tokens_of(found)))


@contextlib.contextmanager
def _change(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
