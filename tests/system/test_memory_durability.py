"""What the memory server acknowledged is there afterwards, whatever was killed meanwhile.

Two worker processes share one state folder. Twenty writers on each store what they can, until their worker is
killed with SIGKILL; then a new process reads everything back. OMNIMIND_FULL=1 repeats that twenty times.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from pathlib import Path
from typing import Any

import pytest
from worker_process import Peer, WorkerProcess, connected, worker

ROUNDS = 20 if os.environ.get("OMNIMIND_FULL") else 2
WRITERS = 20


async def write_until_killed(peer: Peer, writer: str, acknowledged: dict[str, list[str]]) -> None:
    """Store entities, observations and memories; note each only after its answer came."""
    for turn in range(100_000):
        name = f"{writer}-{turn}"
        try:
            entity = {"name": name, "entityType": "t", "observations": []}
            await succeed(peer, "create_entities", {"entities": [entity]})
            acknowledged["entities"].append(name)
            addition = {"entityName": name, "contents": [f"seen by {name}"]}
            await succeed(peer, "add_observations", {"observations": [addition]})
            acknowledged["observations"].append(f"seen by {name}")
            stored = await succeed(peer, "store_memory", {"content": f"memory of {name}"})
            acknowledged["memories"].append(stored["structuredContent"]["id"])
        except ConnectionError:
            return


async def succeed(peer: Peer, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    result = await peer.call(tool, arguments)
    assert not result["isError"], result
    return result


async def one_round(workers: list[WorkerProcess], prefix: str, acknowledged: dict[str, list[str]]) -> None:
    async def load(process: WorkerProcess, number: int) -> None:
        async with connected(process) as peer:
            await peer.call("search_nodes", {"query": "?"})
            killing = asyncio.get_running_loop().call_later(random.uniform(0.5, 1.5), process.process.kill)
            names = [f"{prefix}-{number}-{writer}" for writer in range(WRITERS)]
            await asyncio.gather(*(write_until_killed(peer, name, acknowledged) for name in names))
            killing.cancel()

    await asyncio.gather(*(load(process, number) for number, process in enumerate(workers)))


async def everything(process: WorkerProcess) -> dict[str, set[str]]:
    async with connected(process) as peer:
        found: dict[str, set[str]] = {"entities": set(), "observations": set(), "memories": set()}
        exported = await succeed(peer, "export_memory", {"format": "jsonl"})
        for line in exported["content"][0]["text"].splitlines():
            record = json.loads(line)
            if record["type"] == "entity":
                found["entities"].add(record["name"])
                found["observations"].update(record["observations"])
            elif record["type"] == "memory":
                found["memories"].add(record["id"])
        return found


@pytest.mark.bar
@pytest.mark.timeout(60 * ROUNDS)
def test_every_acknowledged_write_survives_kill_9_of_two_processes(tmp_path: Path) -> None:
    acknowledged: dict[str, list[str]] = {"entities": [], "observations": [], "memories": []}
    for number in range(ROUNDS):
        with worker("memory", tmp_path) as first, worker("memory", tmp_path) as second:
            asyncio.run(one_round([first, second], str(number), acknowledged))
    with worker("memory", tmp_path) as reader:
        found = asyncio.run(everything(reader))
    assert len(acknowledged["entities"]) > 20 * ROUNDS
    for kind, written in acknowledged.items():
        assert len(written) == len(set(written))
        assert set(written) - found[kind] == set(), f"lost {kind}"
