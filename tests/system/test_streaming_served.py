"""`omnimind.stream` where it is used: a process behind `omnimind.serve`, asked over HTTP by clients that go away.

The bar behind `OMNIMIND_FULL=1` waits out the half minute and reads 100,000 items; the normal run takes a sample.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from service_manager import MODERN, Endpoint

from tests.fleet import wait_until

FULL = os.environ.get("OMNIMIND_FULL") == "1"
ITEMS = 100_000 if FULL else 10_000
IDLE_S = 30.0 if FULL else 1.0
MIB = 1 << 20
MOST_GROWTH = 8 * MIB
GONE_S = 0.1 if FULL else 0.5
PART = 50 if FULL else 10

SERVER = """
import asyncio, sys, time
from collections.abc import AsyncIterator
from mcp.server import MCPServer
import omnimind

server = MCPServer("library")
state, heard, idle_s = sys.argv[1], sys.argv[2], float(sys.argv[3])

def note(what: str) -> None:
    with open(heard, "a") as file:
        file.write(f"{what} {time.monotonic()}\\n")

@server.tool(structured_output=False)
@omnimind.stream(idle_s=idle_s, key=b"k" * 32)
async def books(count: int, wait_s: float = 0.0) -> AsyncIterator[str]:
    note(f"opened {count}")
    try:
        for number in range(count):
            await asyncio.sleep(wait_s)
            yield f"{number:0500d}"
    finally:
        note(f"closed {count}")

omnimind.serve(server, port=0, auth=False, state=state)
"""
WHERE = re.compile(r"http://127\.0\.0\.1:(\d+)/mcp")


@dataclass
class Library:
    endpoint: Endpoint
    process: psutil.Process
    notes: Path

    def heard(self, what: str) -> list[float]:
        lines = self.notes.read_text().splitlines() if self.notes.exists() else []
        return [float(line.split()[-1]) for line in lines if line.startswith(what)]

    def page(self, legacy: bool = False, **arguments: Any) -> dict[str, Any]:

        answer = self.endpoint.call("books", legacy=legacy, **arguments)
        page: dict[str, Any] = json.loads(answer["content"][0]["text"])
        return page


@contextmanager
def serving(folder: Path) -> Iterator[Library]:
    folder.mkdir(exist_ok=True)
    said, notes = folder / "log", folder / "heard"
    with said.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(folder / "state"), str(notes), str(IDLE_S)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        wait_until(lambda: bool(WHERE.search(said.read_text())), 30, "the server is up")
        found = WHERE.search(said.read_text())
        assert found is not None
        yield Library(Endpoint(int(found[1])), psutil.Process(process.pid), notes)
    finally:
        process.terminate()
        assert process.wait(20) == 0, said.read_text()


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    with serving(tmp_path_factory.mktemp("one")) as library:
        yield library


@pytest.mark.alone
def test_a_client_that_hangs_up_while_it_waits_closes_what_it_had_opened(library: Library) -> None:
    arguments = {"name": "books", "arguments": {"count": 9, "wait_s": 60}, "_meta": MODERN}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": arguments}
    sent = json.dumps(message).encode()
    head = (
        "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        "Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\n"
        f"Mcp-Method: tools/call\r\nMcp-Name: books\r\nContent-Length: {len(sent)}\r\n\r\n"
    )
    client = socket.create_connection(("127.0.0.1", library.endpoint.port))
    client.sendall(head.encode() + sent)
    wait_until(lambda: bool(library.heard("opened 9")), 10, "the producer runs")
    assert library.heard("closed 9") == []
    gone = time.monotonic()
    client.close()
    wait_until(lambda: bool(library.heard("closed 9")), 10, "the producer is closed")
    assert library.heard("closed 9")[0] - gone < GONE_S


@pytest.mark.alone
@pytest.mark.bar
@pytest.mark.timeout(300)
def test_a_long_list_read_and_abandoned_takes_little_and_leaves_nothing(library: Library) -> None:
    library.page(count=150)
    before = library.process.memory_info().rss
    began = time.monotonic()
    page = library.page(count=ITEMS)
    first_s, seen = time.monotonic() - began, len(page["items"])
    while page["cursor"] is not None:
        page = library.page(count=ITEMS, cursor=page["cursor"])
        seen += len(page["items"])
    took_s, growth = time.monotonic() - began, library.process.memory_info().rss - before
    print(f"first page {first_s * 1000:.1f} ms, {ITEMS:,} items {took_s:.2f} s, grown {growth / MIB:.1f} MiB")
    assert seen == ITEMS
    assert first_s <= took_s / PART
    assert growth < MOST_GROWTH
    page = library.page(count=ITEMS)
    left = time.monotonic()
    ours = f"closed {ITEMS}"
    wait_until(lambda: len(library.heard(ours)) == 2, IDLE_S + 5, "the abandoned run is closed")
    assert IDLE_S * 0.9 < library.heard(ours)[-1] - left < IDLE_S + 1
    again = library.page(count=ITEMS, cursor=page["cursor"])
    assert again["items"][0] == f"{100:0500d}"


def test_a_cursor_goes_on_in_the_next_process_and_in_the_other_era(library: Library, tmp_path: Path) -> None:
    cursor = library.page(count=250)["cursor"]
    with serving(tmp_path / "two") as successor:
        successor.endpoint.initialize()
        page = successor.page(legacy=True, count=250, cursor=cursor)
        assert page["items"][0] == f"{100:0500d}"
