"""Sessions: a random handle of 128 bits that entries can belong to, which ends when it is not used for a while."""

from __future__ import annotations

import secrets
import sqlite3
from dataclasses import dataclass

from omnimind.servers.context import limits
from omnimind.servers.problem import Problem


@dataclass(frozen=True, slots=True)
class Session:
    """One session and what it holds."""

    id: str
    title: str | None
    ttl_s: int
    created_ms: int
    used_ms: int
    entries: int
    tokens: int


def start(
    connection: sqlite3.Connection, now_ms: int, title: str | None = None, ttl_s: int = limits.SESSION_TTL_S
) -> str:
    """Begin a session; its handle."""
    (count,) = connection.execute("SELECT count(*) FROM sessions").fetchone()
    if count >= limits.SESSIONS:
        raise Problem(f"there are {count} sessions, which is the limit; end one with end_session")
    handle = secrets.token_hex(16)
    connection.execute("INSERT INTO sessions VALUES (?, ?, ?, ?, ?)", (handle, title, ttl_s, now_ms, now_ms))
    return handle


def lasts(connection: sqlite3.Connection, session: str) -> bool:
    """Whether a session has not ended."""
    return connection.execute("SELECT 1 FROM sessions WHERE id = ?", (session,)).fetchone() is not None


def check(connection: sqlite3.Connection, session: str) -> None:
    """Refuse a handle that names no session that lasts."""
    if not lasts(connection, session):
        raise Problem(
            f"there is no session {session!r}, or it has ended and its entries are in the archive; "
            "list_sessions shows those that last, start_session begins one"
        )


def use(connection: sqlite3.Connection, session: str, now_ms: int) -> None:
    """Refuse an unknown session; let a known one last longer."""
    check(connection, session)
    connection.execute("UPDATE sessions SET used_ms = max(used_ms, ?) WHERE id = ?", (now_ms, session))


def revive(connection: sqlite3.Connection, session: str, now_ms: int) -> bool:
    """Begin a session anew under its old handle; False if it still lasts."""
    added = connection.execute(
        "INSERT INTO sessions VALUES (?, NULL, ?, ?, ?) ON CONFLICT DO NOTHING",
        (session, limits.SESSION_TTL_S, now_ms, now_ms),
    )
    return added.rowcount == 1


def every(connection: sqlite3.Connection, limit: int, offset: int) -> list[Session]:
    """Sessions that last, the latest used first."""
    rows = connection.execute(
        """SELECT s.id, s.title, s.ttl_s, s.created_ms, s.used_ms, count(e.id), ifnull(sum(t.tokens), 0)
           FROM sessions s LEFT JOIN entries e ON e.session = s.id AND e.level <> 'archive'
           LEFT JOIN texts t USING (handle)
           GROUP BY s.id ORDER BY s.used_ms DESC, s.id LIMIT ? OFFSET ?""",
        (limit, offset),
    )
    return [Session(*row) for row in rows]
