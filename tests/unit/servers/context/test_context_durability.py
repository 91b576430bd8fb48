"""What was acknowledged is there afterwards, with two processes that push out each other's entries and are killed."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

from context_file import ContextFile

from omnimind.servers.context.limits import Caps
from tests.system.worker_process import Peer, WorkerProcess, connected, worker

WRITERS = 6
ENOUGH = 60
ARGS = ("--working-tokens", "300")


async def write_until_killed(peer: Peer, writer: str, kept: dict[str, str], process: WorkerProcess) -> None:
    try:
        for turn in range(100_000):
            content = f"{writer} wrote number {turn} " * 4
            result = await peer.call("store_context", {"content": content, "importance": turn % 10 / 10})
            assert not result["isError"], result
            kept[result["structuredContent"]["id"]] = content
            if len(kept) > ENOUGH:
                process.process.kill()
    except ConnectionError:
        return


async def load(process: WorkerProcess, number: int, kept: dict[str, str]) -> None:
    async with connected(process) as peer, asyncio.TaskGroup() as group:
        for writer in range(WRITERS):
            group.create_task(write_until_killed(peer, f"{number}-{writer}", kept, process))


async def run(workers: list[WorkerProcess], kept: dict[str, str]) -> None:
    async with asyncio.TaskGroup() as group:
        for number, process in enumerate(workers):
            group.create_task(load(process, number, kept))


async def read_back(reader: WorkerProcess, kept: dict[str, str]) -> dict[str, str]:
    async with connected(reader) as peer:
        return {name: (await peer.call("expand", {"handle": name}))["content"][0]["text"] for name in kept}


def test_what_was_acknowledged_survives_eviction_and_kill_9(tmp_path: Path) -> None:
    kept: dict[str, str] = {}
    with worker("context", tmp_path, *ARGS) as first, worker("context", tmp_path, *ARGS) as second:
        asyncio.run(run([first, second], kept))
    assert len(kept) > ENOUGH
    with worker("context", tmp_path, *ARGS) as reader:
        assert asyncio.run(read_back(reader, kept)) == kept
    (path,) = (tmp_path / "db" / "context").glob("*.db")
    file = ContextFile(Caps(working=300))
    file.data = sqlite3.connect(path, isolation_level=None)
    file.check()
    file.data.close()
