"""Every tool of every built-in server, called by a real client through the gateway, in both eras.

Each is called with arguments that work and with arguments that do not; what is said then must hold the words
that the example names. The examples are in `tests/fixtures/examples`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fixtures.examples import Examples, examples_of, has_examples, structured
from fleet import Fleet
from mcp import Client, MCPError
from visitor import LEGACY, MODERN, said, visit

from omnimind import catalog

pytestmark = [pytest.mark.anyio, pytest.mark.bar, pytest.mark.timeout(120)]

SERVERS = [builtin.name for builtin in catalog.BUILTINS]


@dataclass(frozen=True)
class House:
    """A fleet of all built-in servers with fresh state, visited in one era only."""

    fleet: Fleet
    era: str
    examples: dict[str, Examples]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module", params=[MODERN, LEGACY])
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    base = tmp_path_factory.mktemp(request.param)
    examples = {name: examples_of(name, _made(base / name)) for name in SERVERS if has_examples(name)}
    with Fleet({name: {"args": list(one.args)} for name, one in examples.items()}) as fleet:
        yield House(fleet, request.param, examples)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


@pytest.mark.parametrize("server", SERVERS)
async def test_every_tool_answers_and_refuses_in_words(house: House, server: str) -> None:
    assert server in house.examples, f"tests/fixtures/examples/{server}.py is missing"
    examples = house.examples[server]
    async with visit(house.fleet.aggregate, house.era) as client:
        listed = {tool.name for tool in (await client.list_tools()).tools}
        complaints = [complaint async for complaint in _complaints(client, examples)]
    ours = {name.removeprefix(f"{server}__") for name in listed if name.startswith(f"{server}__")}
    assert ours == {example.tool for example in examples.examples}, (
        f"tests/fixtures/examples/{server}.py must have an example of every tool, and of no other"
    )
    assert not complaints, "\n".join(complaints)


async def _complaints(client: Client, examples: Examples) -> AsyncIterator[str]:
    """What is not as the examples say, each in its order."""
    given: dict[str, Any] = {}
    for example in examples.examples:
        tool = f"{examples.name}__{example.tool}"
        result = await client.call_tool(tool, examples.good(example, given))
        if result.is_error:
            yield f"{example.tool} refuses its good example: {said(result)}"
        given[example.tool] = structured(result)
        wrong = examples.bad(example)
        if wrong is not None:
            refusal = await _refusal(client, tool, wrong)
            if refusal is None:
                yield f"{example.tool} takes its bad example"
            elif example.says not in refusal:
                yield f"{example.tool} says {refusal!r}, not {example.says!r}"


async def _refusal(client: Client, tool: str, arguments: dict[str, Any]) -> str | None:
    try:
        result = await client.call_tool(tool, arguments)
    except MCPError as error:
        return error.error.message
    return said(result) if result.is_error else None
