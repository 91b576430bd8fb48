"""Rows into a table and out of it, as text: all or nothing on the way in, in pages on the way out."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from omnimind.servers.problem import Problem
from omnimind.servers.sqlite import delimited, guard, limits
from omnimind.servers.sqlite.delimited import Sheet
from omnimind.servers.sqlite.engine import Access, virtual_tables
from omnimind.servers.sqlite.query import Page, page, read
from omnimind.servers.sqlite.values import BrokenText, Value, quoted

Format = Literal["csv", "json", "jsonl"]
Mode = Literal["create", "append", "replace"]
_TOLD_EVERY = 1_000


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import has done: the table, its columns with the types they were given, the rows added."""

    table: str
    columns: Mapping[str, str]
    rows: int


def export_rows(
    access: Access, table: str | None, statement: str | None, form: Format, limit: int, offset: int
) -> tuple[str, Page]:
    """A page of a table or of a query as text. The header of CSV stands on the first page."""
    if table is not None and statement is None:
        found = _of_table(access, table, limit, offset)
    elif statement is not None and table is None:
        found = read(access, statement, (), limit, offset)
    else:
        raise Problem("give either table or query")
    if form == "csv":
        return delimited.csv_text(found.columns, found.rows, header=offset == 0), found
    return delimited.json_text(found.columns, found.rows, lines=form == "jsonl"), found


def _of_table(access: Access, table: str, limit: int, offset: int) -> Page:
    with access.reading(guard.reading()) as connection:
        _declared(connection, table)
        name = quoted(table)
        try:
            cursor = connection.execute(f"SELECT * FROM {name} ORDER BY rowid")  # noqa: S608
        except sqlite3.OperationalError as refusal:
            if "no such column" not in str(refusal):  # a view, or a table WITHOUT ROWID
                raise
            cursor = connection.execute(f"SELECT * FROM {name}")  # noqa: S608
        return page(access, cursor, limit, offset)


def import_rows(
    access: Access,
    table: str,
    text: str,
    form: Format,
    mode: Mode,
    types: Mapping[str, str],
    told: Callable[[int, int], None],
) -> Imported:
    """Put the rows of a text into a table, in one transaction. `told` hears how many of how many are in."""
    size = len(text.encode(errors="surrogatepass"))
    if size > limits.IMPORT_BYTES:
        raise Problem(
            f"the text has {size:,} bytes; the limit is {limits.IMPORT_BYTES:,}, so send it in parts (append)"
        )
    fence = guard.writing()
    with access.writing(fence) as connection:
        declared = None if mode == "create" else _declared(connection, table)
        sheet = _sheet(access, text, form, types, declared)
        _check_columns(sheet, types)
        if declared is not None:
            with fence.compiling(virtual_tables(connection)):
                connection.execute(f"EXPLAIN DELETE FROM {quoted(table)}").close()  # noqa: S608
        if mode == "create":
            connection.execute(f"CREATE TABLE {quoted(table)} ({_definitions(sheet)})")
        elif mode == "replace":
            connection.execute(f"DELETE FROM {quoted(table)}")  # noqa: S608
        _insert(access, connection, table, sheet, told)
    return Imported(table, dict(zip(sheet.columns, sheet.types, strict=True)), len(sheet.rows))


def _sheet(
    access: Access, text: str, form: Format, types: Mapping[str, str], declared: Mapping[str, str] | None
) -> Sheet:
    if form == "csv":
        return delimited.read_csv(text, types, declared, access.watch.check)
    sheet = delimited.read_json(text, types, access.watch.check)
    if declared is not None:
        return Sheet(sheet.columns, [declared.get(name.lower(), "") for name in sheet.columns], sheet.rows)
    return sheet


def _declared(connection: sqlite3.Connection, table: str) -> dict[str, str]:
    """The columns of a table that is there, each with the type its affinity amounts to."""
    rows = connection.execute(f"PRAGMA table_info({quoted(table)})").fetchall()
    if not rows:
        raise Problem(f"there is no table {table}; list_tables shows the tables")
    return {str(row[1]).lower(): _affinity(str(row[2])) for row in rows}


def _affinity(declared: str) -> str:
    """The rules of SQLite for a declared type, by what CSV needs to know; "" leaves the value to be guessed."""
    upper = declared.upper()
    if "INT" in upper:
        return "INTEGER"
    if any(part in upper for part in ("CHAR", "CLOB", "TEXT")):
        return "TEXT"
    if "BLOB" in upper:
        return "BLOB"
    return "REAL" if any(part in upper for part in ("REAL", "FLOA", "DOUB")) else ""


def _check_columns(sheet: Sheet, types: Mapping[str, str]) -> None:
    if not sheet.columns:
        raise Problem("the text holds no rows and no names of columns")
    if len(sheet.columns) > limits.IMPORT_COLUMNS:
        raise Problem(f"there are {len(sheet.columns):,} columns; the limit is {limits.IMPORT_COLUMNS}")
    seen: set[str] = set()
    for name in sheet.columns:
        if not name.strip() or "\0" in name:
            raise Problem(
                "a column has no name; the first record of CSV, and the keys of JSON, are the names"
            )
        if name.lower() in seen:
            raise Problem(f"two columns are called {name}; names of columns differ in more than their case")
        seen.add(name.lower())
    unknown = [name for name in types if name not in sheet.columns]
    if unknown:
        raise Problem(f"types names {unknown[0]}, which is no column of the text")


def _definitions(sheet: Sheet) -> str:
    return ", ".join(
        f"{quoted(name)} {kind}".rstrip() for name, kind in zip(sheet.columns, sheet.types, strict=True)
    )


def _insert(
    access: Access, connection: sqlite3.Connection, table: str, sheet: Sheet, told: Callable[[int, int], None]
) -> None:
    names = ", ".join(map(quoted, sheet.columns))
    marks = ", ".join("CAST(? AS TEXT)" if broken else "?" for broken in _broken(sheet))
    at = 0

    def rows() -> Iterator[Sequence[Value]]:
        nonlocal at
        for at, row in enumerate(sheet.rows, 1):
            if at % _TOLD_EVERY == 0:
                access.watch.check()
                told(at, len(sheet.rows))
            yield row

    try:
        connection.executemany(f"INSERT INTO {quoted(table)} ({names}) VALUES ({marks})", rows())  # noqa: S608
    except sqlite3.IntegrityError as refusal:
        raise Problem(f"Database error: row {at}: {refusal}; nothing was imported") from refusal


def _broken(sheet: Sheet) -> list[bool]:
    """Which columns hold texts that are not UTF-8: bound as bytes, they are made texts again by SQLite."""
    columns = list(zip(*sheet.rows, strict=True)) or [()] * len(sheet.columns)
    result = []
    for name, column in zip(sheet.columns, columns, strict=True):
        broken = any(isinstance(value, BrokenText) for value in column)
        if broken and not all(value is None or isinstance(value, str | BrokenText) for value in column):
            raise Problem(
                f"column {name} mixes texts that are not UTF-8 with other values, which cannot be bound"
            )
        result.append(broken)
    return result
