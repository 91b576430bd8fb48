"""Ours beside the reference server for SQLite: the same schemas, and the same results on the same inputs.

Both are started for real, each on a file of its own. What differs on purpose is listed with the reason; an
entry of that list that does not differ any more fails.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters
from mcp.types import CallToolResult, Tool
from toolbox import Toolbox, prepare

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

Call = tuple[str, dict[str, Any]]
MADE = (
    "create_table",
    {"query": "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL, age REAL)"},
)
FILLED = (
    "write_query",
    {"query": "INSERT INTO people (name, age) VALUES ('Ada', 36), ('Grace', 85.5), ('Ümit 🚀', NULL)"},
)

SAME: list[Call] = [
    ("list_tables", {}),
    MADE,
    FILLED,
    ("list_tables", {}),
    ("describe_table", {"table_name": "people"}),
    ("read_query", {"query": "SELECT * FROM people"}),
    ("read_query", {"query": "  select name, age * 2 as twice from people where age > 40 order by name  "}),
    ("read_query", {"query": "SELECT name FROM people WHERE 0"}),
    ("read_query", {"query": "SELECT 1, 'it''s', x'00ff', NULL, 9007199254740993, 1e999, 0.1"}),
    ("read_query", {"query": "SELECT count(*) FROM people;"}),
    ("write_query", {"query": "UPDATE people SET age = age + 1 WHERE age IS NOT NULL"}),
    ("write_query", {"query": "DELETE FROM people WHERE name = 'nobody'"}),
    ("write_query", {"query": "CREATE INDEX by_name ON people (name)"}),
    ("write_query", {"query": "ALTER TABLE people ADD COLUMN note TEXT DEFAULT 'none'"}),
    ("describe_table", {"table_name": "people"}),
    ("create_table", {"query": "create table copy as select name from people"}),
    ("write_query", {"query": "DROP TABLE copy"}),
    ("create_table", {"query": 'CREATE TABLE "odd name" (a, "b c" INTEGER UNIQUE DEFAULT 7)'}),
    ("write_query", {"query": "INSERT INTO \"odd name\" (a) VALUES ('x')"}),
    ("create_table", {"query": "CREATE TABLE counted (id INTEGER PRIMARY KEY AUTOINCREMENT)"}),
    ("list_tables", {}),
    ("append_insight", {"insight": "Grace is the oldest"}),
]
"""Calls whose texts are equal, in this order."""

BOTH_REFUSE: list[Call] = [
    ("read_query", {"query": "INSERT INTO people (name) VALUES ('x')"}),
    ("read_query", {"query": "SELECT * FROM nowhere"}),
    ("read_query", {"query": "SELECT 1; SELECT 2"}),
    ("write_query", {"query": "SELECT 1"}),
    ("write_query", {"query": "INSERT INTO people (name) VALUES (NULL)"}),
    ("create_table", {"query": "DROP TABLE people"}),
    ("create_table", {"query": "CREATE VIEW v AS SELECT 1"}),
    ("create_table", {"query": "CREATE TABLE people (id)"}),
]
"""Theirs says so in a text that looks like a success; ours is an error, with their words in it."""


@dataclass(frozen=True)
class Differs:
    """A call where ours must not do what theirs does."""

    why: str
    call: Call
    theirs: Callable[[str], bool]
    ours: Callable[[CallToolResult], bool]


def refused(word: str) -> Callable[[CallToolResult], bool]:
    return lambda result: bool(result.is_error) and word in text(result)


def said(word: str) -> Callable[[str], bool]:
    return lambda answer: word in answer


KNOWN_HOLES = [
    Differs(
        "theirs opens any file of the machine",
        ("write_query", {"query": "ATTACH DATABASE '{folder}/attached.db' AS other"}),
        said("[]"),
        refused("ATTACH"),
    ),
    Differs(
        "theirs writes a copy anywhere",
        ("write_query", {"query": "VACUUM INTO '{folder}/copy.db'"}),
        said("[]"),
        refused("VACUUM"),
    ),
    Differs(
        "theirs lets settings of the file be changed",
        ("write_query", {"query": "PRAGMA journal_mode = MEMORY"}),
        said("memory"),
        refused("journal_mode"),
    ),
    Differs(
        "theirs pastes the name into the statement",
        ("describe_table", {"table_name": "people); --"}),
        said("'name': 'id'"),
        refused("no table"),
    ),
    Differs(
        "an empty list for a table that is not there hides a slip of the pen",
        ("describe_table", {"table_name": "nowhere"}),
        said("[]"),
        refused("list_tables"),
    ),
    Differs(
        "theirs runs a SELECT in its writing tool behind WITH",
        ("write_query", {"query": "WITH a AS (SELECT 1 AS n) SELECT n FROM a"}),
        said("[{'n': 1}]"),
        refused("read_query"),
    ),
    Differs(
        "theirs answers a REPLACE as if it were done and loses it",
        ("write_query", {"query": "REPLACE INTO people (id, name) VALUES (99, 'Kept')"}),
        said("[]"),
        lambda result: text(result) == "[{'affected_rows': 1}]",
    ),
    Differs(
        "theirs shows one of two columns of the same name",
        ("read_query", {"query": "SELECT 1 AS a, 2 AS a"}),
        lambda answer: answer == "[{'a': 1}]",
        lambda result: text(result) == "[{'a': 1, 'a_2': 2}]",
    ),
    Differs(
        "theirs refuses SELECTs that do not begin with the word",
        ("read_query", {"query": "/* all */ WITH a AS (SELECT 1 AS n) SELECT n FROM a"}),
        said("Only SELECT"),
        lambda result: text(result) == "[{'n': 1}]",
    ),
    Differs(
        "theirs gives up on a text that is not UTF-8",
        ("read_query", {"query": "SELECT CAST(x'ff' AS TEXT) AS t"}),
        said("Could not decode"),
        lambda result: text(result) == "[{'t': text(b'\\xff')}]",
    ),
    Differs(
        "theirs lets rows point at rows that are not there",
        ("write_query", {"query": "INSERT INTO child VALUES (1, 12345)"}),
        said("'affected_rows': 1"),
        refused("FOREIGN KEY"),
    ),
]


def text(result: CallToolResult) -> str:
    return str(result.content[0].text)  # type: ignore[union-attr]


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def reference() -> Toolbox:
    return prepare(("legacy",), npm=False)


@asynccontextmanager
async def both(reference: Toolbox, folder: Path) -> AsyncIterator[tuple[Client, Client]]:
    """The reference server and ours, each with its own file."""
    theirs = StdioServerParameters(
        command=str(reference.script("legacy", "mcp-server-sqlite")),
        args=["--db-path", str(folder / "theirs" / "data.db")],
    )
    start = ["-m", "omnimind.servers", "sqlite", "--stdio", "--state", str(folder / "state"), "--"]
    ours = StdioServerParameters(
        command=sys.executable, args=[*start, "--db-path", str(folder / "ours" / "data.db")]
    )
    with anyio.fail_after(90):
        async with Client(theirs, mode="legacy") as one, Client(ours) as other:
            yield one, other


async def test_names_parameters_and_requirements_are_theirs(reference: Toolbox, tmp_path: Path) -> None:
    async with both(reference, tmp_path) as (theirs, ours):
        wanted = {tool.name: tool for tool in (await theirs.list_tools()).tools}
        found: dict[str, Tool] = {tool.name: tool for tool in (await ours.list_tools()).tools}
        assert len(wanted) == 6
        for name, tool in wanted.items():
            mine = found[name].input_schema
            assert mine.get("required", []) == tool.input_schema.get("required", []), name
            for parameter, schema in tool.input_schema["properties"].items():
                assert mine["properties"][parameter]["type"] == schema["type"], f"{name}({parameter})"
        assert [one.uri for one in (await ours.list_resources()).resources] == [
            one.uri for one in (await theirs.list_resources()).resources
        ]
        prompts = [(await one.list_prompts()).prompts for one in (theirs, ours)]
        named = [[(one.name, [a.name for a in one.arguments or []]) for one in listed] for listed in prompts]
        assert named[0] == named[1] == [("mcp-demo", ["topic"])]


async def test_the_same_calls_give_the_same_texts(reference: Toolbox, tmp_path: Path) -> None:
    async with both(reference, tmp_path) as (theirs, ours):
        for tool, arguments in SAME:
            wanted = await theirs.call_tool(tool, arguments)
            got = await ours.call_tool(tool, arguments)
            assert not got.is_error, (tool, arguments, text(got))
            assert text(got) == text(wanted), (tool, arguments)
        memos = [await one.read_resource("memo://insights") for one in (theirs, ours)]
        assert all("- Grace is the oldest" in memo.contents[0].text for memo in memos)  # type: ignore[union-attr]


async def test_what_both_refuse_is_an_error_with_their_words(reference: Toolbox, tmp_path: Path) -> None:
    async with both(reference, tmp_path) as (theirs, ours):
        for one in (theirs, ours):
            await one.call_tool(*MADE)
        for tool, arguments in BOTH_REFUSE:
            wanted = text(await theirs.call_tool(tool, arguments))
            got = await ours.call_tool(tool, arguments)
            assert wanted.startswith(("Error: ", "Database error: ")), (tool, arguments, wanted)
            assert got.is_error, (tool, arguments)
            if "one statement at a time" not in wanted:  # that one is said in our own words
                assert text(got).startswith(wanted.removeprefix("Error: ")[:60]), (text(got), wanted)


async def test_known_holes_are_theirs_alone(reference: Toolbox, tmp_path: Path) -> None:
    parent = ("create_table", {"query": "CREATE TABLE parent (id INTEGER PRIMARY KEY)"})
    child = ("create_table", {"query": "CREATE TABLE child (id, parent REFERENCES parent)"})
    async with both(reference, tmp_path) as (theirs, ours):
        for one in (theirs, ours):
            for prepared in (MADE, FILLED, parent, child):
                await one.call_tool(*prepared)
        for hole in KNOWN_HOLES:
            tool, arguments = hole.call
            arguments = {key: value.replace("{folder}", str(tmp_path)) for key, value in arguments.items()}
            got = await ours.call_tool(tool, arguments)
            assert hole.ours(got), (hole.why, text(got))
            assert names(tmp_path) == ["ours", "state", "theirs"], hole.why
            wanted = text(await theirs.call_tool(tool, arguments))
            assert hole.theirs(wanted), (hole.why, wanted)
            for left in ("attached.db", "copy.db"):
                (tmp_path / left).unlink(missing_ok=True)
        lost = {"query": "SELECT name FROM people WHERE id = 99"}
        assert text(await theirs.call_tool("read_query", lost)) == "[]"
        assert text(await ours.call_tool("read_query", lost)) == "[{'name': 'Kept'}]"
