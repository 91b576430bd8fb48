"""What the gateway or a command has cut, read back through the context server: by whom it was cut for."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from keyed_session import stamps_of
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.shared.exceptions import MCPError
from server_session import Session

from omnimind.compression import handles, tokens
from tests.system.worker_process import connected, worker

LOG = "".join(f"12:00:{at % 60:02} request {at} took {at * 7919 % 500} ms\n" for at in range(2_000))
ROWS = (
    '{"items": [{"id": "a-1", "status": 200}, {"id": "b-2", "status": 503.0}, {"id": "c-3", "status": 500}]}'
)


def keep(state: Path, text: str, principal: str = "local") -> str:
    return handles.Originals(handles.folder_of(state)).put(principal, text, source="logging/search")


def test_an_original_is_expanded_whole_or_by_its_parts(context: Session, tmp_path: Path) -> None:
    handle = keep(tmp_path, LOG)
    assert context.text("expand", handle=handle) == LOG
    assert context.text("expand", handle=handle[:16], lines="L3-4") == "".join(LOG.splitlines(True)[2:4])
    assert context.text("expand", handle=f"omnimind://context/{handle}?lines=7") == LOG.splitlines(True)[6]
    assert context.text("expand", handle=handle, grep="request 99 ", context=1).startswith("99-")
    assert "request 1234 took" in context.text("expand", handle=handle, query="request 1234", max_tokens=400)
    rows = keep(tmp_path, ROWS)
    assert context.text("expand", handle=rows, json_path="$..[?@.status >= 500].status") == "503.0\n500\n"


def test_what_does_not_fit_says_where_to_go_on_until_all_is_read(context: Session, tmp_path: Path) -> None:
    arguments: dict[str, Any] = {"handle": keep(tmp_path, LOG), "max_tokens": 9_000}
    read = ""
    for _ in range(20):
        blocks = context.call("expand", **arguments).content
        read += blocks[0].text  # type: ignore[union-attr]
        assert tokens.count(blocks[0].text) <= 9_000  # type: ignore[union-attr]
        if len(blocks) == 1:
            break
        remark = str(blocks[1].text)  # type: ignore[union-attr]
        arguments["lines"] = remark.partition("lines='")[2].partition("'")[0]
    assert read == LOG
    assert context.call("expand", handle=arguments["handle"], grep="no such").content[1].text == (
        "[nothing was found]"
    )


def test_parts_of_entries_are_read_in_the_same_way(context: Session) -> None:
    context.data("store_context", content=ROWS, key="rows", level="project")
    assert context.text("expand", handle="rows", json_path="$.items[0].id") == '"a-1"'
    assert context.text("expand", handle="rows", grep="b-2").startswith("1:{")


def test_what_cannot_be_expanded_says_what_to_do(context: Session, tmp_path: Path) -> None:
    handle = keep(tmp_path, LOG)
    assert "kept for a day" in context.problem("expand", handle="0" * 64)
    assert "list_context" in context.problem("expand", handle="no such key")
    assert "between 1 and 2000" in context.problem("expand", handle=handle, lines="9000-")
    assert "unclosed" in context.problem("expand", handle=handle, grep="(")
    assert "no JSON" in context.problem("expand", handle=handle, json_path="$.a")
    assert "give one of" in context.problem("expand", handle=handle, grep="a", query="b")


def test_an_original_is_a_resource_and_so_are_its_lines(context: Session, tmp_path: Path) -> None:
    handle = keep(tmp_path, LOG)

    async def read(client: Client) -> list[str]:
        listed = await client.list_resource_templates()
        assert "omnimind://context/{hash}{?lines}" in {one.uri_template for one in listed.resource_templates}
        uris = [f"omnimind://context/{handle}{rest}" for rest in ("", "?lines=3-4", "?lines=B0-8")]
        found = [await client.read_resource(uri) for uri in uris]
        return [one.contents[0].text for one in found]  # type: ignore[union-attr]

    assert context.ask(read) == [LOG, "".join(LOG.splitlines(True)[2:4]), LOG[:8]]


def test_an_answer_that_rests_on_an_original_is_never_kept(context: Session, tmp_path: Path) -> None:
    handle = keep(tmp_path, LOG, "ann")
    context.data("store_context", content="kept", key="k", level="project")
    assert stamps_of(context.server, "expand", handle=handle, lines="1") is None


def test_another_principal_does_not_find_it_in_a_fenced_worker_that_was_restarted(tmp_path: Path) -> None:
    async def run(process: Any, first: bool) -> None:
        async with connected(process, "ann") as ann, connected(process, "bob") as bob:
            whole = await ann.call("expand", {"handle": handle})
            assert whole["content"][0]["text"] == LOG
            uri = {"uri": f"omnimind://context/{handle}?lines=5"}
            read = await ann.send("resources/read", uri)
            assert read["result"]["contents"][0]["text"] == LOG.splitlines(True)[4]
            for name in (handle, handle[:16], f"omnimind://context/{handle}"):
                refused = await bob.call("expand", {"handle": name})
                assert refused["isError"]
                assert "request 1" not in str(refused)
            assert "error" in await bob.send("resources/read", uri)
            if first:
                os.kill(process.process.pid, 9)

    handle = keep(tmp_path, LOG, "ann")
    for first in (True, False):
        with worker("context", tmp_path) as process:
            asyncio.run(run(process, first))


def test_a_real_client_reads_through_the_sdk_over_stdio(tmp_path: Path) -> None:
    handle = keep(tmp_path, ROWS)

    async def run() -> None:
        command = StdioServerParameters(
            command=sys.executable,
            args=["-m", "omnimind", "serve", "context", "--stdio", "--state", str(tmp_path)],
        )
        async with Client(stdio_client(command)) as client:
            result = await client.call_tool("expand", {"handle": handle, "json_path": "$.items[*].id"})
            assert result.content[0].text == '"a-1"\n"b-2"\n"c-3"\n'  # type: ignore[union-attr]
            found = await client.read_resource(f"omnimind://context/{handle}")
            assert found.contents[0].text == ROWS  # type: ignore[union-attr]
            with pytest.raises(MCPError, match="kept for a day"):
                await client.read_resource("omnimind://context/" + "0" * 64)

    anyio.run(run)
