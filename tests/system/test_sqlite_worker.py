"""The sqlite server as a process: what it keeps through a kill, how it stops, and what fences it."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from omnimind.linux import landlock
from tests.system.worker_process import Peer, WorkerProcess, connected, worker

UNGUARDED = Path(__file__).with_name("unguarded_sqlite.py")
RUNAWAY = "WITH RECURSIVE c(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM c)"


def play(scenario: Callable[[Peer], Awaitable[Any]], process: WorkerProcess) -> Any:
    async def run() -> Any:
        async with connected(process) as peer:
            return await asyncio.wait_for(scenario(peer), 45)

    return asyncio.run(run())


def text(result: dict[str, Any]) -> str:
    return str(result["content"][0]["text"])


async def rows(peer: Peer, query: str, **arguments: Any) -> Any:
    result = await peer.call("read_query", {"query": query, **arguments})
    assert not result.get("isError"), text(result)
    return result["structuredContent"]["rows"]


@pytest.mark.bar
@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_every_acknowledged_row_survives_a_kill(tmp_path: Path, journal: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    with sqlite3.connect(root / "data.db") as connection:
        connection.execute(f"PRAGMA journal_mode = {journal}")
        connection.execute("CREATE TABLE kept (number INTEGER PRIMARY KEY)")
    connection.close()
    acknowledged: set[int] = set()
    enough = asyncio.Event()

    async def writer(peer: Peer, first: int) -> None:
        for number in range(first, first + 10_000):
            arguments = {
                "query": f"INSERT INTO kept VALUES ({number})",
                "database": "data.db",
                "timeout_s": 20,
            }
            result = await peer.call("write_query", arguments)
            assert not result.get("isError"), text(result)
            acknowledged.add(number)
            if len(acknowledged) == 40:
                enough.set()

    async def scenario(process: WorkerProcess) -> None:
        async with connected(process, "a") as one, connected(process, "b") as other:
            tasks = [
                asyncio.create_task(writer(peer, at * 10_000))
                for at, peer in enumerate((one, other, one, other))
            ]
            await enough.wait()
            process.process.send_signal(signal.SIGKILL)
            for ended in await asyncio.gather(*tasks, return_exceptions=True):
                assert isinstance(ended, ConnectionError), ended

    with worker("sqlite", tmp_path, str(root)) as process:
        asyncio.run(asyncio.wait_for(scenario(process), 45))
    with worker("sqlite", tmp_path, str(root)) as process:
        found = play(
            lambda peer: rows(peer, "SELECT number FROM kept", database="data.db", limit=10_000), process
        )
    assert acknowledged <= {row[0] for row in found}


def test_a_journal_that_a_killed_program_left_is_rolled_back_before_reading(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    script = (
        "import os, sqlite3, sys\n"
        "c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "c.execute('CREATE TABLE kept (word)')\n"
        "c.executemany('INSERT INTO kept VALUES (?)', [('x' * 1000,)] * 100)\n"
        "c.execute('PRAGMA cache_size = 1')\n"
        "c.execute('BEGIN')\n"
        "c.execute(\"UPDATE kept SET word = 'lost' || word\")\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-S", "-c", script, str(root / "data.db")], check=False, timeout=30)
    assert (root / "data.db-journal").stat().st_size > 0
    with worker("sqlite", tmp_path, str(root)) as process:
        query = "SELECT count(*) FROM kept WHERE word LIKE 'lost%'"
        assert play(lambda peer: rows(peer, query, database="data.db"), process) == [[0]]


@pytest.mark.roomy
def test_a_cancelled_call_stops_at_once_and_gives_its_locks_back(tmp_path: Path) -> None:
    async def scenario(peer: Peer) -> None:
        await peer.call("create_table", {"query": "CREATE TABLE t (a)"})
        for query, tool in (
            (f"INSERT INTO t {RUNAWAY} SELECT x FROM c", "write_query"),
            (f"{RUNAWAY} SELECT count(*) FROM c", "read_query"),
        ):
            for _ in range(3):  # as many as may run together, with the one below
                peer.send("tools/call", {"name": tool, "arguments": {"query": query, "timeout_s": 60}})
            under_way = range(peer._next - 2, peer._next + 1)
            await asyncio.sleep(0.1)
            for number in under_way:
                cancel = {
                    "jsonrpc": "2.0",
                    "method": "notifications/cancelled",
                    "params": {"requestId": number},
                }
                peer.writer.write(json.dumps(cancel).encode() + b"\n")
            began = time.monotonic()
            done = await peer.call("write_query", {"query": "INSERT INTO t VALUES (1)", "timeout_s": 30})
            assert not done.get("isError"), text(done)
            assert time.monotonic() - began < 25
        assert await rows(peer, "SELECT count(*) FROM t") == [[2]]

    with worker("sqlite", tmp_path) as process:
        play(scenario, process)


@pytest.mark.roomy
def test_one_principal_at_its_bound_does_not_keep_another_waiting(tmp_path: Path) -> None:
    async def scenario(process: WorkerProcess) -> None:
        async with connected(process, "greedy") as greedy, connected(process, "modest") as modest:
            query = {"query": f"{RUNAWAY} SELECT count(*) FROM c", "timeout_s": 1}
            began = time.monotonic()
            burden = [greedy.send("tools/call", {"name": "read_query", "arguments": query}) for _ in range(8)]
            await asyncio.sleep(0.1)
            assert await rows(modest, "SELECT 1", timeout_s=30) == [[1]]
            for call in burden:
                assert "stopped after 1 s" in text((await call)["result"])
            assert time.monotonic() - began >= 2, "its second four began beside its first"

    with worker("sqlite", tmp_path) as process:
        asyncio.run(asyncio.wait_for(scenario(process), 45))


def test_an_import_tells_how_far_it_is(tmp_path: Path) -> None:
    async def scenario(peer: Peer) -> None:
        plain = peer.meta
        peer.meta = lambda: {**plain(), "progressToken": 7}  # type: ignore[method-assign]
        lines = "".join(f"{number}\n" for number in range(5_000))
        done = await peer.call("import_rows", {"table": "t", "text": f"n\n{lines}"})
        assert done["structuredContent"]["rows"] == 5_000
        told = [one["params"] for one in peer.unasked if one.get("method") == "notifications/progress"]
        assert [(one["progress"], one["total"]) for one in told] == [(n * 1000, 5000) for n in range(1, 6)]

    with worker("sqlite", tmp_path) as process:
        play(scenario, process)


@pytest.mark.roomy
def test_a_statement_runs_no_longer_than_the_gateway_waits(tmp_path: Path) -> None:
    async def scenario(peer: Peer) -> None:
        plain = peer.meta
        peer.meta = lambda: {**plain(), "omnimind/deadlineMs": 300}  # type: ignore[method-assign]
        began = time.monotonic()
        result = await peer.call(
            "read_query", {"query": f"{RUNAWAY} SELECT count(*) FROM c", "timeout_s": 60}
        )
        assert "stopped after 0.3 s" in text(result)
        assert time.monotonic() - began < 30

    with worker("sqlite", tmp_path) as process:
        play(scenario, process)


def test_the_reference_option_names_files_and_only_these(tmp_path: Path) -> None:
    (tmp_path / "other.db").touch()
    state = tmp_path / "state"
    state.mkdir()
    first, second = tmp_path / "new" / "first.db", tmp_path / "second.data"

    async def scenario(peer: Peer) -> None:
        assert await rows(peer, "SELECT count(*) FROM sqlite_master") == [[0]]
        for database in (None, "second.data", str(second)):
            made = await peer.call(
                "create_table", {"query": f"CREATE TABLE t{len(str(database))} (a)", "database": database}
            )
            assert not made.get("isError"), text(made)
        kept = await peer.call("append_insight", {"insight": "a fenced server keeps its memo elsewhere"})
        assert kept["structuredContent"]["insights"] == 1
        listed = (await peer.call("list_databases"))["structuredContent"]["databases"]
        assert [(one["name"], one["default"]) for one in listed] == [
            ("first.db", True),
            ("second.data", False),
        ]
        for database in ("other.db", str(tmp_path / "other.db"), "new.db"):
            for tool in ("list_tables", "create_database"):
                refused = await peer.call(tool, {"database": database})
                assert refused["isError"], (tool, database)

    with worker("sqlite", state, "--db-path", str(first), f"--db-path={second}") as process:
        play(scenario, process)
    assert first.exists()
    assert second.exists()
    assert not (tmp_path / "new.db").exists()


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--db-path"], "--db-path needs a file"),
        (["--read-only"], "unknown argument --read-only"),
        (["/nowhere/at/all"], "is not a folder"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_at_the_start(
    tmp_path: Path, args: list[str], says: str
) -> None:
    command = [
        sys.executable,
        "-m",
        "omnimind.servers",
        "sqlite",
        "--stdio",
        "--state",
        str(tmp_path),
        "--",
        *args,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert says in done.stderr


@contextmanager
def unguarded(state: Path, *args: str) -> Iterator[WorkerProcess]:
    address, key = str(state / "unguarded.sock"), secrets.token_bytes(32)
    read, write = os.pipe()
    os.write(write, key)
    os.close(write)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        numbers = ["--listen-fd", str(listener.fileno()), "--key-fd", str(read)]
        command = [sys.executable, str(UNGUARDED), "sqlite", "--state", str(state), *numbers, "--", *args]
        process = subprocess.Popen(command, pass_fds=(listener.fileno(), read))
    os.close(read)
    with WorkerProcess(process, address, key).closing() as running:
        yield running


@pytest.mark.skipif(landlock.abi() == 0, reason="no Landlock here")
def test_the_fence_of_the_process_holds_without_the_inner_ones(tmp_path: Path) -> None:
    state, root, outside = (tmp_path / name for name in ("state", "root", "outside"))
    for folder in (state, root, outside):
        folder.mkdir()
    for path in (root / "data.db", outside / "secret.db"):
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE kept (word)")
        connection.close()

    async def scenario(peer: Peer) -> None:
        async def tried(statement: str) -> str:
            return text(await peer.call("read_query", {"query": statement, "database": "data.db"}))

        for path in (outside / "secret.db", outside / "new.db", state / "new.db", "/tmp/new.db"):
            assert "unable to open database" in await tried(f"ATTACH '{path}' AS other"), path
        assert "gives no rows" in await tried(f"ATTACH '{root}/data.db' AS other"), (
            "an inner fence is there still"
        )

    before = sorted(str(file) for file in outside.iterdir())
    with unguarded(state, str(root)) as process:
        play(scenario, process)
    assert sorted(str(file) for file in outside.iterdir()) == before
