"""The logging server as the fleet runs it: fenced, killed while it indexes, and called off while it searches."""

from __future__ import annotations

import asyncio
import json
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from omnimind.linux import landlock, seccomp
from omnimind.logfiles import segments
from tests.fleet import wait_until
from tests.system.worker_process import Peer, connected, worker

FULL = bool(os.environ.get("OMNIMIND_FULL"))
MEGABYTES = 40 if FULL else 12
BEGIN = datetime(2026, 11, 22, tzinfo=UTC)


def write(folder: Path, name: str, lines: int, *, segment: int | None = None, first: int = 0) -> None:
    """A log as the orchestrator writes it, by hand because it is a large one."""
    folder.mkdir(exist_ok=True)
    live = folder / f"{name}.log"
    target = live if segment is None else live.with_name(f"{live.name}.{segment}")
    with target.open("w") as file:
        for number in range(first, first + lines):
            moment = (BEGIN + timedelta(milliseconds=number)).isoformat(timespec="milliseconds")
            text = f"INFO request {number} of user{number % 97} took {number % 31} ms"
            file.write(json.dumps({"time": moment, "server": name, "pid": 5, "line": text}) + "\n")
    if segment is not None:
        segments.finish(target, segments.pack(target))


def as_operator(peer: Peer) -> Peer:
    meta = {**peer.meta(), "omnimind/role": "operator"}
    peer.meta = lambda: meta  # type: ignore[method-assign]
    return peer


async def asked(running: Any, tool: str, **arguments: Any) -> dict[str, Any]:
    async with connected(running) as peer:
        result = await as_operator(peer).call(tool, arguments)
    assert not result.get("isError"), result
    data: dict[str, Any] = result["structuredContent"]
    return data


def test_it_reads_logs_and_keeps_its_own_behind_its_fence(tmp_path: Path) -> None:
    if landlock.abi() == 0 or not seccomp.available():
        pytest.skip(f"Landlock ABI {landlock.abi()}, seccomp {seccomp.available()}")
    logs = tmp_path / "logs"
    logs.mkdir()
    (tmp_path / "secret.log").write_text('{"time": "2026-11-22T10:00:00.000+00:00", "line": "secret"}\n')
    with worker("logging", tmp_path) as running:
        write(logs, "git", 3000, segment=1)
        write(logs, "git", 3000, first=3000)
        (logs / "memory.log").symlink_to(tmp_path / "secret.log")
        found = asyncio.run(asked(running, "search_logs", query="2999", sources=["git", "memory"]))
        assert [one["text"].split()[2] for one in found["records"]] == ["2999"]
        counted = asyncio.run(asked(running, "log_stats", sources=["git"]))
        assert counted["total"] == 6000
        assert asyncio.run(asked(running, "append_log", message="mine"))["id"] == "@records:1"
        assert asyncio.run(asked(running, "search_logs", sources=["memory"]))["records"] == [], (
            "a link is not followed"
        )
    assert (tmp_path / "db" / "logging" / "index.db").exists()


def test_a_kill_while_it_indexes_costs_nothing(tmp_path: Path) -> None:
    for segment in range(1, 4):
        write(tmp_path / "logs", "git", 20_000, segment=segment, first=segment * 20_000)
    index = tmp_path / "db" / "logging" / "index.db"

    async def ask_and_kill(running: Any) -> None:
        async with connected(running) as peer:
            answer = as_operator(peer).send(
                "tools/call", {"name": "search_logs", "arguments": {"query": "77777"}}
            )
            await asyncio.to_thread(wait_until, index.exists, 20, "the index is begun")
            await asyncio.sleep(0.1)
            running.process.kill()
            running.process.wait()
            await asyncio.gather(answer, return_exceptions=True)

    for _ in range(2):
        with worker("logging", tmp_path) as running:
            asyncio.run(ask_and_kill(running))
    with worker("logging", tmp_path) as running:
        for wanted in ("77777", "20000", "79999"):
            found = asyncio.run(asked(running, "search_logs", query=wanted))
            assert [one["text"].split()[2] for one in found["records"]] == [wanted]


def test_an_acknowledged_record_survives_a_kill(tmp_path: Path) -> None:
    kept: list[str] = []

    async def append(running: Any) -> None:
        async with connected(running) as peer:
            for number in range(20):
                result = await as_operator(peer).call("append_log", {"message": f"n{len(kept)} {number}"})
                kept.append(result["structuredContent"]["text"])
        running.process.kill()
        running.process.wait()

    for _ in range(2):
        with worker("logging", tmp_path) as running:
            asyncio.run(append(running))
    with worker("logging", tmp_path) as running:
        found = asyncio.run(asked(running, "search_logs", order="oldest", limit=500))
    assert [one["text"] for one in found["records"]] == kept


def used(process: psutil.Process) -> float:
    """Seconds of processor time."""
    return float(sum(process.cpu_times()[:2]))


def rests(process: psutil.Process) -> bool:
    before = used(process)
    time.sleep(0.15)
    return used(process) - before < 0.03


def test_a_search_that_is_called_off_stops_working(tmp_path: Path) -> None:
    """It costs less than half of what it costs when it is let go on."""
    for segment in range(1, MEGABYTES // 3):
        write(tmp_path / "logs", "git", 25_000, segment=segment, first=segment * 25_000)
    asked = {"name": "log_templates", "arguments": {"sources": ["git"]}}

    async def call_off(running: Any) -> tuple[float, float]:
        process = psutil.Process(running.process.pid)
        async with connected(running) as peer:
            as_operator(peer)
            begun = used(process)
            await peer.send("tools/call", asked)
            whole = used(process) - begun
            begun = used(process)
            answer = peer.send("tools/call", asked)
            request = peer._next
            await asyncio.to_thread(wait_until, lambda: used(process) > begun + 0.1, 20, "it works")
            note = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": request}}
            peer.writer.write(json.dumps(note).encode() + b"\n")
            await peer.writer.drain()
            await asyncio.to_thread(wait_until, lambda: rests(process), 20, "it rests")
            answer.cancel()
            return used(process) - begun, whole

    with worker("logging", tmp_path) as running:
        called_off, whole = asyncio.run(call_off(running))
    assert called_off < whole / 2
