"""The knowledge graph: entities with observations, and relations between them.

It behaves as the reference server's does: what exists already is skipped and not reported back, relations
may name entities that do not exist yet, and removing an entity removes its relations. Unlike there, a call
applies as a whole or not at all.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from omnimind.servers.memory import limits
from omnimind.servers.problem import Problem

T = TypeVar("T")

_VARIABLES = 500  # SQLite allows a limited number of placeholders a statement


@dataclass(frozen=True, slots=True)
class Entity:
    """A thing with a name, a type and what is known of it."""

    name: str
    type: str
    observations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Relation:
    """`source` stands in this relation to `target`."""

    source: str
    target: str
    type: str


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the graph, or all of it."""

    entities: list[Entity]
    relations: list[Relation]


def create_entities(connection: sqlite3.Connection, entities: Sequence[Entity], now_ms: int) -> list[Entity]:
    """Add entities; returns those whose name was new."""
    limits.check_batch(len(entities), "entities")
    created: list[Entity] = []
    for entity in entities:
        limits.check_name(entity.name, "an entity's name")
        limits.check_name(entity.type, "an entity's type")
        limits.check_batch(len(entity.observations), "observations of one entity")
        cursor = connection.execute(
            "INSERT INTO entities (name, type, created_ms) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            (entity.name, entity.type, now_ms),
        )
        if cursor.rowcount:
            kept = _observe(connection, int(cursor.lastrowid or 0), entity.observations, now_ms)
            created.append(Entity(entity.name, entity.type, tuple(kept)))
    return created


def _observe(connection: sqlite3.Connection, entity: int, contents: Iterable[str], now_ms: int) -> list[str]:
    added: list[str] = []
    for content in contents:
        limits.check_text(content, "an observation")
        cursor = connection.execute(
            "INSERT INTO observations (entity, content, created_ms) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            (entity, content, now_ms),
        )
        if cursor.rowcount:
            added.append(content)
    return added


def create_relations(
    connection: sqlite3.Connection, relations: Sequence[Relation], now_ms: int
) -> list[Relation]:
    """Add relations; returns those that were new."""
    limits.check_batch(len(relations), "relations")
    created: list[Relation] = []
    for relation in relations:
        for name, what in (
            (relation.source, "the start of a relation"),
            (relation.target, "the end of a relation"),
            (relation.type, "a relation's type"),
        ):
            limits.check_name(name, what)
        cursor = connection.execute(
            "INSERT INTO relations (source, target, type, created_ms) VALUES (?, ?, ?, ?) "
            "ON CONFLICT DO NOTHING",
            (relation.source, relation.target, relation.type, now_ms),
        )
        if cursor.rowcount:
            created.append(relation)
    return created


def add_observations(
    connection: sqlite3.Connection, additions: Sequence[tuple[str, Sequence[str]]], now_ms: int
) -> list[tuple[str, list[str]]]:
    """Add observations to entities that exist; returns for each which were new."""
    limits.check_batch(sum(len(contents) for _, contents in additions), "observations")
    results: list[tuple[str, list[str]]] = []
    for name, contents in additions:
        row = connection.execute("SELECT id FROM entities WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise Problem(f"Entity with name {name} not found; create it first with create_entities")
        results.append((name, _observe(connection, int(row[0]), contents, now_ms)))
    return results


def delete_entities(connection: sqlite3.Connection, names: Sequence[str]) -> int:
    """Remove entities with their observations and relations; unknown names are no error."""
    limits.check_batch(len(names), "names")
    removed = 0
    for name in names:
        removed += connection.execute("DELETE FROM entities WHERE name = ?", (name,)).rowcount
        connection.execute("DELETE FROM relations WHERE source = ? OR target = ?", (name, name))
    return removed


def delete_observations(
    connection: sqlite3.Connection, deletions: Sequence[tuple[str, Sequence[str]]]
) -> int:
    """Remove observations; what is not there is no error."""
    limits.check_batch(sum(len(contents) for _, contents in deletions), "observations")
    return sum(
        connection.execute(
            "DELETE FROM observations WHERE content = ? "
            "AND entity = (SELECT id FROM entities WHERE name = ?)",
            (content, name),
        ).rowcount
        for name, contents in deletions
        for content in contents
    )


def delete_relations(connection: sqlite3.Connection, relations: Sequence[Relation]) -> int:
    """Remove relations; what is not there is no error."""
    limits.check_batch(len(relations), "relations")
    return sum(
        connection.execute(
            "DELETE FROM relations WHERE source = ? AND target = ? AND type = ?",
            (relation.source, relation.target, relation.type),
        ).rowcount
        for relation in relations
    )


def read(connection: sqlite3.Connection, offset: int = 0, limit: int | None = None) -> Part:
    """The graph in the order it was written; with `limit`, that many entities and what relates to them."""
    whole = offset == 0 and limit is None
    rows = connection.execute(
        "SELECT id, name, type FROM entities ORDER BY id LIMIT ? OFFSET ?",
        (-1 if limit is None else limit, offset),
    ).fetchall()
    if not whole:
        return _part(connection, rows)
    relations = connection.execute("SELECT source, target, type FROM relations ORDER BY id").fetchall()
    observed: dict[int, list[str]] = {}
    for entity, content in connection.execute("SELECT entity, content FROM observations ORDER BY id"):
        observed.setdefault(entity, []).append(content)
    return _checked(
        Part(
            [Entity(name, kind, tuple(observed.get(number, ()))) for number, name, kind in rows],
            [Relation(*row) for row in relations],
        )
    )


def count(connection: sqlite3.Connection) -> int:
    """How many entities there are."""
    (entities,) = connection.execute("SELECT count(*) FROM entities").fetchone()
    return int(entities)


def search(connection: sqlite3.Connection, query: str) -> Part:
    """Entities whose name, type or an observation contains the query, in any case, with their relations."""
    rows = connection.execute(
        """SELECT id, name, type FROM entities
           WHERE instr(fold(name), fold(?1)) OR instr(fold(type), fold(?1))
              OR id IN (SELECT entity FROM observations WHERE instr(fold(content), fold(?1)))
           ORDER BY id""",
        (query,),
    ).fetchall()
    return _part(connection, rows)


def open_nodes(connection: sqlite3.Connection, names: Sequence[str]) -> Part:
    """The entities of these names with their relations; unknown names are left out."""
    limits.check_batch(len(names), "names")
    rows: list[tuple[int, str, str]] = []
    for some in _slices(list(dict.fromkeys(names))):
        rows.extend(
            connection.execute(
                f"SELECT id, name, type FROM entities WHERE name IN ({_marks(some)})",  # noqa: S608
                some,
            )
        )
    return _part(connection, sorted(rows))


def _part(connection: sqlite3.Connection, rows: Sequence[tuple[int, str, str]]) -> Part:
    observed: dict[int, list[str]] = {}
    relations: dict[int, Relation] = {}
    for some in _slices([number for number, _, _ in rows]):
        for entity, content in connection.execute(
            f"SELECT entity, content FROM observations WHERE entity IN ({_marks(some)}) ORDER BY id",  # noqa: S608
            some,
        ):
            observed.setdefault(entity, []).append(content)
    for names in _slices([name for _, name, _ in rows]):
        for end in ("source", "target"):
            for number, source, target, kind in connection.execute(
                f"SELECT id, source, target, type FROM relations WHERE {end} IN ({_marks(names)})",  # noqa: S608
                names,
            ):
                relations[number] = Relation(source, target, kind)
    return _checked(
        Part(
            [Entity(name, kind, tuple(observed.get(number, ()))) for number, name, kind in rows],
            [relations[number] for number in sorted(relations)],
        )
    )


def _checked(part: Part) -> Part:
    size = sum(len(entity.name) + sum(map(len, entity.observations)) for entity in part.entities)
    size += sum(len(relation.source) + len(relation.target) for relation in part.relations)
    if size > limits.ANSWER_CHARACTERS:
        raise Problem(
            f"this part of the graph has {len(part.entities):,} entities and {size:,} characters; the limit "
            f"for one answer is {limits.ANSWER_CHARACTERS:,}. Use read_graph with limit and offset, or "
            "search_nodes"
        )
    return part


def _slices(items: Sequence[T]) -> Iterable[Sequence[T]]:
    return (items[at : at + _VARIABLES] for at in range(0, len(items), _VARIABLES))


def _marks(items: Sequence[object]) -> str:
    return ",".join("?" * len(items))
