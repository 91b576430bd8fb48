"""What a database holds: its tables, their columns and indices, its DDL, and how large each part is."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from omnimind.servers.problem import Problem
from omnimind.servers.sqlite import guard, limits
from omnimind.servers.sqlite.engine import Access
from omnimind.servers.sqlite.query import Page, page
from omnimind.servers.sqlite.values import Value, quoted, readable

_KINDS = ("table", "view", "index", "trigger")


@dataclass(frozen=True, slots=True)
class Definition:
    """One statement of the schema."""

    kind: str
    name: str
    table: str
    sql: str


@dataclass(frozen=True, slots=True)
class Index:
    """An index and what it covers; `None` stands for an expression."""

    name: str
    table: str
    unique: bool
    partial: bool
    origin: str
    columns: Sequence[str | None]
    sql: str | None


@dataclass(frozen=True, slots=True)
class Size:
    """A table with its rows; `bytes` (with its indices) is None where SQLite cannot tell."""

    table: str
    rows: int
    bytes: int | None


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of a database file."""

    bytes: int
    free_bytes: int
    page_bytes: int
    journal_mode: str
    encoding: str
    user_version: int
    application_id: int
    tables: Sequence[Size]


def tables(access: Access, limit: int, offset: int) -> Page:
    """The names of all tables, in the order they were made."""
    with access.reading(guard.reading()) as connection:
        found = connection.execute("SELECT name FROM sqlite_master WHERE type='table'")
        return page(access, found, limit, offset)


def columns(access: Access, table: str) -> Page:
    """The columns of a table or view, as PRAGMA table_info tells them."""
    with access.reading(guard.reading()) as connection:
        found = page(access, connection.execute(f"PRAGMA table_info({quoted(table)})"), limits.ROWS_MOST, 0)
    if not found.rows:
        raise _unknown(table)
    if found.more:
        raise Problem(f"the columns of {table} are more than an answer may hold; schema shows its DDL")
    return found


def schema(access: Access, table: str | None) -> list[Definition]:
    """The DDL of everything, or of one table with its indices and triggers."""
    with access.reading(guard.reading()) as connection:
        rows = connection.execute(
            "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid"
        ).fetchall()
    found = [Definition(*map(readable, row)) for row in rows]
    if table is not None:
        wanted = table.lower()
        found = [one for one in found if wanted in (one.table.lower(), one.name.lower())]
        if not found:
            raise _unknown(table)
    size = sum(len(one.sql) for one in found)
    if size > limits.ANSWER_BYTES:
        raise Problem(
            f"the schema has {size:,} characters; the limit is {limits.ANSWER_BYTES:,}: name one table"
        )
    return sorted(found, key=lambda one: _KINDS.index(one.kind))


def indices(access: Access, table: str | None) -> list[Index]:
    """The indices of one table, or of all."""
    with access.reading(guard.reading()) as connection:
        if table is None:
            _check_count(connection, "index")
        names = [
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        if table is not None:
            names = [name for name in names if name.lower() == table.lower()]
            if not names:
                raise _unknown(table)
        return [index for name in names for index in _of(connection, name)]


def _of(connection: sqlite3.Connection, table: str) -> list[Index]:
    found = []
    for _, name, unique, origin, partial in connection.execute(
        f"PRAGMA index_list({quoted(table)})"
    ).fetchall():
        inside = connection.execute(f"PRAGMA index_info({quoted(name)})").fetchall()
        (sql,) = connection.execute(
            "SELECT sql FROM sqlite_master WHERE type = 'index' AND name = ?", (name,)
        ).fetchone() or (None,)
        made_by = {"c": "CREATE INDEX", "u": "UNIQUE", "pk": "PRIMARY KEY"}.get(origin, origin)
        found.append(
            Index(name, table, bool(unique), bool(partial), made_by, [row[2] for row in inside], sql)
        )
    return found


def figures(access: Access) -> Figures:
    """Sizes and settings. Counting rows takes time, so the watch bounds it."""
    with access.reading(guard.reading()) as connection:

        def fact(name: str) -> Value:
            value: Value = connection.execute(f"PRAGMA {name}").fetchone()[0]
            return value

        _check_count(connection, "table")
        bytes_of = _bytes_of(connection)
        sizes = []
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
        ).fetchall():
            access.watch.check()
            try:
                (rows,) = connection.execute(f"SELECT count(*) FROM {quoted(name)}").fetchone()  # noqa: S608
            except sqlite3.OperationalError as refusal:
                if "no such module" in str(refusal):
                    continue
                raise
            sizes.append(Size(name, rows, None if bytes_of is None else bytes_of.get(name, 0)))
        page_bytes = int(fact("page_size") or 0)
        return Figures(
            int(fact("page_count") or 0) * page_bytes,
            int(fact("freelist_count") or 0) * page_bytes,
            page_bytes,
            str(fact("journal_mode")),
            str(fact("encoding")),
            int(fact("user_version") or 0),
            int(fact("application_id") or 0),
            sizes,
        )


def _check_count(connection: sqlite3.Connection, kind: str) -> None:
    """Refuse a list that no answer should hold."""
    (count,) = connection.execute("SELECT count(*) FROM sqlite_master WHERE type = ?", (kind,)).fetchone()
    if count > limits.LISTED:
        advice = "name one table" if kind == "index" else "list_tables shows them in pages"
        raise Problem(
            f"there are {count:,} of kind {kind}; the limit of one answer is {limits.LISTED:,}: {advice}"
        )


def _bytes_of(connection: sqlite3.Connection) -> dict[str, int] | None:
    try:
        return dict(
            connection.execute(
                "SELECT m.tbl_name, sum(s.pgsize) FROM dbstat('main', 1) s "
                "JOIN sqlite_master m ON m.name = s.name GROUP BY m.tbl_name"
            ).fetchall()
        )
    except sqlite3.OperationalError as refusal:
        if "no such table" in str(refusal):  # this SQLite was built without dbstat
            return None
        raise


def _unknown(table: str) -> Problem:
    return Problem(f"there is no table {table}; list_tables shows the tables")
