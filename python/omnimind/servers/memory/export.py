"""All of a principal's memory as text, and back.

`jsonl` is the reference server's own file format (a line an entity, a line a relation), with further lines
for memories and associations that it would skip. `json` is one object. `import_text` reads these three.
`markdown` is for people, `graphml` and `mermaid` are drawings.
"""

from __future__ import annotations

import functools
import json
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

from omnimind.servers.memory import drawing, graph, limits, store
from omnimind.servers.problem import Problem

Format = Literal["json", "jsonl", "markdown", "graphml", "mermaid"]

_LISTS: Final = {
    "entities": "entity",
    "relations": "relation",
    "memories": "memory",
    "associations": "association",
}


@dataclass(frozen=True, slots=True)
class Imported:
    """How much an import added; what was there already is not counted."""

    entities: int
    relations: int
    memories: int
    associations: int


def export(connection: sqlite3.Connection, form: Format) -> str:
    """Everything, in this form."""
    part = graph.read(connection)
    memories, associations = store.every(connection), store.associations(connection)
    if form == "markdown":
        text = "\n".join(_markdown(part, memories, associations))
    elif form == "graphml":
        text = drawing.graphml(part, memories, associations)
    elif form == "mermaid":
        text = drawing.mermaid(part, memories, associations)
    elif form == "jsonl":
        lines = _records(part, memories, associations)
        text = "\n".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")) for line in lines)
    else:
        whole = {
            "entities": [entity_json(entity) for entity in part.entities],
            "relations": [relation_json(relation) for relation in part.relations],
            "memories": [memory_json(memory) for memory in memories],
            "associations": [association_json(one) for one in associations],
        }
        text = json.dumps(whole, ensure_ascii=False, separators=(",", ":"))
    if len(text) > limits.ANSWER_CHARACTERS:
        raise Problem(
            f"the export has {len(text):,} characters; the limit for one answer is "
            f"{limits.ANSWER_CHARACTERS:,}. Read it in parts with read_graph and retrieve_memories"
        )
    return text


def entity_json(entity: graph.Entity) -> dict[str, Any]:
    """An entity as the reference server prints it."""
    return {"name": entity.name, "entityType": entity.type, "observations": list(entity.observations)}


def relation_json(relation: graph.Relation) -> dict[str, Any]:
    """A relation as the reference server prints it."""
    return {"from": relation.source, "to": relation.target, "relationType": relation.type}


def memory_json(memory: store.Memory) -> dict[str, Any]:
    """A memory as all our tools print it."""
    printed: dict[str, Any] = {
        "id": memory.id,
        "content": memory.content,
        "tags": list(memory.tags),
        "metadata": dict(memory.metadata),
        "createdMs": memory.created_ms,
        "updatedMs": memory.updated_ms,
    }
    if memory.relevance is not None:
        printed["relevance"] = memory.relevance
    if memory.why:
        printed["why"] = [
            {"word": one.word, "score": one.score, "inContent": one.in_content, "inTags": one.in_tags}
            for one in memory.why
        ]
    return printed


def association_json(association: store.Association) -> dict[str, Any]:
    """An association as all our tools print it."""
    return {
        "source": association.source,
        "target": association.target,
        "kind": association.kind,
        "note": association.note,
    }


def _records(
    part: graph.Part, memories: list[store.Memory], associations: list[store.Association]
) -> Iterator[dict[str, Any]]:
    for entity in part.entities:
        yield {"type": "entity", **entity_json(entity)}
    for relation in part.relations:
        yield {"type": "relation", **relation_json(relation)}
    for memory in memories:
        yield {"type": "memory", **memory_json(memory)}
    for association in associations:
        yield {"type": "association", **association_json(association)}


def _markdown(
    part: graph.Part, memories: list[store.Memory], associations: list[store.Association]
) -> Iterator[str]:
    yield "# Memory"
    yield "\n## Entities"
    for entity in part.entities:
        yield f"\n### {_line(entity.name)} ({_line(entity.type)})\n"
        yield from (f"- {_line(observation)}" for observation in entity.observations)
    yield "\n## Relations\n"
    for relation in part.relations:
        yield f"- {_line(relation.source)} {_line(relation.type)} {_line(relation.target)}"
    yield "\n## Memories\n"
    for memory in memories:
        tags = f" [{', '.join(map(_line, memory.tags))}]" if memory.tags else ""
        yield f"- `{memory.id}`{tags} {_line(memory.content)}"
    yield "\n## Associations\n"
    for one in associations:
        yield f"- `{one.source}` {_line(one.kind)} `{one.target}`{': ' if one.note else ''}{_line(one.note)}"


def _line(text: str) -> str:
    return " ".join(text.split())


def import_text(connection: sqlite3.Connection, text: str, now_ms: int) -> Imported:
    """Add what an export in `json` or `jsonl`, or a file of the reference server, holds. All of it or nothing."""
    counts = {"entity": 0, "relation": 0, "memory": 0, "association": 0}
    for where, read in _parsed(text):
        try:
            record = read()
            counts[record["type"]] += _import(connection, record, now_ms)
        except Problem as problem:
            raise Problem(f"{where}: {problem}; nothing was imported") from problem
        except (ValueError, KeyError, TypeError, AttributeError) as refusal:
            raise Problem(
                f"{where} is not an entity, relation, memory or association; nothing was imported"
            ) from refusal
    return Imported(counts["entity"], counts["relation"], counts["memory"], counts["association"])


def _parsed(text: str) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    """Where each record stands, and how to read it."""
    try:
        whole = json.loads(text)
    except ValueError:
        whole = None
    if isinstance(whole, dict) and "type" not in whole and whole.keys() & _LISTS.keys():
        for name, kind in _LISTS.items():
            items = whole.get(name, [])
            if not isinstance(items, list):
                raise Problem(f"{name} is not a list; nothing was imported")
            for number, item in enumerate(items, 1):
                yield f"{kind} {number}", functools.partial(_typed, item, kind)
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield f"line {number}", functools.partial(json.loads, line)


def _typed(item: Any, kind: str) -> dict[str, Any]:
    return {**item, "type": kind}


def _import(connection: sqlite3.Connection, record: dict[str, Any], now_ms: int) -> int:
    match record["type"]:
        case "entity":
            observations = tuple(str(one) for one in record["observations"])
            entity = graph.Entity(str(record["name"]), str(record["entityType"]), observations)
            if created := graph.create_entities(connection, [entity], now_ms):
                return len(created)
            graph.add_observations(connection, [(entity.name, observations)], now_ms)
            return 0
        case "relation":
            relation = graph.Relation(str(record["from"]), str(record["to"]), str(record["relationType"]))
            return len(graph.create_relations(connection, [relation], now_ms))
        case "memory":
            limits.check_text(str(record["content"]), "the content")
            limits.check_name(str(record["id"]), "the id")
            memory = store.Memory(
                str(record["id"]),
                str(record["content"]),
                tuple(str(tag) for tag in record["tags"]),
                dict(record["metadata"]),
                int(record["createdMs"]),
                int(record["updatedMs"]),
            )
            return int(store.insert(connection, memory))
        case _:
            association = store.Association(
                str(record["source"]), str(record["target"]), str(record["kind"]), str(record["note"])
            )
            return int(store.associate(connection, association, now_ms))
