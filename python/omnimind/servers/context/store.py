"""What the tools do with entries: store, change, move, list, count. Each change leaves every level within its cap."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace

from omnimind.servers.context import aging, entries, limits, sessions, texts
from omnimind.servers.context.aging import Move
from omnimind.servers.context.entries import Entry, Level
from omnimind.servers.problem import Problem


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a caller wants stored."""

    content: str
    level: Level
    key: str | None = None
    title: str | None = None
    tags: tuple[str, ...] = ()
    importance: float = 0.5
    session: str | None = None
    ttl_s: int | None = None


@dataclass(frozen=True, slots=True)
class Patch:
    """What a caller wants changed; None leaves it as it is."""

    content: str | None = None
    title: str | None = None
    tags: Sequence[str] | None = None
    importance: float | None = None
    ttl_s: int | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """What one level holds."""

    level: Level
    entries: int
    tokens: int
    bytes: int
    stored_bytes: int


def store(
    connection: sqlite3.Connection, wanted: Wanted, caps: limits.Caps, now_ms: int
) -> tuple[Entry, list[Move]]:
    """Keep a new entry; what had to move for it."""
    session = wanted.session
    if session is not None:
        if wanted.level == "project":
            raise Problem("an entry of the project belongs to no session; leave session_id out")
        sessions.use(connection, session, now_ms)
    elif wanted.level == "session":
        session = sessions.start(connection, now_ms)
    entry = Entry(
        entries.new_id(),
        wanted.level,
        session,
        limits.check_name(wanted.key, "key"),
        limits.check_name(wanted.title, "title"),
        limits.check_tags(wanted.tags),
        wanted.importance,
        texts.keep(connection, wanted.content),
        now_ms,
        now_ms,
        None if wanted.ttl_s is None else now_ms + wanted.ttl_s * 1000,
    )
    entries.insert(connection, entry)
    return _settled(connection, entry, caps, now_ms)


def update(
    connection: sqlite3.Connection, name: str, patch: Patch, caps: limits.Caps, now_ms: int
) -> tuple[Entry, list[Move]]:
    """Change what is given of an entry."""
    if patch == Patch():
        raise Problem("nothing to change was given; give content, title, tags, importance or ttl_s")
    old = entries.find(connection, name)
    new = replace(
        old,
        title=old.title if patch.title is None else limits.check_name(patch.title, "title"),
        tags=old.tags if patch.tags is None else limits.check_tags(patch.tags),
        importance=old.importance if patch.importance is None else patch.importance,
        handle=old.handle if patch.content is None else texts.keep(connection, patch.content),
        updated_ms=now_ms,
        expires_ms=old.expires_ms if patch.ttl_s is None else now_ms + patch.ttl_s * 1000,
    )
    entries.change(connection, old, new)
    return _settled(connection, new, caps, now_ms)


def move(
    connection: sqlite3.Connection,
    names: Sequence[str],
    level: Level,
    session: str | None,
    caps: limits.Caps,
    now_ms: int,
) -> tuple[list[Entry], list[Move]]:
    """Put entries on another level, all of them or none; what had to move for them."""
    limits.check_batch(len(names))
    if session is not None:
        sessions.use(connection, session, now_ms)
    moved = []
    for name in dict.fromkeys(names):
        old = entries.find(connection, name)
        lasts = old.session is not None and sessions.lasts(connection, old.session)
        new = entries.moved(old, level, session or (old.session if lasts or level == "archive" else None))
        if level == "session" and new.session is None:
            raise Problem(f"the entry {name!r} belongs to no session that lasts; give session_id")
        _check_fits(new, caps)
        entries.change(connection, old, new)
        moved.append(new)
    return moved, aging.balance(connection, caps, now_ms, [entry.id for entry in moved])


def delete(connection: sqlite3.Connection, names: Sequence[str]) -> tuple[list[Entry], int]:
    """Delete entries, all of them or none; which, and how many of those snapshots still hold."""
    limits.check_batch(len(names))
    still = 0
    found = {entry.id: entry for entry in (entries.find(connection, name) for name in names)}
    for entry in found.values():
        entries.remove(connection, entry)
        row = connection.execute("SELECT EXISTS (SELECT 1 FROM snapshot_entries WHERE id = ?)", (entry.id,))
        still += row.fetchone()[0]
    return list(found.values()), still


def listed(
    connection: sqlite3.Connection,
    level: Level | None,
    session: str | None,
    tags: Sequence[str],
    limit: int,
    offset: int,
) -> tuple[list[Entry], int]:
    """Entries, the latest first, and how many there are in all."""
    where, values = ["1"], []
    for column, value in (("e.level", level), ("e.session", session)):
        if value is not None:
            where.append(f"{column} = ?")
            values.append(value)
    for tag in tags:
        where.append("EXISTS (SELECT 1 FROM json_each(e.tags) WHERE value = ?)")
        values.append(tag)
    condition = "WHERE " + " AND ".join(where)
    (count,) = connection.execute(f"SELECT count(*) FROM entries e {condition}", values).fetchone()  # noqa: S608
    order = f"{condition} ORDER BY e.updated_ms DESC, e.number DESC LIMIT ? OFFSET ?"
    return entries.select(connection, order, (*values, limit, offset)), count


def held(connection: sqlite3.Connection) -> list[Held]:
    """What each level holds."""
    rows = connection.execute(
        """SELECT e.level, count(*), sum(t.tokens), sum(t.bytes), sum(length(t.data))
           FROM entries e JOIN texts t USING (handle) GROUP BY e.level"""
    )
    found = {row[0]: Held(*row) for row in rows}
    return [found.get(level, Held(level, 0, 0, 0, 0)) for level in entries.LEVELS]


def _settled(
    connection: sqlite3.Connection, entry: Entry, caps: limits.Caps, now_ms: int
) -> tuple[Entry, list[Move]]:
    entry = entries.find(connection, entry.id)
    _check_fits(entry, caps)
    return entry, aging.balance(connection, caps, now_ms, [entry.id])


def _check_fits(entry: Entry, caps: limits.Caps) -> None:
    cap = caps.of(entry.level)
    if cap is not None and entry.tokens > cap:
        raise Problem(
            f"the entry has {entry.tokens:,} tokens and the level {entry.level} holds {cap:,}; "
            "use the level project, or split it"
        )
