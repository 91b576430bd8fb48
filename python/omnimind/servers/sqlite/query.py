"""One statement of a caller: reading it in pages, carrying it out, and showing how SQLite would."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from omnimind.servers.problem import Problem
from omnimind.servers.sqlite import formats, guard, limits, values
from omnimind.servers.sqlite.engine import Access, virtual_tables
from omnimind.servers.sqlite.text import is_ordered, words
from omnimind.servers.sqlite.values import Parameters, Value

_NO_ROWS = frozenset({"ALTER", "ANALYZE", "CREATE", "DROP", "PRAGMA", "REINDEX"})


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of a result: those from `offset` on, and whether there are more behind them."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Value]]
    offset: int
    more: bool
    ordered: bool = True

    @property
    def next_offset(self) -> int:
        """Where the next page begins."""
        return self.offset + len(self.rows)

    def records(self) -> list[dict[str, Value]]:
        """The rows with the name of the column at each value."""
        names = values.unique(self.columns)
        return [dict(zip(names, row, strict=True)) for row in self.rows]


@dataclass(frozen=True, slots=True)
class Written:
    """What a statement has done; `returned` is what its RETURNING gave."""

    affected_rows: int
    returned: Page | None


@dataclass(slots=True)
class Step:
    """One step of a query plan, with those beneath it."""

    detail: str
    steps: list[Step] = field(default_factory=list)


def read(access: Access, statement: str, parameters: Parameters, limit: int, offset: int) -> Page:
    """A page of what a reading statement gives."""
    _check(statement)
    ordered = is_ordered(statement)
    fence = guard.reading()
    fence.formats_checked = formats.check(statement)
    with access.reading(fence) as connection:
        cursor = connection.execute(statement, parameters)
        if cursor.description is None:
            raise Problem("the statement gives no rows; read_query takes a SELECT")
        return page(access, cursor, limit, offset, ordered)


def page(access: Access, cursor: sqlite3.Cursor, limit: int, offset: int, ordered: bool = True) -> Page:
    """The rows of a cursor from `offset` on: at most `limit`, and no more than an answer may hold."""
    columns = [column[0] for column in cursor.description]
    rows: list[Sequence[Value]] = []
    room = limits.ANSWER_BYTES
    names_bytes = sum(len(name) + 6 for name in columns)  # the text repeats them in every row
    for row in _skipped(access, cursor, offset):
        room -= names_bytes + sum(map(values.size, row))
        if len(rows) == limit or (room < 0 and rows):
            return Page(columns, rows, offset, True, ordered)
        if room < 0:
            raise Problem(
                f"one row is larger than {limits.ANSWER_BYTES:,} bytes, which is the limit of an answer; take "
                "fewer columns, or parts of them with substr"
            )
        rows.append(row)
    return Page(columns, rows, offset, False, ordered)


def _skipped(access: Access, cursor: sqlite3.Cursor, offset: int) -> Iterator[Sequence[Value]]:
    for number, row in enumerate(cursor):
        if number % 1_000 == 0:
            access.watch.check()
        if number >= offset:
            yield row


def write(access: Access, statement: str, parameters: Parameters) -> Written:
    """Carry a statement out: all of it, on disk when this returns, or nothing."""
    _check(statement)
    reads = Problem("SELECT queries are not allowed for write_query; read_query takes them")
    if words(statement, 1) in (["SELECT"], ["VALUES"], ["EXPLAIN"]):
        raise reads
    fence = guard.writing()
    # SQLite itself formats the new text of a table that is altered.
    fence.formats_checked = formats.check(statement) or words(statement, 1) == ["ALTER"]
    with access.writing(fence) as connection:
        with fence.compiling(virtual_tables(connection)):
            connection.execute(f"EXPLAIN {statement}", parameters).close()
        cursor = connection.execute(statement, parameters)
        returned = None
        if cursor.description is not None:
            if not fence.wrote:
                raise reads
            returned = page(access, cursor, limits.ROWS_MOST, 0)
            if returned.more:
                raise Problem(
                    "RETURNING gives more than an answer may hold; leave it out. Nothing was changed"
                )
        fence.detach()
        (changed,) = connection.execute("SELECT changes()").fetchone()
        return Written(-1 if words(statement, 1)[0] in _NO_ROWS else changed, returned)


def create_table(access: Access, statement: str) -> None:
    """Carry out a CREATE TABLE and nothing else."""
    _check(statement)
    if words(statement) != ["CREATE", "TABLE"]:
        raise Problem("Only CREATE TABLE statements are allowed; write_query does the rest")
    fence = guard.creating()
    fence.formats_checked = formats.check(statement)
    with access.writing(fence) as connection:
        connection.execute(statement)


def explain(access: Access, statement: str, parameters: Parameters) -> list[Step]:
    """The plan of a statement as a tree. Nothing of it runs: the connection can only read."""
    _check(statement)
    fence = guard.writing()
    fence.formats_checked = True  # nothing of it runs
    with access.reading(fence) as connection:
        rows = _plan(connection, f"EXPLAIN QUERY PLAN {statement}", parameters)
    top = Step("")
    known = {0: top}
    for number, parent, _, detail in rows:
        known[number] = step = Step(str(detail))
        known.get(parent, top).steps.append(step)
    return top.steps


class _Nulls(dict[str, Value]):
    """NULL for every name."""

    def __missing__(self, name: str) -> Value:
        return None


def _plan(connection: sqlite3.Connection, statement: str, parameters: Parameters) -> list[tuple[Any, ...]]:
    """The rows of a plan; a plan needs no values, so NULL stands where none were given."""
    counted: re.Match[str] | None = None
    attempts: list[Parameters] = [parameters] if parameters else [(), _Nulls()]
    for attempt in attempts:
        try:
            return connection.execute(statement, attempt).fetchall()
        except sqlite3.ProgrammingError as refusal:
            if parameters or "one statement" in str(refusal):
                raise
            counted = counted or re.search(r"statement uses (\d+)", str(refusal))
    return connection.execute(statement, (None,) * int(counted[1] if counted else 0)).fetchall()


def outline(steps: Sequence[Step], depth: int = 0) -> list[str]:
    """A plan as lines, each set in by its depth."""
    lines: list[str] = []
    for step in steps:
        lines.append("  " * depth + step.detail)
        lines.extend(outline(step.steps, depth + 1))
    return lines


def _check(statement: str) -> None:
    try:
        length = len(statement.encode())
    except UnicodeEncodeError:
        raise Problem("the statement is not valid Unicode text") from None
    if length > limits.SQL_BYTES:
        raise Problem(
            f"the statement has {length:,} bytes; the limit is {limits.SQL_BYTES:,}, so bind long values with "
            "`parameters`, or use import_rows"
        )
    if "\0" in statement:
        raise Problem("a statement cannot contain a NUL character")
    if not words(statement, 1):
        raise Problem("the statement is empty")
