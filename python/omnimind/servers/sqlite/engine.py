"""Connections to a database, short-lived: one for each call, so that no lock and no old file is kept.

Rule: a caller's statement runs on a connection that is fenced several times over. For reading: the file is
opened with `mode=ro`, `query_only` is on, and the guard allows nothing but reading; each alone would do for an
INSERT, and only the guard stops ATTACH and VACUUM INTO. On all: limits of the engine, a bound on memory, no
trust in functions that the file's own views name, no extension, and a watch that ends it in time.

A write is one transaction, on disk when the call returns (WAL for databases made here, `synchronous=EXTRA` for
any other), and undone as a whole when anything fails.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from omnimind.servers import depends
from omnimind.servers.problem import Problem
from omnimind.servers.sqlite import limits, values
from omnimind.servers.sqlite.guard import Guard
from omnimind.servers.sqlite.places import Place, Shelf, Spot
from omnimind.servers.sqlite.watch import Watch

_PAUSE_S = 0.01
_ON_ALL = ("trusted_schema = OFF", "cell_size_check = ON", "temp_store = MEMORY")
_FOR_READING = ("query_only = ON",)
_FOR_WRITING = ("foreign_keys = ON", "synchronous = EXTRA")
_VIRTUAL_TABLES = (
    "SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE 'CREATE VIRTUAL%' LIMIT 64"
)
_DESCRIPTORS_AHEAD = 64
_NEEDS_RECOVERY = frozenset(
    {"SQLITE_READONLY_ROLLBACK", "SQLITE_READONLY_RECOVERY", "SQLITE_READONLY_CANTINIT"}
)


@dataclass(frozen=True, slots=True)
class Access:
    """What a call works with: the caller's databases, the one it names, and the watch over it."""

    shelf: Shelf
    place: Place
    watch: Watch

    @contextmanager
    def reading(self, guard: Guard) -> Iterator[sqlite3.Connection]:
        """A connection that can only read; all reads in the block see the same moment.

        The default database, and one that the operator named, read as empty before they are made.
        """
        spot = self.shelf.look(self.place)
        if spot is None and not self.place.awaited:
            raise Problem(f"there is no database {self.place.shown}; list_databases shows what there is")
        with self._guarded(guard):
            try:
                connection = self._reader(spot)
            except sqlite3.OperationalError as refusal:
                if spot is None or getattr(refusal, "sqlite_errorname", "") not in _NEEDS_RECOVERY:
                    raise
                self._recover(spot)
                connection = self._reader(spot)
            try:
                guard.attach(connection)
                yield connection
            finally:
                guard.detach()
                self.watch.detach()
                connection.close()

    def _note(self, spot: Spot | None) -> None:
        """What is read next depends on the database as it is now.

        Not where a WAL holds something: another program is at work there, and a commit that is on disk already may
        still be hidden from readers, who will see it with no file changing once more.
        """
        path = os.path.join(self.place.root, self.place.relative)
        depends.file(path)
        depends.empty(f"{path}-wal")
        replaced = spot is not None and _identity(path) != spot.identity
        if replaced or len(self.shelf.folders) > 1:
            depends.unsure()

    def _reader(self, spot: Spot | None) -> sqlite3.Connection:
        connection = _memory() if spot is None else _opened(spot, "ro")
        try:
            self._prepare(connection, _FOR_READING)
            if depends.wanted():
                self._note(spot)
            _connect(connection, self._patiently(connection, "BEGIN", _VIRTUAL_TABLES))
        except BaseException:
            self.watch.detach()
            connection.close()
            raise
        return connection

    @contextmanager
    def writing(self, guard: Guard) -> Iterator[sqlite3.Connection]:
        """A connection in a transaction, committed when the block ends and undone if it raises."""
        created = self.place.awaited and self.shelf.create(self.place)
        spot = self.shelf.look(self.place)
        if spot is None:
            raise Problem(f"there is no database {self.place.shown}; create_database makes one")
        with self._guarded(guard):
            connection = _opened(spot, "rw")
            try:
                self._prepare(connection, _FOR_WRITING)
                if created:
                    self._patiently(connection, "PRAGMA journal_mode = WAL")
                self._bound(connection)
                self._patiently(connection, "BEGIN IMMEDIATE")
                _connect(connection, connection.execute(_VIRTUAL_TABLES).fetchall())
                guard.attach(connection)
                try:
                    yield connection
                    guard.detach()
                    if not connection.in_transaction:
                        raise Problem("the statement rolled its own transaction back; nothing was changed")
                    self._patiently(connection, "COMMIT")
                except BaseException:
                    guard.detach()
                    if connection.in_transaction:
                        connection.set_progress_handler(None, 0)
                        connection.execute("ROLLBACK")
                    raise
            finally:
                self.watch.detach()
                connection.close()

    def make(self) -> bool:
        """Make the database if it is not there; whether it was made."""
        if not self.shelf.create(self.place):
            return False
        spot = self.shelf.look(self.place)
        if spot is not None:
            connection = _opened(spot, "rw")
            try:
                self._prepare(connection, _FOR_WRITING)
                self._patiently(connection, "PRAGMA journal_mode = WAL")
            finally:
                self.watch.detach()
                connection.close()
        return True

    def _prepare(self, connection: sqlite3.Connection, settings: Sequence[str]) -> None:
        self.watch.attach(connection)
        for limit, most in limits.ENGINE.items():
            connection.setlimit(limit, most)
        _configure(connection)
        for setting in (*_ON_ALL, *settings):
            self._patiently(connection, f"PRAGMA {setting}")

    def _bound(self, connection: sqlite3.Connection) -> None:
        (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
        self._patiently(connection, f"PRAGMA max_page_count = {self.place.largest // page_bytes}")

    def _recover(self, spot: Spot) -> None:
        """Roll back what a killed writer has left, which a reading connection may not do."""
        connection = _opened(spot, "rw")
        try:
            self._prepare(connection, _FOR_WRITING)
            self._patiently(connection, "SELECT 1 FROM sqlite_master LIMIT 1")
        finally:
            self.watch.detach()
            connection.close()

    def _patiently(self, connection: sqlite3.Connection, *statements: str) -> list[Any]:
        """The rows of the last of these, run when nobody else holds the locks; waits while the watch allows."""
        while True:
            try:
                rows = []
                for statement in statements:
                    rows = connection.execute(statement).fetchall()
                return rows
            except sqlite3.OperationalError as refusal:
                if not _is_busy(refusal):
                    raise
                if statements[0] == "BEGIN" and connection.in_transaction:
                    connection.execute("ROLLBACK")
                if self.watch.left() == 0:
                    raise Problem(
                        f"another program has kept {self.place.shown} locked for {self.watch.seconds:g} s; "
                        "nothing was changed, try again when it is done"
                    ) from refusal
                time.sleep(_PAUSE_S)

    @contextmanager
    def _guarded(self, guard: Guard) -> Iterator[None]:
        """What goes wrong in the engine, in words that say what to do."""
        try:
            yield
        except sqlite3.DatabaseError as refusal:
            raise guard.why() or self._problem(refusal) from refusal
        except UnicodeDecodeError as refusal:
            raise Problem(
                f"Database error: a name in {self.place.shown}, or what SQLite says of it, is not UTF-8; the file "
                "is damaged, or another program wrote it so"
            ) from refusal
        except (sqlite3.Warning, sqlite3.InterfaceError) as refusal:
            raise _statement_problem(refusal) from refusal
        except MemoryError as refusal:
            raise Problem(
                f"it needs more than the {limits.HEAP_BYTES:,} bytes of memory that SQLite may use here; "
                "take fewer rows, or smaller ones, at a time"
            ) from refusal

    def _problem(self, refusal: sqlite3.DatabaseError) -> Problem:
        code = getattr(refusal, "sqlite_errorname", "")
        if code == "SQLITE_INTERRUPT":
            return self.watch.why()
        if code == "SQLITE_FULL":
            return Problem(
                f"no room is left: the disk is full, or {self.place.shown} has reached {self.place.largest:,} bytes"
            )
        if code == "SQLITE_TOOBIG":
            return Problem(
                f"Database error: {refusal}: a value or a row is larger than {limits.VALUE_BYTES:,} bytes (less "
                "in a statement that uses instr, replace, trim, LIKE or GLOB); leave that column out"
            )
        if code == "SQLITE_NOTADB":
            return Problem(f"Database error: {self.place.shown} is not an SQLite database, or is encrypted")
        if isinstance(refusal, sqlite3.ProgrammingError):
            return _statement_problem(refusal)
        return Problem(f"Database error: {refusal}{_advice(str(refusal))}")


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def bound_memory() -> None:
    """Bound what SQLite may take in this process. It holds for all connections, and can only be lowered."""
    connection = _memory()
    connection.execute(f"PRAGMA hard_heap_limit = {limits.HEAP_BYTES}")
    connection.close()


def _opened(spot: Spot, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(spot.path)}?mode={mode}",
        uri=True,
        timeout=0,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=0,
    )
    connection.text_factory = values.text_factory
    if not _has_opened(spot.identity):
        connection.close()
        raise Problem(f"{os.path.basename(spot.path)} was replaced while it was opened; try again")
    return connection


def _memory() -> sqlite3.Connection:
    connection = sqlite3.connect(
        ":memory:", isolation_level=None, check_same_thread=False, cached_statements=0
    )
    connection.text_factory = values.text_factory
    return connection


def _has_opened(identity: tuple[int, int]) -> bool:
    """Whether this process holds that very file open. SQLite opens by path, and a path can be swapped between
    the look and the opening; a new descriptor is near the lowest free number."""
    probe, other = os.pipe()
    os.close(probe)
    os.close(other)
    for descriptor in range(probe + _DESCRIPTORS_AHEAD):
        try:
            found = os.fstat(descriptor)
        except OSError:
            continue
        if (found.st_dev, found.st_ino) == identity:
            return True
    return False


def _configure(connection: sqlite3.Connection) -> None:
    """Switches that Python knows since 3.12; before that the guard alone stands for them."""
    set_config = getattr(connection, "setconfig", None)
    if set_config is None:
        return
    for name, wanted in (
        ("DEFENSIVE", True),
        ("ENABLE_FTS3_TOKENIZER", False),
        ("ENABLE_LOAD_EXTENSION", False),
    ):
        set_config(getattr(sqlite3, f"SQLITE_DBCONFIG_{name}"), wanted)


def virtual_tables(connection: sqlite3.Connection) -> list[str]:
    """The names of the virtual tables, of which a database rarely has more than a few."""
    return [values.readable(name) for (name,) in connection.execute(_VIRTUAL_TABLES).fetchall()]


def _connect(connection: sqlite3.Connection, virtual: Sequence[tuple[str]]) -> None:
    """Have SQLite load these virtual tables before the guard stands: an R-tree prepares its own writes then."""
    for (name,) in virtual:
        try:
            connection.execute(f"SELECT 1 FROM {values.quoted(name)} LIMIT 0").fetchall()  # noqa: S608
        except (sqlite3.Error, Problem):
            continue  # its module is not here, or its name is none; the statement that names it will say so


def _is_busy(refusal: sqlite3.OperationalError) -> bool:
    return str(getattr(refusal, "sqlite_errorname", "")).startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))


def _statement_problem(refusal: Exception) -> Problem:
    said = str(refusal)
    if "one statement at a time" in said:
        return Problem(
            "one statement a call: send the others in calls of their own, or use import_rows for many rows"
        )
    return Problem(f"Database error: {said}")


def _advice(said: str) -> str:
    if said.startswith("no such table"):
        return "; list_tables shows the tables"
    if said.startswith("no such column"):
        return "; describe_table shows the columns, and texts stand in single quotes"
    if said.startswith("no such function"):
        return "; PRAGMA function_list through read_query shows the functions"
    if "VACUUM" in said:
        return "; VACUUM is not allowed here, statistics shows what it would free"
    if "readonly" in said:
        return "; the operating system lets this server only read it"
    return ""
