"""Real servers by others behind the gateway, as a client's configuration would name them, in both eras."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fleet import Fleet
from toolbox import Toolbox
from visitor import LEGACY, MODERN, said, visit

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.bar,
    pytest.mark.timeout(120),
]


@dataclass(frozen=True)
class Sample:
    """What is known of a server: how many tools it has at least, and one call with what it must say."""

    tools: int
    tool: str
    arguments: dict[str, Any]
    answer: str


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A folder with a note and a git repository."""
    with tempfile.TemporaryDirectory(prefix="omt-") as name:
        folder = Path(name).resolve()
        (folder / "note.txt").write_text("a note to read\n")
        subprocess.run(["git", "init", "--quiet", "-b", "main", str(folder / "repository")], check=True)
        yield folder


@pytest.fixture(scope="module")
def samples(home: Path) -> dict[str, Sample]:
    thought = {"thought": "first", "nextThoughtNeeded": False, "thoughtNumber": 1, "totalThoughts": 1}
    return {
        "everything": Sample(10, "echo", {"message": "hi"}, "hi"),
        "filesystem": Sample(14, "read_text_file", {"path": str(home / "note.txt")}, "a note to read"),
        "memory": Sample(9, "read_graph", {}, "entities"),
        "thinking": Sample(1, "sequentialthinking", thought, "thoughtHistoryLength"),
        "git": Sample(12, "git_status", {"repo_path": str(home / "repository")}, "main"),
        "time": Sample(2, "get_current_time", {"timezone": "UTC"}, "UTC"),
    }


@pytest.fixture(scope="module")
def fleet(toolbox: Toolbox, home: Path) -> Iterator[Fleet]:
    def npm(name: str, *arguments: str, **keys: Any) -> dict[str, Any]:
        command, *rest = toolbox.npm_server(name)
        return {"command": command, "args": [*rest, *arguments], **keys}

    servers = {
        "everything": npm("server-everything"),
        "filesystem": npm("server-filesystem", str(home)),
        "memory": npm("server-memory", env={"MEMORY_FILE_PATH": str(home / "memory.jsonl")}),
        "thinking": npm("server-sequential-thinking"),
        "git": {"command": str(toolbox.script("servers", "mcp-server-git"))},
        "time": {"command": str(toolbox.script("servers", "mcp-server-time"))},
    }
    with ExitStack() as stack:
        yield stack.enter_context(Fleet(servers))


@pytest.mark.parametrize("name", ["everything", "filesystem", "memory", "thinking", "git", "time"])
@pytest.mark.parametrize("era", [MODERN, LEGACY])
async def test_a_server_lists_its_tools_and_answers_a_call(
    fleet: Fleet, samples: dict[str, Sample], name: str, era: str
) -> None:
    sample = samples[name]
    async with visit(fleet.url(name), era) as client:
        tools = [tool.name for tool in (await client.list_tools()).tools]
        assert len(tools) >= sample.tools
        assert sample.tool in tools
        result = await client.call_tool(sample.tool, sample.arguments)
        assert not result.is_error, said(result)
        assert sample.answer in said(result)


@pytest.mark.parametrize("era", [MODERN, LEGACY])
async def test_the_aggregate_holds_the_tools_of_all_under_their_servers_names(
    fleet: Fleet, samples: dict[str, Sample], era: str
) -> None:
    async with visit(fleet.aggregate, era) as client:
        names = [tool.name for tool in (await client.list_tools()).tools]
        for server, sample in samples.items():
            own = [name for name in names if name.startswith(f"{server}__")]
            assert len(own) >= sample.tools
            assert f"{server}__{sample.tool}" in own
        result = await client.call_tool("time__get_current_time", {"timezone": "UTC"})
        assert "UTC" in said(result)
