"""Our memory server in place of `@modelcontextprotocol/server-memory`: the same, but for these tables."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from reference import Pair, Step, as_json, ask, differences_listed, side_by_side, unexpected
from toolbox import Toolbox

pytestmark = [pytest.mark.anyio, pytest.mark.bar, pytest.mark.timeout(120)]

FILE = "graph.jsonl"

LISTED_OTHERWISE = {f"read_graph: {what}" for what in ("more: limit", "more: offset", "output")}
"""A large graph is read in parts, and a part says where it goes on."""

A = {"name": "Ada", "entityType": "person", "observations": ["writes programs", "likes Horses"]}
B = {"name": "Babbage", "entityType": "person", "observations": []}
C = {"name": "Engine", "entityType": "machine", "observations": ["has 100% brass", "line\nfeed", "ümlaut"]}
KNOWS = {"from": "Ada", "to": "Babbage", "relationType": "knows"}
BUILT = {"from": "Babbage", "to": "Engine", "relationType": "built"}
OPEN_END = {"from": "Ada", "to": "Nobody", "relationType": "met"}

ONCE_IN_ONE_CALL = "theirs keeps both of two that are equal in one call"
NO_NAME = "an empty name is refused"


def step(tool: str, differs: str = "", **arguments: Any) -> Step:
    words = tool.startswith("delete_")
    return Step(tool, arguments, differs, *(() if words else (as_json,)))


def additions(name: str, *contents: str) -> list[dict[str, Any]]:
    return [{"entityName": name, "contents": list(contents)}]


STEPS = [
    step("read_graph"),
    step("create_entities", entities=[A, B]),
    step("create_entities", entities=[{**A, "entityType": "other"}, C]),
    step("create_entities", entities=[]),
    step("create_entities", entities=[{"name": "x"}]),
    step("create_relations", relations=[KNOWS, BUILT]),
    step("create_relations", relations=[KNOWS, OPEN_END]),
    step("create_relations", relations=[{"from": "Ada"}]),
    step("add_observations", observations=additions("Ada", "likes Horses", "is 28")),
    step("add_observations", observations=[*additions("Babbage", "kept?"), *additions("Missing", "x")]),
    step("read_graph"),
    *(
        step("search_nodes", query=query)
        for query in ("ada", "MACHINE", "horses", "100%", "ÜMLAUT", "e\nf", "", "zzz")
    ),
    step("search_nodes", query="ad gi"),
    step("search_nodes"),
    *(step("open_nodes", names=names) for names in (["Ada"], ["Engine", "Ada", "?"], [], ["ada"])),
    step("open_nodes", names="Ada"),
    step("delete_observations", deletions=[{"entityName": "Ada", "observations": ["is 28", "none"]}]),
    step("delete_observations", deletions=[{"entityName": "Missing", "observations": ["x"]}]),
    step("delete_relations", relations=[KNOWS, {**KNOWS, "relationType": "none"}]),
    step("read_graph"),
    step("delete_entities", entityNames=["Babbage", "Missing"]),
    step("read_graph"),
    step("create_entities", entities=[B]),
    step("read_graph"),
    step("create_relations", ONCE_IN_ONE_CALL, relations=[KNOWS, KNOWS]),
    step("create_entities", ONCE_IN_ONE_CALL, entities=[{**B, "name": "Twin"}, {**B, "name": "Twin"}]),
    step("create_entities", ONCE_IN_ONE_CALL, entities=[{**B, "name": "Echo", "observations": ["x", "x"]}]),
    step("create_entities", NO_NAME, entities=[{**B, "name": ""}]),
]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def pair(toolbox: Toolbox, tmp_path: Path) -> Any:
    theirs = (toolbox.npm_server("server-memory"), [])
    async with side_by_side(theirs, "memory", tmp_path, MEMORY_FILE_PATH=f"{{folder}}/{FILE}") as both:
        yield both


async def test_every_tool_and_parameter_is_listed_alike(pair: Pair) -> None:
    assert await differences_listed(pair) == LISTED_OTHERWISE


async def test_the_same_calls_are_answered_alike(pair: Pair) -> None:
    wrong = await unexpected(pair, STEPS)
    assert not wrong, "\n".join(wrong)


async def test_any_sequence_of_calls_leaves_the_same_graph(pair: Pair) -> None:
    chance = random.Random(4)
    steps: list[Step] = []
    for _ in range(60):
        a, b, word = (chance.choice("ABCD") for _ in range(3))
        relation = {"from": a, "to": b, "relationType": chance.choice(["r", "s"])}
        steps.append(
            chance.choice(
                [
                    step("create_entities", entities=[{"name": a, "entityType": b, "observations": [word]}]),
                    step("create_relations", relations=[relation]),
                    step("add_observations", observations=additions(a, word)),
                    step("delete_observations", deletions=[{"entityName": a, "observations": [word]}]),
                    step("delete_relations", relations=[relation]),
                    step("delete_entities", entityNames=[a]),
                    step("open_nodes", names=[a, b]),
                ]
            )
        )
        steps.append(step("search_nodes", query=word.lower()))
    wrong = await unexpected(pair, [*steps, step("read_graph")])
    assert not wrong, "\n".join(wrong)


async def test_the_graph_is_the_same_resource(pair: Pair) -> None:
    await unexpected(pair, STEPS[1:7])
    listed = [(await side.client.list_resources()).resources[0] for side in (pair.theirs, pair.ours)]
    assert [(one.uri, one.name, one.title, one.mime_type) for one in listed[:1]] == [
        (one.uri, one.name, one.title, one.mime_type) for one in listed[1:]
    ]
    read = [await side.client.read_resource(str(listed[0].uri)) for side in (pair.theirs, pair.ours)]
    contents = [json.loads(one.contents[0].text) for one in read]  # type: ignore[union-attr]
    assert contents[0] == contents[1]
    assert contents[0]["relations"]


async def test_their_file_is_taken_over_and_ours_is_read_there(pair: Pair) -> None:
    made = [
        step("create_entities", entities=[A, B, C]),
        step("create_relations", relations=[KNOWS, BUILT, OPEN_END]),
    ]
    for one in made:
        await ask(pair.theirs, one)
    graph = await ask(pair.theirs, step("read_graph"))
    file = pair.theirs.folder / FILE
    await pair.ours.client.call_tool("import_memory", {"lines": file.read_text()})
    assert await ask(pair.ours, step("read_graph")) == graph

    await pair.ours.client.call_tool("store_memory", {"content": "theirs skips this line"})
    exported = await pair.ours.client.call_tool("export_memory", {"format": "jsonl"})
    file.write_text(exported.content[0].text)  # type: ignore[union-attr]
    assert await ask(pair.theirs, step("read_graph")) == graph
