"""The memory as a drawing: GraphML for programs that lay out graphs, Mermaid for pages.

Both hold entities and memories as nodes, relations and associations as edges. A relation may name an entity that
does not exist; it is drawn as a node without a type. Text is escaped so that no name can add a node, an edge or
an instruction. XML cannot hold control characters; U+FFFD stands in their place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

from omnimind.servers.memory.graph import Part
from omnimind.servers.memory.store import Association, Memory

_KEYS: Final = {
    "kind": "all",
    "name": "node",
    "type": "all",
    "text": "all",
    "tags": "node",
    "metadata": "node",
}
_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PLAIN_IN_MERMAID = re.compile(r"[^\w .,:!?()'/+*=@-]")
_LABEL_CHARACTERS = 80
_MERMAID_EDGES = 500  # what Mermaid draws unless told otherwise


@dataclass(frozen=True, slots=True)
class _Node:
    id: str
    facts: dict[str, str]
    label: str


@dataclass(frozen=True, slots=True)
class _Edge:
    source: str
    target: str
    facts: dict[str, str]


def _nodes(part: Part, memories: Sequence[Memory]) -> dict[tuple[str, str], _Node]:
    """By kind and name; ids are numbers, because a name may be any text."""
    nodes: dict[tuple[str, str], _Node] = {}
    for entity in part.entities:
        facts = {
            "kind": "entity",
            "name": entity.name,
            "type": entity.type,
            "text": "\n".join(entity.observations),
        }
        nodes["entity", entity.name] = _Node(f"n{len(nodes)}", facts, f"{entity.name} ({entity.type})")
    for name in dict.fromkeys(name for one in part.relations for name in (one.source, one.target)):
        if ("entity", name) not in nodes:
            nodes["entity", name] = _Node(f"n{len(nodes)}", {"kind": "entity", "name": name}, name)
    for memory in memories:
        facts = {
            "kind": "memory",
            "name": memory.id,
            "text": memory.content,
            "tags": json.dumps(list(memory.tags), ensure_ascii=False),
            "metadata": json.dumps(dict(memory.metadata), ensure_ascii=False),
        }
        nodes["memory", memory.id] = _Node(f"n{len(nodes)}", facts, memory.content)
    return nodes


def _edges(
    part: Part, associations: Sequence[Association], nodes: dict[tuple[str, str], _Node]
) -> Iterator[_Edge]:
    for relation in part.relations:
        ends = nodes["entity", relation.source].id, nodes["entity", relation.target].id
        yield _Edge(*ends, {"kind": "relation", "type": relation.type})
    for one in associations:
        ends = nodes["memory", one.source].id, nodes["memory", one.target].id
        yield _Edge(*ends, {"kind": "association", "type": one.kind, "text": one.note})


def graphml(part: Part, memories: Sequence[Memory], associations: Sequence[Association]) -> str:
    """A GraphML document."""
    nodes = _nodes(part, memories)
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">',
    ]
    lines += [
        f'<key id="{key}" for="{of}" attr.name="{key}" attr.type="string"/>' for key, of in _KEYS.items()
    ]
    lines.append('<graph id="memory" edgedefault="directed">')
    lines += [f'<node id="{node.id}">{_data(node.facts)}</node>' for node in nodes.values()]
    for edge in _edges(part, associations, nodes):
        lines.append(f'<edge source="{edge.source}" target="{edge.target}">{_data(edge.facts)}</edge>')
    return "\n".join([*lines, "</graph>", "</graphml>"])


def _data(facts: dict[str, str]) -> str:
    return "".join(f'<data key="{key}">{_xml(value)}</data>' for key, value in facts.items() if value)


def _xml(text: str) -> str:
    # A reader of XML would turn a bare carriage return into a line feed.
    return escape(_NOT_IN_XML.sub("\ufffd", text), {"\r": "&#13;"})


def mermaid(part: Part, memories: Sequence[Memory], associations: Sequence[Association]) -> str:
    """A Mermaid flowchart; labels are cut after 80 characters."""
    nodes = _nodes(part, memories)
    edges = list(_edges(part, associations, nodes))
    lines = ["graph LR"]
    if len(edges) > _MERMAID_EDGES:
        lines.append(
            f"%% {len(edges)} edges: Mermaid draws more than {_MERMAID_EDGES} only with maxEdges raised"
        )
    for (kind, _), node in nodes.items():
        opened, closed = ("[", "]") if kind == "entity" else ("(", ")")
        lines.append(f'  {node.id}{opened}"{_label(node.label)}"{closed}')
    lines += [f'  {edge.source} -->|"{_label(edge.facts["type"])}"| {edge.target}' for edge in edges]
    return "\n".join(lines)


def _label(text: str) -> str:
    line = " ".join(text.split())
    cut = line if len(line) <= _LABEL_CHARACTERS else line[: _LABEL_CHARACTERS - 1] + "…"
    return _PLAIN_IN_MERMAID.sub(lambda found: f"#{ord(found.group())};", cut)
