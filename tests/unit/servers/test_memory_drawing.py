"""The memory as GraphML and Mermaid: what is drawn, and that no text can draw anything else."""

from __future__ import annotations

import json
import re
from typing import Any
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st
from server_session import Session

from omnimind.servers.memory.drawing import graphml, mermaid
from omnimind.servers.memory.graph import Entity, Part, Relation
from omnimind.servers.memory.store import Association, Memory

SPACE = "{http://graphml.graphdrawing.org/xmlns}"
NASTY = [
    '"]; click n0 href "x"',
    "<b>&amp;</b>",
    "a\nb\r\nc",
    "]]>",
    "#quot;",
    "`x`",
    "\u0001\ufffe",
    "%%{init: {}}%%",
]
TEXT = st.one_of(
    st.sampled_from(NASTY), st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
)


def drawn(a: str, b: str, c: str) -> tuple[Part, list[Memory], list[Association]]:
    part = Part([Entity(a, b, (c, a))], [Relation(a, b, c), Relation(c, a, b)])
    memories = [Memory("m1", a, (b,), {c: b}, 1, 1), Memory("m2", b, (), {}, 1, 1)]
    return part, memories, [Association("m1", "m2", c, a)]


def parsed(document: str) -> tuple[dict[str, dict[str, str]], list[dict[str, str]]]:
    """Nodes by id and edges, after what a reader of GraphML would check."""
    root = ElementTree.fromstring(document)
    keys = {key.get("id"): key.get("for") for key in root.findall(f"{SPACE}key")}
    graph = root.find(f"{SPACE}graph")
    assert graph is not None
    assert graph.get("edgedefault") == "directed"

    def facts(element: ElementTree.Element) -> dict[str, str]:
        kind = element.tag.removeprefix(SPACE)
        data = element.findall(f"{SPACE}data")
        assert all(keys[one.get("key")] in (kind, "all") for one in data)
        return {str(one.get("key")): one.text or "" for one in data}

    nodes = {str(node.get("id")): facts(node) for node in graph.findall(f"{SPACE}node")}
    edges = [{**edge.attrib, **facts(edge)} for edge in graph.findall(f"{SPACE}edge")]
    assert len(nodes) == len(graph.findall(f"{SPACE}node"))
    assert all(edge[end] in nodes for edge in edges for end in ("source", "target"))
    return nodes, edges


@given(TEXT, TEXT, TEXT)
def test_graphml_gives_back_what_went_in(a: str, b: str, c: str) -> None:
    nodes, edges = parsed(graphml(*drawn(a, b, c)))
    entity = nodes["n0"]
    assert entity["kind"] == "entity"
    assert [entity[key] for key in ("name", "type", "text")] == [
        as_xml_keeps(text) for text in (a, b, f"{c}\n{a}")
    ]
    assert len(nodes) == len({a, b, c}) + 2
    assert [edge["kind"] for edge in edges] == ["relation", "relation", "association"]
    memory = next(node for node in nodes.values() if node.get("name") == "m1" and node["kind"] == "memory")
    assert json.loads(memory["tags"]) == json.loads(as_xml_keeps(json.dumps([b], ensure_ascii=False)))


def as_xml_keeps(text: str) -> str:
    return re.sub("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text)


LINE = re.compile(
    r'  n\d+(\["[^"`<>&\[\]{}|;#]*"\]|\("[^"`<>&\[\]{}|;#]*"\)| -->\|"[^"`<>&\[\]{}|;#]*"\| n\d+)'
)


@given(TEXT, TEXT, TEXT)
def test_mermaid_holds_only_nodes_and_edges_whatever_the_names(a: str, b: str, c: str) -> None:
    first, *lines = mermaid(*drawn(a, b, c)).split("\n")
    assert first == "graph LR"
    assert len(lines) == len({a, b, c}) + 2 + 3
    for line in lines:
        assert LINE.fullmatch(re.sub(r"#\d+;", "", line)), line


def test_a_label_can_be_read_back_and_is_cut(memory: Session) -> None:
    label = 'She said "yes"; 100% #1 <b>'
    memory.data("create_entities", entities=[{"name": label, "entityType": "t", "observations": []}])
    memory.data("store_memory", content="word " * 100)
    _, entity, memo = memory.text("export_memory", format="mermaid").split("\n")
    shown = re.sub(r"#(\d+);", lambda found: chr(int(found[1])), entity)
    assert shown == f'  n0["{label} (t)"]'
    assert memo.endswith('…")'.replace("…", f"#{ord('…')};"))
    assert memo.count("word") == 16


def test_many_edges_are_announced(memory: Session) -> None:
    relations = [{"from": f"a{number}", "to": "b", "relationType": "r"} for number in range(501)]
    memory.data("create_relations", relations=relations)
    assert "501 edges" in memory.text("export_memory", format="mermaid").split("\n")[1]


def test_an_empty_memory_is_an_empty_drawing(memory: Session) -> None:
    assert parsed(memory.text("export_memory", format="graphml")) == ({}, [])
    assert memory.text("export_memory", format="mermaid") == "graph LR"


def test_an_export_as_json_can_be_imported_too(memory: Session, tmp_path: Any) -> None:
    memory.data("create_entities", entities=[{"name": "A\u2028B", "entityType": "t", "observations": ["o"]}])
    memory.data("store_memory", content="kept", tags=["x"], metadata={"type": "odd"})
    for form in ("json", "jsonl"):
        other = Session("memory", tmp_path / form, [])
        other.data("import_memory", lines=memory.text("export_memory", format=form))
        assert other.text("export_memory") == memory.text("export_memory")
    assert "entity 1" in memory.problem("import_memory", lines='{"entities": [{"name": "x"}]}')
    assert "not a list" in memory.problem("import_memory", lines='{"entities": 5}')
    assert "entity 1" in memory.problem("import_memory", lines='{"entities": [5]}')
