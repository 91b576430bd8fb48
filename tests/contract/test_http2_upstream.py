"""A server behind hypercorn: HTTP/2 in the clear, where the configuration says that it is known."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest
import toolbox
from fleet import Fleet
from mcp import Client
from visitor import MODERN, said, visit

pytestmark = [pytest.mark.anyio, pytest.mark.bar, pytest.mark.timeout(60)]

AT_ONCE = 100
CLOSES_S = 1


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@contextmanager
def hypercorn() -> Iterator[str]:
    """The address of a server that closes connections which rest for a second."""
    box = toolbox.prepare(("http2",), npm=False)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        command = [str(box.script("http2", "hypercorn")), "--bind", f"fd://{listener.fileno()}"]
        command += ["--keep-alive", str(CLOSES_S), "--log-level", "warning", "http2_server:app"]
        server = subprocess.Popen(command, cwd=Path(__file__).parent, pass_fds=[listener.fileno()])
        try:
            yield f"http://127.0.0.1:{port}/mcp"
        finally:
            server.terminate()
            server.wait(10)


async def _ask(client: Client, tool: str, **arguments: int) -> str:
    return said(await client.call_tool(tool, arguments))


@pytest.mark.alone
@pytest.mark.parametrize(("http2", "version"), [("known", "2"), ("never", "1.1")])
async def test_a_hundred_calls_at_once_share_two_connections_where_http2_is_known(
    http2: str, version: str
) -> None:
    with hypercorn() as url, Fleet({"far": {"url": url, "pool": {"http2": http2}}}) as fleet:
        answers: list[str] = []

        async def call(client: Client) -> None:
            answers.append(await _ask(client, "meet", others=AT_ONCE - 1))

        async with visit(fleet.url("far"), MODERN) as client:
            await _ask(client, "seen")
            async with anyio.create_task_group() as calls:
                for _ in range(AT_ONCE):
                    calls.start_soon(call, client)
            seen = json.loads(await _ask(client, "seen"))
            assert answers == ["met"] * AT_ONCE
            assert seen["versions"] == [version]
            assert (seen["connections"] <= 2) == (http2 == "known"), seen


async def test_sparse_calls_meet_no_closed_connection() -> None:
    with hypercorn() as url, Fleet({"far": {"url": url, "pool": {"http2": "known"}}}) as fleet:
        async with visit(fleet.url("far"), MODERN) as client:
            for pause_ms in (0, 400, 900, 980, 990, 1000, 1010, 1020, 500):
                await anyio.sleep(pause_ms / 1000)
                assert await _ask(client, "meet", others=0) == "met"
