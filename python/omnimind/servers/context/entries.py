"""Entries: a text with its level, names and worth. Every change keeps the index of words and the texts in step."""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, get_args

from omnimind.servers.context import limits, texts
from omnimind.servers.problem import Problem

Level = Literal["working", "session", "project", "archive"]

LEVELS: Final[tuple[Level, ...]] = get_args(Level)
COLUMNS: Final = (
    "id, level, session, key, title, tags, importance, handle, created_ms, updated_ms, expires_ms"
)
FACTS: Final = f"{', '.join('e.' + name for name in COLUMNS.split(', '))}, t.tokens, t.bytes"
"""What `entry_of` reads, of `entries e` joined with `texts t`."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry, without its text."""

    id: str
    level: Level
    session: str | None
    key: str | None
    title: str | None
    tags: tuple[str, ...]
    importance: float
    handle: str
    created_ms: int
    updated_ms: int
    expires_ms: int | None
    tokens: int = 0
    bytes: int = 0

    def row(self) -> tuple[Any, ...]:
        """The values of `COLUMNS`."""
        tags = json.dumps(self.tags, ensure_ascii=False)
        return (
            self.id, self.level, self.session, self.key, self.title, tags, self.importance, self.handle,
            self.created_ms, self.updated_ms, self.expires_ms,
        )  # fmt: skip


def entry_of(row: Sequence[Any]) -> Entry:
    """An entry from the values of `COLUMNS`, tokens and bytes."""
    values = list(row)
    values[5] = tuple(json.loads(values[5]))
    return Entry(*values)


def select(connection: sqlite3.Connection, rest: str = "", values: Sequence[Any] = ()) -> list[Entry]:
    """The entries of a query that goes on after the joined tables `e` and `t`."""
    query = f"SELECT {FACTS} FROM entries e JOIN texts t USING (handle) {rest}"  # noqa: S608
    return [entry_of(row) for row in connection.execute(query, values)]


def new_id() -> str:
    """A short name, because every retrieval pays for it in tokens; it opens nothing to another principal."""
    return secrets.token_hex(8)


def find(connection: sqlite3.Connection, name: str) -> Entry:
    """The entry of this id, or the one of this key."""
    found = select(connection, "WHERE e.id = ?", (name,)) or select(
        connection, "WHERE e.key = ? AND e.level <> 'archive' LIMIT 2", (name,)
    )
    if len(found) > 1:
        raise Problem(f"several entries have the key {name!r}; say which one by its id, see list_context")
    if not found:
        raise Problem(f"there is no entry {name!r}; list_context shows ids")
    return found[0]


def insert(connection: sqlite3.Connection, entry: Entry) -> None:
    """Write a new entry whose text is kept already."""
    (count,) = connection.execute("SELECT count(*) FROM entries").fetchone()
    if count >= limits.ENTRIES:
        raise Problem(f"there are {count:,} entries, which is the limit; delete some first")
    marks = ", ".join("?" * len(entry.row()))
    try:
        cursor = connection.execute(f"INSERT INTO entries ({COLUMNS}) VALUES ({marks})", entry.row())  # noqa: S608
    except sqlite3.IntegrityError:
        raise _taken(entry) from None
    _index(connection, cursor.lastrowid, entry)
    texts.settle(connection, [entry.handle])


def change(connection: sqlite3.Connection, old: Entry, new: Entry) -> None:
    """Write an entry anew."""
    number = _unindex(connection, old)
    assignments = ", ".join(f"{name} = ?" for name in COLUMNS.split(", "))
    try:
        connection.execute(f"UPDATE entries SET {assignments} WHERE id = ?", (*new.row(), old.id))  # noqa: S608
    except sqlite3.IntegrityError:
        raise _taken(new) from None
    _index(connection, number, new)
    texts.settle(connection, [old.handle, new.handle])


def remove(connection: sqlite3.Connection, entry: Entry) -> None:
    """Delete an entry, and its text if nothing else names it."""
    _unindex(connection, entry)
    connection.execute("DELETE FROM entries WHERE id = ?", (entry.id,))
    texts.settle(connection, [entry.handle])


def moved(entry: Entry, level: Level, session: str | None) -> Entry:
    """The entry on another level; one of the project belongs to no session."""
    return replace(entry, level=level, session=None if level == "project" else session)


def is_key_free(connection: sqlite3.Connection, entry: Entry) -> bool:
    """Whether no other entry stands under this key where this one would stand."""
    return (
        entry.key is None
        or entry.level == "archive"
        or not select(
            connection,
            "WHERE e.key = ? AND e.level = ? AND e.session IS ? AND e.id <> ?",
            (entry.key, entry.level, entry.session, entry.id),
        )
    )


def _taken(entry: Entry) -> Problem:
    return Problem(
        f"the level {entry.level} has an entry with the key {entry.key!r} already; "
        "change it with update_context, or take another key"
    )


def _words(connection: sqlite3.Connection, entry: Entry) -> tuple[str, str, str]:
    title = " ".join(name for name in (entry.title, entry.key) if name)
    return title, " ".join(entry.tags), texts.read(connection, entry.handle)


def _index(connection: sqlite3.Connection, number: int | None, entry: Entry) -> None:
    connection.execute(
        "INSERT INTO words (rowid, title, tags, content) VALUES (?, ?, ?, ?)",
        (number, *_words(connection, entry)),
    )


def _unindex(connection: sqlite3.Connection, entry: Entry) -> int:
    number: int
    (number,) = connection.execute("SELECT number FROM entries WHERE id = ?", (entry.id,)).fetchone()
    connection.execute(
        "INSERT INTO words (words, rowid, title, tags, content) VALUES ('delete', ?, ?, ?, ?)",
        (number, *_words(connection, entry)),
    )
    return number
