"""Clients that open a session for every call and close it, hundreds at once: as LangChain's and llama-index's do.

Each opens a connection, says `initialize` and `notifications/initialized`, lets the session's own stream open as the
SDK's client does, calls a tool and says DELETE. After any number of them the fleet is what it was: no error, no
session, no descriptor, no process and no memory more. `make bar-session-churn` goes on for a minute.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from tests.fleet import Fleet, fixture_entry, wait_until

FULL = bool(os.environ.get("OMNIMIND_FULL"))
CLIENTS = 500
ROUNDS = (4, 100) if FULL else (1, 2)
"""Sessions of each client: before the first look, and from there to the second."""
ANSWER_S = 30.0
MOST_GROWTH_BYTES = (12 if FULL else 24) * 1024 * 1024
"""What an allocator may be left with; in full a session that left 250 bytes behind would show."""
INITIALIZE = {
    "protocolVersion": "2025-11-25",
    "capabilities": {"roots": {"listChanged": True}},
    "clientInfo": {"name": "churn", "version": "1"},
}


@dataclass(frozen=True)
class Endpoint:
    host: str
    port: int
    path: str
    tool: str
    arguments: dict[str, Any]

    @classmethod
    def at(cls, url: str, tool: str, **arguments: Any) -> Endpoint:
        split = urlsplit(url)
        assert split.hostname is not None
        assert split.port is not None
        return cls(split.hostname, split.port, split.path, tool, arguments)


class Session:
    """One legacy session with a connection of its own."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._id: str | None = None

    async def run(self) -> None:
        reader, writer = await asyncio.open_connection(self._endpoint.host, self._endpoint.port)
        self._reader, self._writer = reader, writer
        stream = None
        try:
            result = await self._request(1, "initialize", INITIALIZE)
            assert result["protocolVersion"] == INITIALIZE["protocolVersion"], result
            assert (await self._send("POST", {"jsonrpc": "2.0", "method": "notifications/initialized"}))[
                0
            ] == 202
            stream = await self._listen()
            tool = {"name": self._endpoint.tool, "arguments": self._endpoint.arguments}
            result = await self._request(2, "tools/call", tool)
            assert not result.get("isError"), result
            assert (await self._send("DELETE"))[0] == 200
        finally:
            for one in (writer, stream):
                if one is not None:
                    one.close()

    async def _request(self, number: int, method: str, params: dict[str, Any]) -> dict[str, Any]:
        message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        status, answer = await self._send("POST", message)
        assert status == 200, (status, answer)
        assert answer["id"] == number, answer
        assert "result" in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    async def _listen(self) -> asyncio.StreamWriter:
        """The session's own stream, on a second connection; its head is enough."""
        reader, writer = await asyncio.open_connection(self._endpoint.host, self._endpoint.port)
        writer.write(self._head("GET", b""))
        assert int((await reader.readuntil(b"\r\n\r\n")).split()[1]) == 200
        return writer

    def _head(self, method: str, body: bytes) -> bytes:
        lines = [
            f"{method} {self._endpoint.path} HTTP/1.1",
            f"Host: {self._endpoint.host}:{self._endpoint.port}",
            "Content-Type: application/json",
            "Accept: text/event-stream" if method == "GET" else "Accept: application/json, text/event-stream",
            f"Content-Length: {len(body)}",
        ]
        if self._id is not None:
            lines += [f"Mcp-Session-Id: {self._id}", "MCP-Protocol-Version: 2025-11-25"]
        return "\r\n".join([*lines, "", ""]).encode() + body

    async def _send(self, method: str, message: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        body = json.dumps(message).encode() if message is not None else b""
        self._writer.write(self._head(method, body))
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        pairs = (line.split(": ", 1) for line in head[1:] if line)
        fields = {name.lower(): value for name, value in pairs}
        self._id = fields.get("mcp-session-id", self._id)
        text = await self._body(fields)
        if fields.get("content-type") == "text/event-stream":
            text = next(
                line[5:] for line in text.split(b"\n") if line.startswith(b"data:") and b'"id"' in line
            )
        return int(head[0].split()[1]), json.loads(text) if text.strip() else {}

    async def _body(self, fields: dict[str, str]) -> bytes:
        if fields.get("transfer-encoding") != "chunked":
            return await self._reader.readexactly(int(fields.get("content-length", "0")))
        body = b""
        while size := int(await self._reader.readline(), 16):
            body += (await self._reader.readexactly(size + 2))[:-2]
        await self._reader.readline()
        return body


async def churn(endpoints: list[Endpoint], rounds: int, seen: Counter[str]) -> None:
    """All clients at once, each so many sessions one after the other."""

    async def client(number: int) -> None:
        for turn in range(rounds):
            endpoint = endpoints[(number + turn) % len(endpoints)]
            try:
                async with asyncio.timeout(ANSWER_S):
                    await Session(endpoint).run()
                seen["done"] += 1
            except (AssertionError, OSError, EOFError, ValueError, TimeoutError) as error:
                seen[f"{endpoint.path}: {error!r}"[:300]] += 1

    async with asyncio.TaskGroup() as tasks:
        for number in range(CLIENTS):
            tasks.create_task(client(number))


def figures(fleet: Fleet) -> dict[str, int]:
    url = urlsplit(fleet.base)
    assert url.hostname is not None
    connection = HTTPConnection(url.hostname, url.port, timeout=10)
    connection.request("GET", "/metrics")
    lines = connection.getresponse().read().decode().splitlines()
    connection.close()
    names = ("omnimind_connections", "omnimind_sessions", "omnimind_requests_in_flight")
    return {name: int(line.split()[1]) for name in names for line in lines if line.startswith(f"{name} ")}


@dataclass(frozen=True)
class Looked:
    """The fleet at rest: each process with its descriptors, threads and private memory."""

    descriptors: dict[int, int]
    threads: dict[int, int]
    bytes: dict[int, int]

    @classmethod
    def at(cls, fleet: Fleet) -> Looked:
        # This look is one connection, and one request.
        wait_until(lambda: list(figures(fleet).values()) == [1, 0, 1], 15, f"all is closed: {figures(fleet)}")
        # What is counted out is closed; threads and memory of the other processes follow, and nobody counts those.
        time.sleep(0.5)
        processes = [psutil.Process(fleet.pid), *fleet.descendants()]
        return cls(
            {process.pid: process.num_fds() for process in processes},
            {process.pid: process.num_threads() for process in processes},
            {process.pid: process.memory_full_info().uss for process in processes},
        )


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """Two connections a client, here and in the gateway, which inherits what we may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.roomy
@pytest.mark.bar
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("many_descriptors")
def test_sessions_that_open_and_close_for_every_call_leave_nothing_and_none_fails(tmp_path: Path) -> None:
    # Room for all of them, however busy the machine is: what the limits and the brake refuse is another test's matter.
    room = {"limits": {"policy": "fixed", "start": 2 * CLIENTS, "min": 2 * CLIENTS}}
    servers = {
        "thinking": room,
        "old": fixture_entry("tally", "--file", str(tmp_path / "old"), "--era", "legacy", **room),
        "new": fixture_entry("tally", "--file", str(tmp_path / "new"), sessions="shared", **room),
    }
    with Fleet(servers) as fleet:
        endpoints = [
            Endpoint.at(fleet.url("old"), "look", text="a"),
            Endpoint.at(fleet.url("new"), "look", text="b"),
            Endpoint.at(fleet.aggregate, "old__look", text="c"),
            Endpoint.at(fleet.aggregate, "thinking__list_thinking_sessions"),
        ]
        seen: Counter[str] = Counter()
        asyncio.run(churn(endpoints, ROUNDS[0], seen))
        assert set(seen) == {"done"}, seen
        before = Looked.at(fleet)
        began = time.perf_counter()
        asyncio.run(churn(endpoints, ROUNDS[1], seen))
        took = time.perf_counter() - began
        assert set(seen) == {"done"}, seen
        after = Looked.at(fleet)
        sessions = CLIENTS * ROUNDS[1]
        names = {process.pid: process.name() for process in [psutil.Process(fleet.pid), *fleet.descendants()]}
        grown = {pid: size - before.bytes[pid] for pid, size in after.bytes.items() if pid in before.bytes}
        told = {names[pid]: f"{size / 1024:+.0f} KiB" for pid, size in grown.items()}
        print(f"{sessions} sessions, {CLIENTS} at once: {sessions / took:.0f} a second, {told}")
        assert seen["done"] == CLIENTS * sum(ROUNDS)
        assert after.descriptors == before.descriptors
        assert set(after.threads) == set(before.threads)
        # What the zygote shares with workers becomes its own when they write to it.
        assert all(size <= MOST_GROWTH_BYTES for pid, size in grown.items() if "zygote" not in names[pid]), (
            told
        )
