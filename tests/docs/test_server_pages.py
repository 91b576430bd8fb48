"""Every built-in server has a page, and its table of tools says what the server says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from mcp import Client
from mcp.types import Tool, ToolAnnotations

from omnimind import catalog
from tests.docs.pages import SERVER_PAGES, blocks, table
from tests.fleet import ROOT, Fleet

INDEX = ROOT / "docs" / "servers.md"
NAMES = [builtin.name for builtin in catalog.BUILTINS]


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, Tool]]]:
    """By server, the tools that it really has."""
    with Fleet({name: {} for name in NAMES}) as fleet:
        yield {name: anyio.run(_tools, fleet.url(name)) for name in NAMES}


async def _tools(url: str) -> dict[str, Tool]:
    async with Client(url) as client:
        return {tool.name: tool for tool in (await client.list_tools()).tools}


def hints_in_words(hints: ToolAnnotations) -> str:
    """The words of the column `hints`; docs/servers.md explains them."""
    if hints.read_only_hint:
        word = "reads"
    elif hints.destructive_hint:
        word = "replaces" if hints.idempotent_hint else "changes"
    else:
        word = "ensures" if hints.idempotent_hint else "adds"
    return f"{word}, open world" if hints.open_world_hint else word


def test_every_available_server_has_a_page_and_no_other_has() -> None:
    assert [page.stem for page in SERVER_PAGES] == sorted(NAMES), (
        "docs/servers/NAME.md is needed for every server that python/omnimind/catalog.py calls available"
    )


@pytest.mark.parametrize("page", SERVER_PAGES, ids=lambda page: page.stem)
def test_the_table_of_tools_is_true(page: Path, listed: dict[str, dict[str, Tool]]) -> None:
    tools = listed.get(page.stem, {})
    wanted = {
        name: hints_in_words(tool.annotations) for name, tool in tools.items() if tool.annotations is not None
    }
    rows = table(page, "tool")
    assert rows, f"{page.name} needs a table `| tool | what it does | hints |` of all its tools"
    assert {len(row) for row in rows} == {3}, (
        f"{page.name}: a row of the table has not three columns (`|` in a cell?)"
    )
    said = {row[0]: row[2] for row in rows}
    mend = [f"{name}: {hints}" for name, hints in wanted.items() if said.get(name) != hints]
    mend += [f"{name}: take this row out" for name in said if name not in wanted]
    assert not mend, f"{page.name}, rows to add or mend (tool: hints):\n" + "\n".join(mend)
    assert all(len(row[1]) > 10 for row in rows), f"{page.name}: say what each tool does"


@pytest.mark.parametrize("page", SERVER_PAGES, ids=lambda page: page.stem)
def test_a_page_has_what_a_reader_copies(page: Path) -> None:
    assert page.read_text().startswith(f"# {page.stem}\n"), f"{page.name}: open with the line `# {page.stem}`"
    assert any(page.stem in text for text in blocks(page, "json")), (
        f"{page.name}: show an entry of mcpServers"
    )
    session = "\n".join(blocks(page, "sh"))
    assert f"omnimind call {page.stem}__" in session, (
        f"{page.name}: show a session of `omnimind call {page.stem}__…`"
    )


def test_the_index_has_a_row_for_every_server() -> None:
    wanted = [
        [f"[{builtin.name}](servers/{builtin.name}.md)", str(builtin.port), builtin.tier]
        for builtin in catalog.BUILTINS
    ]
    rows = table(INDEX, "server")
    assert [row[:3] for row in rows] == wanted, (
        "docs/servers.md: the rows must be the available servers of python/omnimind/catalog.py, in its order: "
        "`| [name](servers/name.md) | port | tier | one sentence |`"
    )
    assert all(len(row[3]) > 20 for row in rows)
