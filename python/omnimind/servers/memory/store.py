"""Memories: short texts with tags and metadata, and associations between them."""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from omnimind.servers.memory import limits
from omnimind.servers.problem import Problem

COLUMNS = "memories.id, memories.content, memories.tags, memories.metadata, created_ms, updated_ms"


@dataclass(frozen=True, slots=True)
class Reason:
    """What one word of a query adds to a memory's relevance, and how often it stands in text and tags."""

    word: str
    score: float
    in_content: int
    in_tags: int


@dataclass(frozen=True, slots=True)
class Memory:
    """One memory. `relevance` is set where it answers a query: larger fits better, within that answer."""

    id: str
    content: str
    tags: tuple[str, ...]
    metadata: Mapping[str, Any]
    created_ms: int
    updated_ms: int
    relevance: float | None = None
    why: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class Association:
    """A directed, named connection between two memories."""

    source: str
    target: str
    kind: str
    note: str


def add(
    connection: sqlite3.Connection,
    content: str,
    tags: Sequence[str],
    metadata: Mapping[str, Any],
    now_ms: int,
) -> Memory:
    """Keep a new memory."""
    _check_content(content)
    memory = Memory(secrets.token_hex(16), content, _clean_tags(tags), dict(metadata), now_ms, now_ms)
    insert(connection, memory)
    return memory


def insert(connection: sqlite3.Connection, memory: Memory) -> bool:
    """Write a memory with its own id; False if that id is taken."""
    cursor = connection.execute(
        "INSERT INTO memories (id, content, tags, metadata, created_ms, updated_ms) "
        "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (
            memory.id,
            memory.content,
            json.dumps(memory.tags, ensure_ascii=False),
            _metadata_text(memory.metadata),
            memory.created_ms,
            memory.updated_ms,
        ),
    )
    return cursor.rowcount == 1


def get(connection: sqlite3.Connection, memory_id: str) -> Memory:
    """The memory of this id."""
    row = connection.execute(f"SELECT {COLUMNS} FROM memories WHERE id = ?", (memory_id,)).fetchone()  # noqa: S608
    if row is None:
        raise Problem(f"there is no memory {memory_id}; retrieve_memories shows the ids")
    return from_row(row)


def every(connection: sqlite3.Connection, limit: int = -1) -> list[Memory]:
    """All memories in the order they were kept, or the latest `limit` of them."""
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM memories ORDER BY number DESC LIMIT ?",  # noqa: S608
        (limit,),
    ).fetchall()
    return [from_row(row) for row in reversed(rows)]


def update(
    connection: sqlite3.Connection,
    memory_id: str,
    now_ms: int,
    *,
    content: str | None = None,
    tags: Sequence[str] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Memory:
    """Replace what is given and keep the rest."""
    if content is None and tags is None and metadata is None:
        raise Problem("nothing to change was given; give content, tags or metadata")
    old = get(connection, memory_id)
    if content is not None:
        _check_content(content)
    new = Memory(
        old.id,
        old.content if content is None else content,
        old.tags if tags is None else _clean_tags(tags),
        old.metadata if metadata is None else dict(metadata),
        old.created_ms,
        now_ms,
    )
    connection.execute(
        "UPDATE memories SET content = ?, tags = ?, metadata = ?, updated_ms = ? WHERE id = ?",
        (
            new.content,
            json.dumps(new.tags, ensure_ascii=False),
            _metadata_text(new.metadata),
            now_ms,
            memory_id,
        ),
    )
    return new


def delete(connection: sqlite3.Connection, ids: Sequence[str]) -> int:
    """Remove memories with their associations; unknown ids are no error. Returns how many there were."""
    limits.check_batch(len(ids), "ids")
    return sum(connection.execute("DELETE FROM memories WHERE id = ?", (one,)).rowcount for one in ids)


def associate(connection: sqlite3.Connection, association: Association, now_ms: int) -> bool:
    """Connect two memories, or change the note of a connection that exists; whether it is new."""
    limits.check_name(association.kind, "the kind of an association")
    limits.check_text(association.note, "the note of an association")
    if association.source == association.target:
        raise Problem("a memory cannot be associated with itself")
    key = (
        _number(connection, association.source),
        _number(connection, association.target),
        association.kind,
    )
    changed = connection.execute(
        "UPDATE associations SET note = ? WHERE source = ? AND target = ? AND kind = ?",
        (association.note, *key),
    )
    if changed.rowcount:
        return False
    connection.execute(
        "INSERT INTO associations (source, target, kind, note, created_ms) VALUES (?, ?, ?, ?, ?)",
        (*key, association.note, now_ms),
    )
    return True


def dissociate(connection: sqlite3.Connection, source: str, target: str, kind: str | None) -> int:
    """Remove the connections from one memory to another, of one kind or all. Returns how many."""
    numbers = (_number(connection, source), _number(connection, target))
    if kind is None:
        return connection.execute(
            "DELETE FROM associations WHERE source = ? AND target = ?", numbers
        ).rowcount
    return connection.execute(
        "DELETE FROM associations WHERE source = ? AND target = ? AND kind = ?", (*numbers, kind)
    ).rowcount


def associations(connection: sqlite3.Connection) -> list[Association]:
    """All associations."""
    return [
        Association(*row)
        for row in connection.execute(
            """SELECT a.id, b.id, kind, note FROM associations
               JOIN memories a ON a.number = source JOIN memories b ON b.number = target
               ORDER BY source, target, kind"""
        )
    ]


def neighbourhood(
    connection: sqlite3.Connection, memory_id: str, hops: int, limit: int
) -> tuple[list[Memory], list[Association]]:
    """The memories within so many steps of one, in either direction, and the associations among them."""
    _number(connection, memory_id)
    ids = [
        row[0]
        for row in connection.execute(
            """WITH RECURSIVE near(number, hops) AS (
                   SELECT number, 0 FROM memories WHERE id = ?1
                   UNION
                   SELECT CASE WHEN source = near.number THEN target ELSE source END, hops + 1
                   FROM near JOIN associations ON source = near.number OR target = near.number
                   WHERE hops < ?2 LIMIT ?4)
               SELECT id FROM near JOIN memories USING (number)
               GROUP BY id ORDER BY min(hops), number LIMIT ?3""",
            (memory_id, min(hops, limits.HOPS), limit, limits.COMPARED),
        )
    ]
    near = set(ids)
    among = [one for one in associations(connection) if one.source in near and one.target in near]
    return [get(connection, one) for one in ids], among


def merge(
    connection: sqlite3.Connection, keep: str, drop: Sequence[str], content: str | None, now_ms: int
) -> Memory:
    """Fold memories into one: it takes over their tags, metadata it lacks, and their associations."""
    limits.check_batch(len(drop), "ids")
    if keep in drop:
        raise Problem("the memory to keep is among those to drop")
    kept = get(connection, keep)
    number = _number(connection, keep)
    tags, metadata = list(kept.tags), dict(kept.metadata)
    for other_id in dict.fromkeys(drop):
        other = get(connection, other_id)
        old = _number(connection, other_id)
        tags.extend(other.tags)
        metadata = {**other.metadata, **metadata}
        for end, far in (("source", "target"), ("target", "source")):
            connection.execute(
                f"UPDATE OR IGNORE associations SET {end} = ? WHERE {end} = ? AND {far} <> ?",  # noqa: S608
                (number, old, number),
            )
        connection.execute("DELETE FROM memories WHERE number = ?", (old,))
    return update(
        connection,
        keep,
        now_ms,
        content=kept.content if content is None else content,
        tags=list(dict.fromkeys(tags))[: limits.TAGS],
        metadata=metadata,
    )


def _number(connection: sqlite3.Connection, memory_id: str) -> int:
    row = connection.execute("SELECT number FROM memories WHERE id = ?", (memory_id,)).fetchone()
    if row is None:
        raise Problem(f"there is no memory {memory_id}; retrieve_memories shows the ids")
    return int(row[0])


def from_row(row: Sequence[Any]) -> Memory:
    """The memory of a row of `COLUMNS`, and its relevance if that stands behind them."""
    memory_id, content, tags, metadata, created_ms, updated_ms, *relevance = row
    return Memory(
        memory_id,
        content,
        tuple(json.loads(tags)),
        json.loads(metadata),
        created_ms,
        updated_ms,
        round(relevance[0], limits.DIGITS) if relevance else None,
    )


def _check_content(content: str) -> None:
    limits.check_text(content, "the content")
    if not content.strip():
        raise Problem("the content is empty")


def _clean_tags(tags: Sequence[str]) -> tuple[str, ...]:
    if len(tags) > limits.TAGS:
        raise Problem(f"{len(tags)} tags were given; the limit is {limits.TAGS}")
    for tag in tags:
        limits.check_name(tag, "a tag")
        limits.check_text(tag, "a tag")
    return tuple(dict.fromkeys(tags))


def _metadata_text(metadata: Mapping[str, Any]) -> str:
    text = json.dumps(dict(metadata), ensure_ascii=False, separators=(",", ":"))
    limits.check_text(text[: limits.TEXT_CHARACTERS], "the metadata")
    if len(text) > limits.METADATA_CHARACTERS:
        raise Problem(
            f"the metadata has {len(text):,} characters; the limit is {limits.METADATA_CHARACTERS:,}"
        )
    return text
