"""Sessions and their steps.

A session is named by a random handle of 128 bits and belongs to the principal whose file it is in. Callers
of the reference tool send no handle: their steps go to the session they used last that way, and a first
thought (number 1, no revision, no branch) opens a new one. Steps are only ever added.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from omnimind.servers.problem import Problem

MAIN: Final = ""
SESSIONS: Final = 1_000
STEPS: Final = 5_000
BRANCHES: Final = 200
THOUGHT_CHARACTERS: Final = 65_536
NAME_CHARACTERS: Final = 256
KEEP_DAYS: Final = 90
_DAY_MS: Final = 86_400_000

_STEP_COLUMNS = (
    "branch, thought, thought_number, total_thoughts, next_needed, revises, is_revision, needs_more, "
    "merged_from, created_ms"
)


@dataclass(frozen=True, slots=True)
class Session:
    """One line of reasoning with its branches."""

    number: int
    id: str
    title: str
    created_ms: int
    updated_ms: int
    steps: int


@dataclass(frozen=True, slots=True)
class Step:
    """One thought. `branch` is empty on the main line."""

    branch: str
    thought: str
    thought_number: int
    total_thoughts: int
    next_needed: bool
    revises: int | None = None
    is_revision: bool = False
    needs_more: bool = False
    merged_from: str | None = None
    created_ms: int = 0


@dataclass(frozen=True, slots=True)
class Branch:
    """A line that left another after a thought; `merged_into` once its outcome was carried back."""

    id: str
    from_thought: int | None
    merged_into: str | None


def start(connection: sqlite3.Connection, title: str, now_ms: int, *, implicit: bool = False) -> Session:
    """Open a session. Sessions that nobody touched for KEEP_DAYS go first."""
    _check_name(title, "the title", empty=True)
    connection.execute("DELETE FROM sessions WHERE updated_ms < ?", (now_ms - KEEP_DAYS * _DAY_MS,))
    (count,) = connection.execute("SELECT count(*) FROM sessions").fetchone()
    if count >= SESSIONS:
        if not implicit:
            raise Problem(
                f"there are {count:,} sessions, the limit; remove some with delete_thinking_session"
            )
        connection.execute(
            "DELETE FROM sessions WHERE number = "
            "(SELECT number FROM sessions WHERE implicit ORDER BY updated_ms LIMIT 1)"
        )
    handle = secrets.token_hex(16)
    cursor = connection.execute(
        "INSERT INTO sessions (id, title, implicit, created_ms, updated_ms) VALUES (?, ?, ?, ?, ?)",
        (handle, title, implicit, now_ms, now_ms),
    )
    return Session(int(cursor.lastrowid or 0), handle, title, now_ms, now_ms, 0)


def find(connection: sqlite3.Connection, handle: str) -> Session:
    """The session with this handle."""
    row = connection.execute(
        """SELECT number, id, title, created_ms, updated_ms,
                  (SELECT count(*) FROM steps WHERE session = sessions.number)
           FROM sessions WHERE id = ?""",
        (handle,),
    ).fetchone()
    if row is None:
        raise Problem(f"there is no session {handle}; list_thinking_sessions shows what there is")
    return Session(*row)


def listed(connection: sqlite3.Connection, limit: int, offset: int) -> list[Session]:
    """Sessions, the one used last first."""
    return [
        Session(*row)
        for row in connection.execute(
            """SELECT number, id, title, created_ms, updated_ms,
                      (SELECT count(*) FROM steps WHERE session = sessions.number)
               FROM sessions ORDER BY updated_ms DESC, number DESC LIMIT ? OFFSET ?""",
            (limit, offset),
        )
    ]


def for_step(connection: sqlite3.Connection, handle: str | None, step: Step, now_ms: int) -> Session:
    """The session a step belongs to; without a handle the one in use, or a new one for a first thought."""
    if handle is not None:
        return find(connection, handle)
    opens = step.thought_number == 1 and step.branch == MAIN and not step.is_revision
    if not opens:
        row = connection.execute(
            "SELECT id FROM sessions WHERE implicit ORDER BY updated_ms DESC, number DESC LIMIT 1"
        ).fetchone()
        if row is not None:
            return find(connection, row[0])
    return start(connection, "", now_ms, implicit=True)


def resume(connection: sqlite3.Connection, handle: str, now_ms: int) -> Session:
    """Make this the session that steps without a handle go to."""
    session = find(connection, handle)
    connection.execute(
        "UPDATE sessions SET implicit = 1, updated_ms = ? WHERE number = ?", (now_ms, session.number)
    )
    return session


def delete(connection: sqlite3.Connection, handle: str) -> None:
    """Remove a session with all its steps."""
    connection.execute("DELETE FROM sessions WHERE number = ?", (find(connection, handle).number,))


def add_step(
    connection: sqlite3.Connection, session: Session, step: Step, branch_from: int | None, now_ms: int
) -> Step:
    """Write a step down. A branch it names is opened; a total below the thought's number is raised."""
    if len(step.thought) > THOUGHT_CHARACTERS:
        raise Problem(
            f"the thought has {len(step.thought):,} characters; the limit is {THOUGHT_CHARACTERS:,}, "
            "so split it into steps"
        )
    if session.steps >= STEPS:
        raise Problem(f"the session has {STEPS:,} steps, the limit; start a new one with start_thinking")
    if step.branch != MAIN:
        _open_branch(connection, session, step.branch, branch_from)
    total = max(step.total_thoughts, step.thought_number)
    connection.execute(
        f"INSERT INTO steps (session, {_STEP_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
        (
            session.number,
            step.branch,
            step.thought,
            step.thought_number,
            total,
            step.next_needed,
            step.revises,
            step.is_revision,
            step.needs_more,
            step.merged_from,
            now_ms,
        ),
    )
    connection.execute("UPDATE sessions SET updated_ms = ? WHERE number = ?", (now_ms, session.number))
    return Step(
        step.branch,
        step.thought,
        step.thought_number,
        total,
        step.next_needed,
        step.revises,
        step.is_revision,
        step.needs_more,
        step.merged_from,
        now_ms,
    )


def _open_branch(
    connection: sqlite3.Connection, session: Session, branch: str, from_thought: int | None
) -> None:
    _check_name(branch, "the branch's name")
    known = {one.id for one in branches(connection, session)}
    if branch not in known and len(known) >= BRANCHES:
        raise Problem(f"the session has {BRANCHES} branches, the limit; merge or continue one of them")
    connection.execute(
        "INSERT INTO branches (session, id, from_thought) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        (session.number, branch, from_thought),
    )


def open_branch(
    connection: sqlite3.Connection, session: Session, branch: str, from_thought: int, now_ms: int
) -> Branch:
    """Start a line of its own after an existing thought."""
    if not any(step.thought_number == from_thought for step in steps(connection, session)):
        raise Problem(f"the session has no thought {from_thought} to branch from; see thinking_history")
    if any(one.id == branch for one in branches(connection, session)):
        raise Problem(f"a branch {branch!r} exists already; choose another name or continue it")
    _open_branch(connection, session, branch, from_thought)
    connection.execute("UPDATE sessions SET updated_ms = ? WHERE number = ?", (now_ms, session.number))
    return Branch(branch, from_thought, None)


def merge(
    connection: sqlite3.Connection, session: Session, branch: str, into: str, conclusion: str, now_ms: int
) -> Step:
    """Carry the outcome of a branch into another line, as a step of that line."""
    known = {one.id: one for one in branches(connection, session)}
    if branch not in known:
        raise Problem(f"the session has no branch {branch!r}; it has {_named(known)}")
    if into != MAIN and into not in known:
        raise Problem(f"the session has no branch {into!r} to merge into; it has {_named(known)}")
    if branch == into:
        raise Problem("a branch cannot be merged into itself")
    if known[branch].merged_into is not None:
        raise Problem(f"branch {branch!r} was merged already")
    line = [step for step in steps(connection, session) if step.branch == into]
    last = line[-1] if line else None
    number = last.thought_number + 1 if last else (known[into].from_thought or 0) + 1 if into in known else 1
    step = Step(
        into,
        conclusion,
        number,
        max(number, last.total_thoughts if last else number),
        next_needed=last.next_needed if last else True,
        merged_from=branch,
    )
    connection.execute(
        "UPDATE branches SET merged_into = ? WHERE session = ? AND id = ?", (into, session.number, branch)
    )
    return add_step(connection, session, step, None, now_ms)


def _named(known: dict[str, Branch]) -> str:
    return ", ".join(known) or "none"


def steps(connection: sqlite3.Connection, session: Session) -> list[Step]:
    """All steps in the order they were thought."""
    return [
        _step(row)
        for row in connection.execute(
            f"SELECT {_STEP_COLUMNS} FROM steps WHERE session = ? ORDER BY number",  # noqa: S608
            (session.number,),
        )
    ]


def some_steps(
    connection: sqlite3.Connection, session: Session, branch: str | None, limit: int, offset: int
) -> list[Step]:
    """A page of the steps, of one line or of all."""
    condition = "session = ?" if branch is None else "session = ? AND branch = ?"
    values: Sequence[Any] = (session.number,) if branch is None else (session.number, branch)
    return [
        _step(row)
        for row in connection.execute(
            f"SELECT {_STEP_COLUMNS} FROM steps WHERE {condition} ORDER BY number LIMIT ? OFFSET ?",  # noqa: S608
            (*values, limit, offset),
        )
    ]


def branches(connection: sqlite3.Connection, session: Session) -> list[Branch]:
    """The branches of a session, by name."""
    return [
        Branch(*row)
        for row in connection.execute(
            "SELECT id, from_thought, merged_into FROM branches WHERE session = ? ORDER BY id",
            (session.number,),
        )
    ]


def _step(row: Sequence[Any]) -> Step:
    branch, thought, number, total, following, revises, is_revision, more, merged_from, created = row
    return Step(
        branch,
        thought,
        number,
        total,
        bool(following),
        revises,
        bool(is_revision),
        bool(more),
        merged_from,
        created,
    )


def _check_name(name: str, what: str, *, empty: bool = False) -> None:
    if not name.strip() and not empty:
        raise Problem(f"{what} is empty")
    if len(name) > NAME_CHARACTERS:
        raise Problem(f"{what} has {len(name):,} characters; the limit is {NAME_CHARACTERS}")
