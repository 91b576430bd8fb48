"""The memory tools: the reference server's graph, and memories beside it."""

from __future__ import annotations

import json
from pathlib import Path

from server_session import Session

A = {"name": "A", "entityType": "t", "observations": ["o1", "o2"]}
B = {"name": "B", "entityType": "t", "observations": []}
KNOWS = {"from": "A", "to": "B", "relationType": "knows"}
TO_NOBODY = {"from": "A", "to": "Z", "relationType": "knows"}


def test_the_graph_behaves_as_the_reference_server_does(memory: Session) -> None:
    assert memory.data("create_entities", entities=[A, B]) == {"entities": [A, B]}
    assert memory.data("create_entities", entities=[{**A, "entityType": "other"}]) == {"entities": []}
    assert memory.json("create_relations", relations=[KNOWS]) == [KNOWS]
    assert memory.data("create_relations", relations=[KNOWS, TO_NOBODY]) == {"relations": [TO_NOBODY]}
    added = memory.data("add_observations", observations=[{"entityName": "A", "contents": ["o1", "o9"]}])
    assert added == {"results": [{"entityName": "A", "addedObservations": ["o9"]}]}
    a = {**A, "observations": ["o1", "o2", "o9"]}
    assert memory.data("read_graph") == {"entities": [a, B], "relations": [KNOWS, TO_NOBODY]}
    for found in (memory.data("search_nodes", query="O9"), memory.data("open_nodes", names=["A", "?"])):
        assert found == {"entities": [a], "relations": [KNOWS, TO_NOBODY]}
    assert memory.data("search_nodes", query="a t") == {"entities": [], "relations": []}
    deletion = {"entityName": "A", "observations": ["o1", "none"]}
    done = memory.data("delete_observations", deletions=[deletion, {**deletion, "entityName": "Q"}])
    assert done == {"success": True, "message": "Observations deleted successfully"}
    memory.data("delete_relations", relations=[KNOWS])
    memory.data("delete_entities", entityNames=["A", "Q"])
    assert memory.data("read_graph") == {"entities": [B], "relations": []}


def test_a_text_only_client_reads_the_same(memory: Session) -> None:
    assert memory.json("create_entities", entities=[A]) == [A]
    assert memory.json("read_graph") == {"entities": [A], "relations": []}
    assert memory.text("delete_entities", entityNames=["A"]) == "Entities deleted successfully"


def test_a_call_applies_as_a_whole_or_not_at_all(memory: Session) -> None:
    memory.data("create_entities", entities=[A])
    additions = [{"entityName": "A", "contents": ["kept?"]}, {"entityName": "Q", "contents": ["x"]}]
    assert "create it first with create_entities" in memory.problem(
        "add_observations", observations=additions
    )
    assert memory.data("read_graph")["entities"] == [A]


def test_the_graph_can_be_read_in_pages(memory: Session) -> None:
    memory.data("create_entities", entities=[{**B, "name": f"n{number}"} for number in range(10)])
    memory.data("create_relations", relations=[{"from": "n1", "to": "n9", "relationType": "r"}])
    page = memory.data("read_graph", limit=3, offset=1)
    assert [entity["name"] for entity in page["entities"]] == ["n1", "n2", "n3"]
    assert len(page["relations"]) == 1
    assert page["nextOffset"] == 4
    assert "nextOffset" not in memory.data("read_graph", limit=3, offset=7)
    assert "nextOffset" not in memory.data("read_graph")


def test_search_ignores_case_in_every_script(memory: Session) -> None:
    memory.data("create_entities", entities=[{**B, "name": "STRASSE Ümlaut"}])
    for query in ("straße", "ümlaut", "ÜMLAUT"):
        assert memory.data("search_nodes", query=query)["entities"]


def test_limits_are_said_with_their_numbers(memory: Session) -> None:
    many = [{**B, "name": f"n{number}"} for number in range(1001)]
    assert "1,000" in memory.problem("create_entities", entities=many)
    assert "65,536" in memory.problem("store_memory", content="x" * 70_000)
    assert "1,024" in memory.problem("create_entities", entities=[{**B, "name": "x" * 2000}])
    assert "empty" in memory.problem("store_memory", content="  ")
    assert memory.data("read_graph")["entities"] == []


def test_wrong_arguments_are_said_in_one_line(memory: Session) -> None:
    problem = memory.problem("create_entities", entities=[{"name": "A"}])
    assert "entities.0.entityType: Field required" in problem
    assert "\n" not in problem


def test_a_memory_is_stored_found_changed_and_deleted(memory: Session) -> None:
    kept = memory.data("store_memory", content="Deploys run at night", tags=["ops"], metadata={"by": "ann"})
    other = memory.data("store_memory", content="Cats like boxes")
    found = memory.data("retrieve_memories", query="night deploy")["memories"]
    assert [one["id"] for one in found] == [kept["id"]]
    assert found[0]["relevance"] > 0
    assert memory.data("retrieve_memories", query="deploy", tags=["cats"])["memories"] == []
    assert [one["id"] for one in memory.data("retrieve_memories")["memories"]] == [other["id"], kept["id"]]
    changed = memory.data("update_memory", id=kept["id"], content="Deploys run at noon")
    assert (changed["tags"], changed["metadata"]) == (["ops"], {"by": "ann"})
    assert memory.data("retrieve_memories", query="night")["memories"] == []
    assert memory.data("get_memory", id=kept["id"])["content"] == "Deploys run at noon"
    assert memory.data("delete_memories", ids=[kept["id"], "none"]) == {"deleted": 1}
    assert "no memory" in memory.problem("get_memory", id=kept["id"])


def test_a_query_is_words_and_not_a_language(memory: Session) -> None:
    memory.data("store_memory", content='NEAR OR "quoted" AND col:umn* -minus (paren')
    for query in ('"quoted', "col:umn", "NEAR(", "a* OR", "-minus", "'; DROP TABLE memories; --", "paren)"):
        memory.data("retrieve_memories", query=query)
    assert "no word" in memory.problem("retrieve_memories", query="?!")


def test_memories_are_associated_and_found_over_others(memory: Session) -> None:
    a, b, c = (memory.data("store_memory", content=text)["id"] for text in ("one", "two", "three"))
    memory.data("associate_memories", source=a, target=b, kind="leads to", note="first")
    memory.data("associate_memories", source=a, target=b, kind="leads to", note="why")
    memory.data("associate_memories", source=c, target=b)
    near = memory.data("memory_neighbourhood", id=a)
    assert [one["id"] for one in near["memories"]] == [a, b]
    assert near["associations"] == [{"source": a, "target": b, "kind": "leads to", "note": "why"}]
    far = memory.data("memory_neighbourhood", id=a, hops=2)
    assert [one["id"] for one in far["memories"]] == [a, b, c]
    assert "with itself" in memory.problem("associate_memories", source=a, target=a)
    assert "no memory" in memory.problem("associate_memories", source=a, target="none")
    assert memory.data("dissociate_memories", source=a, target=b) == {"removed": 1}
    memory.data("delete_memories", ids=[c])
    assert memory.data("memory_neighbourhood", id=b)["associations"] == []


def test_near_duplicates_are_proposed_with_the_reason_and_merged_on_demand(memory: Session) -> None:
    a = memory.data("store_memory", content="The deploy job runs every night at two", tags=["ops"])["id"]
    b = memory.data("store_memory", content="The deploy job runs every night at two o'clock", tags=["ci"])[
        "id"
    ]
    c = memory.data("store_memory", content="Cats like boxes")["id"]
    memory.data("associate_memories", source=a, target=c)
    before = memory.text("export_memory")
    proposal = memory.data("propose_consolidation")["proposals"]
    assert memory.text("export_memory") == before
    assert [(one["keep"], one["drop"]) for one in proposal] == [(b, [a])]
    assert proposal[0]["reasons"] == [f"{a} and {b} share 15 of 19 words and word pairs (79%)"]
    merged = memory.data("consolidate_memories", keep=b, drop=[a])
    assert merged["tags"] == ["ci", "ops"]
    assert memory.data("memory_neighbourhood", id=b)["associations"][0]["target"] == c
    assert memory.data("propose_consolidation")["proposals"] == []


def test_an_export_imported_elsewhere_is_the_same(memory: Session, tmp_path: Path) -> None:
    memory.data("create_entities", entities=[A, B])
    memory.data("create_relations", relations=[KNOWS])
    a, b = (memory.data("store_memory", content=text, tags=["x"])["id"] for text in ("one", "two\nlines"))
    memory.data("associate_memories", source=a, target=b)
    lines = memory.text("export_memory", format="jsonl")
    other = Session("memory", tmp_path / "other", [])
    counts = {"entities": 2, "relations": 1, "memories": 2, "associations": 1}
    assert other.data("import_memory", lines=lines) == counts
    assert other.text("export_memory", format="jsonl") == lines
    assert set(other.data("import_memory", lines=lines).values()) == {0}
    assert "# Memory" in other.text("export_memory", format="markdown")
    assert set(json.loads(other.text("export_memory"))) == {
        "entities",
        "relations",
        "memories",
        "associations",
    }


def test_the_reference_servers_file_can_be_imported(memory: Session) -> None:
    lines = "\n".join(
        json.dumps({"type": kind, **item}) for kind, item in (("entity", A), ("relation", KNOWS))
    )
    memory.data("import_memory", lines=lines)
    assert memory.data("read_graph") == {"entities": [A], "relations": [KNOWS]}


def test_an_import_with_one_wrong_line_imports_nothing(memory: Session) -> None:
    good = json.dumps({"type": "entity", **A})
    for bad in ("{", "[]", '{"type":"what"}', '{"type":"entity","name":""}', '{"type":"relation"}'):
        assert "line 2" in memory.problem("import_memory", lines=f"{good}\n{bad}")
    assert memory.data("read_graph")["entities"] == []


def test_the_graph_is_a_resource(memory: Session) -> None:
    memory.data("create_entities", entities=[A])
    read = memory.ask(lambda client: client.read_resource("memory://knowledge-graph"))
    assert json.loads(read.contents[0].text) == {"entities": [A], "relations": []}
    assert read.cache_scope == "private"


def test_what_was_written_is_there_for_the_next_process(tmp_path: Path) -> None:
    Session("memory", tmp_path, []).data("create_entities", entities=[A])
    assert Session("memory", tmp_path, []).data("read_graph")["entities"] == [A]
    assert [path.stat().st_mode & 0o077 for path in (tmp_path / "db" / "memory").iterdir()] != []
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "db" / "memory").iterdir())
