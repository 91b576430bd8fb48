"""How entries move on: out of a full level, at the end of their session, at the end of their own time.

Nothing is lost on the way: what leaves `working` goes to its session or to the archive, what leaves a session goes
to the archive. Only an entry stored with a time of its own is deleted, when that is over, because that was asked for;
it leaves the snapshots then too.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from omnimind.servers.context import entries, ranking, texts
from omnimind.servers.context.entries import Entry, Level
from omnimind.servers.context.limits import Caps

_ENDED = "used_ms + ttl_s * 1000 <= ?"


@dataclass(frozen=True, slots=True)
class Move:
    """An entry that went elsewhere, or for good, and why."""

    entry: Entry
    to: Level | None
    why: str


def is_due(connection: sqlite3.Connection, now_ms: int) -> bool:
    """Whether the time of some entry or session is over."""
    row = connection.execute(
        f"""SELECT EXISTS (SELECT 1 FROM entries WHERE expires_ms <= ?)
            OR EXISTS (SELECT 1 FROM snapshot_entries WHERE expires_ms <= ?)
            OR EXISTS (SELECT 1 FROM sessions WHERE {_ENDED})""",  # noqa: S608
        (now_ms, now_ms, now_ms),
    ).fetchone()
    return bool(row[0])


def awaits(connection: sqlite3.Connection) -> bool:
    """Whether some entry or session will be over by itself one day."""
    row = connection.execute(
        """SELECT EXISTS (SELECT 1 FROM entries WHERE expires_ms IS NOT NULL)
            OR EXISTS (SELECT 1 FROM snapshot_entries WHERE expires_ms IS NOT NULL)
            OR EXISTS (SELECT 1 FROM sessions)"""
    ).fetchone()
    return bool(row[0])


def sweep(connection: sqlite3.Connection, now_ms: int) -> list[Move]:
    """Delete entries whose own time is over, and archive those of ended sessions."""
    expired = entries.select(connection, "WHERE e.expires_ms <= ?", (now_ms,))
    for entry in expired:
        entries.remove(connection, entry)
    handles = connection.execute(
        "DELETE FROM snapshot_entries WHERE expires_ms <= ? RETURNING handle", (now_ms,)
    ).fetchall()
    texts.settle(connection, [handle for (handle,) in handles])
    ended = connection.execute(f"SELECT id FROM sessions WHERE {_ENDED}", (now_ms,)).fetchall()  # noqa: S608
    moves = [Move(entry, None, "its time is over") for entry in expired]
    for (session,) in ended:
        moves += end_session(connection, session, "its session ended")
    return moves


def end_session(connection: sqlite3.Connection, session: str, why: str) -> list[Move]:
    """Forget a session and archive its entries."""
    moves = [
        _moved(connection, entry, "archive", why)
        for entry in entries.select(
            connection, "WHERE e.session = ? AND e.level IN ('working', 'session')", (session,)
        )
    ]
    connection.execute("DELETE FROM sessions WHERE id = ?", (session,))
    return moves


def balance(connection: sqlite3.Connection, caps: Caps, now_ms: int, spare: Iterable[str] = ()) -> list[Move]:
    """Move the least valuable entries out of levels that hold too much; `spare` stay if others will do."""
    kept = set(spare)
    return [
        *_relieved(connection, "working", caps.working, now_ms, kept),
        *_relieved(connection, "session", caps.session, now_ms, kept),
    ]


def _relieved(
    connection: sqlite3.Connection, level: Level, cap: int, now_ms: int, spare: set[str]
) -> list[Move]:
    (held,) = connection.execute(
        "SELECT ifnull(sum(t.tokens), 0) FROM entries e JOIN texts t USING (handle) WHERE e.level = ?",
        (level,),
    ).fetchone()
    if held <= cap:
        return []
    here = entries.select(connection, "WHERE e.level = ?", (level,))
    here.sort(key=lambda one: (one.id in spare, ranking.staying_value(one, now_ms), one.updated_ms, one.id))
    moves: list[Move] = []
    for entry in here:
        if held <= cap:
            break
        to: Level = "session" if level == "working" and entry.session is not None else "archive"
        if not entries.is_key_free(connection, entries.moved(entry, to, entry.session)):
            to = "archive"
        moves.append(_moved(connection, entry, to, f"{level} holds at most {cap:,} tokens"))
        held -= entry.tokens
    return moves


def _moved(connection: sqlite3.Connection, entry: Entry, to: Level, why: str) -> Move:
    entries.change(connection, entry, entries.moved(entry, to, entry.session))
    return Move(entry, to, why)
