"""Who is told that a server's data changed: every keyed connection but the one whose call it was, and nobody else."""

from __future__ import annotations

import asyncio
import json
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from worker_process import Peer, WorkerProcess, connected, worker

from omnimind.servers import ServerContext, build
from omnimind.servers.database import Databases
from omnimind.servers.worker import Worker

CHANGED = {"jsonrpc": "2.0", "method": "notifications/omnimind/changed"}


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def memory(state: Path) -> Iterator[WorkerProcess]:
    with worker("memory", state) as process:
        yield process


def play(scenario: Any) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 45))


async def heard(peer: Peer) -> int:
    """How often it was told, once all that stood in its queue has come."""
    await peer.call("get_memory", {"id": "none"})
    count = peer.unasked.count(CHANGED)
    assert len(peer.unasked) == count, peer.unasked
    peer.unasked.clear()
    return count


def test_the_others_are_told_of_a_call_that_writes_however_it_ends(memory: WorkerProcess) -> None:
    async def scenario() -> None:
        async with connected(memory) as one, connected(memory, "bob") as two, connected(memory) as three:
            await one.call("store_memory", {"content": "x"})
            assert [await heard(peer) for peer in (one, two, three)] == [0, 1, 1]
            refused = await two.call("consolidate_memories", {"keep": "none", "drop": ["none"]})
            assert refused["isError"]
            assert [await heard(peer) for peer in (one, two, three)] == [1, 0, 1]
            await one.call("read_graph")
            assert [await heard(peer) for peer in (one, two, three)] == [0, 0, 0]

    play(scenario)


def test_a_call_that_was_cancelled_may_have_written(memory: WorkerProcess) -> None:
    lines = "\n".join(json.dumps({"type": "entity", "name": str(n), "entityType": "t"}) for n in range(2_000))

    async def scenario() -> None:
        async with connected(memory) as one, connected(memory) as two:
            one.send("tools/call", {"name": "import_memory", "arguments": {"lines": lines}})
            note = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
            one.writer.write(json.dumps(note).encode() + b"\n")
            await two.told(1)
            assert two.unasked == [CHANGED]

    play(scenario)


def test_a_connection_that_breaks_has_its_last_call_told(memory: WorkerProcess) -> None:
    async def scenario() -> None:
        async with connected(memory) as two:
            async with connected(memory) as one:
                one.send("tools/call", {"name": "store_memory", "arguments": {"content": "x"}})
                await one.writer.drain()
            await two.told(1)
            assert two.unasked == [CHANGED]

    play(scenario)


def test_many_changes_are_told_in_few_words_and_never_too_early(memory: WorkerProcess) -> None:
    async def scenario() -> None:
        async with connected(memory) as one, connected(memory) as two:
            for _ in range(3):
                calls = (one.call("store_memory", {"content": str(number)}) for number in range(50))
                await asyncio.gather(*calls)
                assert 1 <= await heard(two) <= 50

    play(scenario)


def test_all_are_told_when_another_process_was_seen_to_write(memory: WorkerProcess, state: Path) -> None:
    async def scenario() -> None:
        async with connected(memory, "carol") as one, connected(memory) as two:
            await one.call("store_memory", {"content": "x"})
            await one.call("read_graph")
            await heard(two)
            with closing(sqlite3.connect(Databases(state / "db" / "memory", ()).path("carol"))) as other:
                other.execute("UPDATE owner SET principal = upper(principal)")
                other.commit()
            await one.call("read_graph")
            assert [await heard(peer) for peer in (one, two)] == [1, 1]
            await one.call("read_graph")
            assert [await heard(peer) for peer in (one, two)] == [0, 0]

    play(scenario)


def test_stamps_are_for_keyed_connections_and_so_is_the_news(tmp_path: Path) -> None:
    server = build(ServerContext("memory", tmp_path, []))

    async def told(key: bytes | None) -> tuple[bool, int]:
        listener = socket.socket(socket.AF_UNIX)
        address = str(tmp_path / f"{key is None}.sock")
        listener.bind(address)
        listener.listen()
        stop = asyncio.Event()
        serving = asyncio.create_task(Worker(server, key).serve(listener, stop=stop))
        peers = []
        for _ in range(2):
            reader, writer = await asyncio.open_unix_connection(address)
            if key is not None:
                writer.write(key.hex().encode() + b"\n")
            peers.append(Peer(reader, writer, "ann"))
        one, two = peers
        await one.call("store_memory", {"content": "x"})
        await asyncio.sleep(0.06)
        result = await two.call("read_graph")
        count = two.unasked.count(CHANGED)
        for peer in peers:
            await peer.close()
        stop.set()
        await serving
        return "omnimind/depends" in result.get("_meta", {}), count

    async def scenario() -> None:
        assert await told(b"k" * 32) == (True, 1)
        assert await told(None) == (False, 0)

    play(scenario)
