"""Through the gateway: of every built-in server an answer is fetched once, given again, and not after a change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest
from fixtures.repositories import Scratch
from fleet import Fleet
from mcp import Client
from visitor import MODERN, said, visit

from omnimind import catalog

pytestmark = [pytest.mark.anyio, pytest.mark.bar, pytest.mark.timeout(120)]

SETTLED_S = 0.06
"""A file that was changed within the last 50 ms makes an answer that is not kept."""


@dataclass(frozen=True)
class Question:
    """What is asked, what is done before, and a call of the same server that changes the answer."""

    tool: str
    arguments: dict[str, Any]
    before: tuple[str, dict[str, Any]] | None = None
    change: tuple[str, dict[str, Any]] | None = None


QUESTIONS: dict[str, Question] = {
    "filesystem": Question(
        "read_text_file",
        {"path": "{root}/a.txt"},
        change=("write_file", {"path": "{root}/a.txt", "content": "other"}),
    ),
    "memory": Question(
        "read_graph",
        {},
        ("create_entities", {"entities": [{"name": "a", "entityType": "t", "observations": []}]}),
        ("create_entities", {"entities": [{"name": "b", "entityType": "t", "observations": []}]}),
    ),
    "thinking": Question(
        "list_thinking_sessions", {}, ("start_thinking", {"title": "a"}), ("start_thinking", {"title": "b"})
    ),
    "context": Question(
        "list_context", {}, ("store_context", {"content": "a"}), ("store_context", {"content": "b"})
    ),
    "git": Question(
        "git_log",
        {"repo_path": "{root}/r"},
        change=("git_commit", {"repo_path": "{root}/r", "message": "second"}),
    ),
    "python": Question("lint", {"code": "import os\n"}),
    "sqlite": Question(
        "read_query",
        {"query": "SELECT a FROM t"},
        ("create_table", {"query": "CREATE TABLE t AS SELECT 1 AS a"}),
        ("write_query", {"query": "UPDATE t SET a = 2"}),
    ),
    "system_info": Question("cpu_info", {}),
    "logging": Question(
        "search_logs",
        {"query": "deploy", "sources": ["@records"]},
        ("append_log", {"message": "deploy 1"}),
        ("append_log", {"message": "deploy 2"}),
    ),
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass(frozen=True)
class House:
    fleet: Fleet
    root: Path

    def placed(self, value: Any) -> Any:
        if isinstance(value, str):
            return value.replace("{root}", str(self.root))
        return {key: self.placed(part) for key, part in value.items()} if isinstance(value, dict) else value


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    root = tmp_path_factory.mktemp("root")
    (root / "a.txt").write_text("first")
    scratch = Scratch.make(root / "r")
    scratch.commit("first", {"a": "1\n"})
    (scratch.path / "b").write_text("2\n")
    scratch.git("add", "b")
    args = {"filesystem": [str(root)], "git": ["--repository", str(root)]}
    with Fleet({one.name: {"args": args.get(one.name, [])} for one in catalog.BUILTINS}) as fleet:
        yield House(fleet, root)


async def asked(client: Client, house: House, question: Question) -> tuple[str, dict[str, Any]]:
    """The answer, and what became of the request."""
    meta: Any = {"omnimind/cache": "report"}
    result = await client.call_tool(question.tool, house.placed(question.arguments), meta=meta)
    assert not result.is_error, said(result)
    told = dict(result.meta or {})
    assert "omnimind/depends" not in told, "what is between worker and gateway"
    return said(result), told["omnimind/cache"]


async def do(client: Client, house: House, call: tuple[str, dict[str, Any]] | None) -> None:
    if call is not None:
        result = await client.call_tool(call[0], house.placed(call[1]))
        assert not result.is_error, said(result)
        await anyio.sleep(SETTLED_S)


@pytest.mark.parametrize("server", [builtin.name for builtin in catalog.BUILTINS])
async def test_an_answer_is_fetched_once_and_not_given_after_a_change(house: House, server: str) -> None:
    question = QUESTIONS[server]
    async with visit(house.fleet.url(server), MODERN) as client:
        await do(client, house, question.before)
        first, fetched = await asked(client, house, question)
        assert fetched == {"hit": False, "kept": True}
        again, hit = await asked(client, house, question)
        assert (again, hit["hit"], hit["level"]) == (first, True, "ram")
        if question.change is not None:
            await do(client, house, question.change)
            changed, fetched = await asked(client, house, question)
            assert not fetched["hit"]
            assert changed != first


async def test_changes_from_elsewhere_are_seen_at_once(house: House) -> None:
    """Nobody tells the gateway of these: it compares the files."""
    file, scratch = house.root / "b.txt", Scratch(house.root / "r")
    file.write_text("one")
    await anyio.sleep(SETTLED_S)
    async with visit(house.fleet.url("filesystem"), MODERN) as client:
        question = Question("read_text_file", {"path": str(file)})
        for text in ("two", "six"):
            await asked(client, house, question)
            assert (await asked(client, house, question))[1]["hit"]
            file.write_text(text)
            assert (await asked(client, house, question))[0] == text
            await anyio.sleep(SETTLED_S)
    async with visit(house.fleet.url("git"), MODERN) as client:
        question = Question("git_branch", {"repo_path": str(scratch.path), "branch_type": "local"})
        await asked(client, house, question)
        assert (await asked(client, house, question))[1]["hit"]
        scratch.git("branch", "elsewhere")
        assert "elsewhere" in (await asked(client, house, question))[0]
