"""The worker protocol, against real worker processes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from worker_process import WorkerProcess, connected, worker

CHANGED = {"jsonrpc": "2.0", "method": "notifications/omnimind/changed"}

Scenario = Callable[[WorkerProcess], Awaitable[None]]


def run(scenario: Scenario, name: str, state: Path, *args: str) -> None:
    with worker(name, state, *args) as process:
        play(scenario, process)


def play(scenario: Scenario, process: WorkerProcess) -> None:
    try:
        asyncio.run(asyncio.wait_for(scenario(process), 45))
    except TimeoutError:
        process.process.send_signal(signal.SIGABRT)  # has it print where each of its threads stands
        process.process.wait()
        raise


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    """A worker for the tests that leave it as it was; each uses principals of its own."""
    with worker("memory", tmp_path_factory.mktemp("state")) as process:
        yield process


@pytest.mark.bar
def test_a_thousand_calls_at_a_hundred_in_flight_each_get_their_own_answer(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    for number in range(1000):
        (folder / f"{number}.txt").write_text(f"content {number}")

    async def scenario(process: WorkerProcess) -> None:
        async with connected(process) as peer:
            turns = asyncio.Semaphore(100)

            async def one(number: int) -> str:
                async with turns:
                    result = await peer.call("read_text_file", {"path": f"{number}.txt"})
                    return str(result["content"][0]["text"])

            texts = await asyncio.gather(*(one(number) for number in range(1000)))
            assert texts == [f"content {number}" for number in range(1000)]
            assert peer.unasked == []  # nothing was answered twice

    run(scenario, "filesystem", tmp_path, str(folder))


@pytest.mark.parametrize("opening", [b"0" * 64 + b"\n", b"\n", b"", b"x" * 4096, b"{}\n" * 40])
def test_a_connection_without_the_key_is_closed_unanswered(memory: WorkerProcess, opening: bytes) -> None:
    async def scenario(process: WorkerProcess) -> None:
        reader, writer = await asyncio.open_unix_connection(process.address)
        writer.write(opening)
        if len(opening) < 65:
            writer.write_eof()
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await reader.readexactly(1)
        writer.close()
        async with connected(process) as peer:  # and the worker goes on
            assert (await peer.call("read_graph"))["structuredContent"]["entities"] == []

    play(scenario, memory)


@pytest.mark.roomy
def test_a_silent_connection_is_closed_after_five_seconds(memory: WorkerProcess) -> None:
    async def scenario(process: WorkerProcess) -> None:
        async with connected(process) as peer:
            await peer.call("read_graph")
        reader, writer = await asyncio.open_unix_connection(process.address)
        before = time.monotonic()
        assert await reader.read(1) == b""
        assert 4.5 < time.monotonic() - before < 7
        writer.close()

    play(scenario, memory)


def test_principals_see_only_their_own_data_on_one_connection(memory: WorkerProcess) -> None:
    async def scenario(process: WorkerProcess) -> None:
        async with connected(process) as peer:
            for who in ("alice", "bob"):
                peer.principal = who
                await peer.call(
                    "create_entities",
                    {"entities": [{"name": f"{who}'s", "entityType": "t", "observations": []}]},
                )
                await peer.call("store_memory", {"content": f"secret of {who}"})
            for who, other in (("alice", "bob"), ("bob", "alice")):
                peer.principal = who
                seen = json.dumps([await peer.call("export_memory"), await peer.call("read_graph")])
                assert who in seen
                assert other not in seen

    play(scenario, memory)


def test_a_handle_of_another_principal_opens_nothing(tmp_path: Path) -> None:
    async def scenario(process: WorkerProcess) -> None:
        async with connected(process) as peer:
            handle = (await peer.call("start_thinking"))["structuredContent"]["sessionId"]
            peer.principal = "mallory"
            refused = await peer.call("thinking_history", {"session_id": handle})
            assert refused["isError"]
            step = {"thought": "t", "nextThoughtNeeded": True, "thoughtNumber": 2, "totalThoughts": 3}
            assert (await peer.call("sequentialthinking", {**step, "session_id": handle}))["isError"]

    run(scenario, "thinking", tmp_path)


def test_a_call_that_names_no_principal_is_refused(memory: WorkerProcess) -> None:
    async def scenario(process: WorkerProcess) -> None:
        async with connected(process, principal=None) as peer:
            assert (await peer.send("tools/list"))["result"]["tools"]  # what all may know, all may ask
            answer = await peer.send("tools/call", {"name": "read_graph", "arguments": {}})
            assert "omnimind/principal" in answer["error"]["message"]

    play(scenario, memory)


def test_both_eras_work_each_on_its_own_connection(memory: WorkerProcess) -> None:
    async def scenario(process: WorkerProcess) -> None:
        async with connected(process) as legacy, connected(process) as modern:
            hello = {
                "protocolVersion": "2025-11-25",
                "capabilities": {},
                "clientInfo": {"name": "test", "version": "1"},
            }
            negotiated = await legacy.send("initialize", hello, modern=False)
            assert negotiated["result"]["protocolVersion"] == "2025-11-25"
            legacy.writer.write(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
            store = {"name": "store_memory", "arguments": {"content": "from the past"}}
            kept = await legacy.send("tools/call", store, modern=False)
            assert "resultType" not in kept["result"]
            found = await modern.call("retrieve_memories", {"query": "past"})
            assert found["resultType"] == "complete"
            assert found["structuredContent"]["memories"][0]["content"] == "from the past"
            assert (await modern.send("server/discover"))["result"]["supportedVersions"] == ["2026-07-28"]

    play(scenario, memory)


def test_sigterm_finishes_what_is_under_way_refuses_the_rest_and_exits_with_0(tmp_path: Path) -> None:
    async def scenario(process: WorkerProcess) -> None:
        async with connected(process) as peer:
            await peer.call("read_graph")
            many = [
                peer.send("tools/call", {"name": "store_memory", "arguments": {"content": f"m{n}"}})
                for n in range(200)
            ]
            await peer.writer.drain()
            await many[0]
            os.kill(process.process.pid, signal.SIGTERM)
            answers = await asyncio.gather(*many)
            stored = sum("result" in answer for answer in answers)
            refused = [answer["error"] for answer in answers if "error" in answer]
            assert stored >= 1
            assert all(error["code"] == 50300 and error["data"]["reason"] == "draining" for error in refused)
        assert await asyncio.to_thread(process.process.wait, 7) == 0

    run(scenario, "memory", tmp_path)


def test_a_broken_connection_ends_nothing_but_itself(memory: WorkerProcess) -> None:
    async def scenario(process: WorkerProcess) -> None:
        for _ in range(20):
            _, writer = await asyncio.open_unix_connection(process.address)
            writer.write(process.key.hex().encode() + b"\n")
            call = {"name": "read_graph", "arguments": {}, "_meta": {"omnimind/principal": "alice"}}
            request = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
            writer.write(json.dumps(request).encode() + b"\n" + b'{"half": ')
            await writer.drain()
            writer.transport.abort()
        async with connected(process) as peer:
            assert not (await peer.call("read_graph"))["isError"]

    play(scenario, memory)


BAD_LINES = [
    b"not json",
    b"[]",
    b"null",
    b"{}",
    b'{"jsonrpc":"1.0","id":1,"method":"ping"}',
    b'{"jsonrpc":"2.0","id":{"a":1},"method":"ping"}',
    b'{"jsonrpc":"2.0","id":true,"method":5}',
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":[1]}',
    b'{"jsonrpc":"2.0","id":"\\ud800","method":"tools/list"}',
    b"1e999",
]


@pytest.mark.parametrize("line", BAD_LINES, ids=lambda line: line[:24].decode("latin-1"))
def test_a_line_that_is_no_message_is_answered_and_the_connection_lives(
    memory: WorkerProcess, line: bytes
) -> None:
    async def scenario(process: WorkerProcess) -> None:
        async with connected(process) as peer:
            await peer.call("read_graph")
            peer.writer.write(line + b"\n\n  \n")
            assert not (await peer.call("read_graph"))["isError"]
            assert [message["error"]["code"] for message in peer.unasked] in ([-32700], [-32600], [-32602])

    play(scenario, memory)


def test_a_line_over_the_limit_costs_one_message_in_either_direction(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "controls").write_bytes(b"\x01" * (4 * 1024 * 1024))  # six characters each in JSON

    async def scenario(process: WorkerProcess) -> None:
        async with connected(process) as peer:
            await peer.call("list_allowed_directories")
            peer.writer.write(b'{"jsonrpc":"2.0","id":7,"method":"' + b"x" * (17 * 1024 * 1024) + b'"}\n')
            with pytest.raises(RuntimeError, match="16,777,216"):
                await peer.call("read_text_file", {"path": "controls"})
            assert not (await peer.call("list_allowed_directories"))["isError"]
            assert [message["error"]["code"] for message in peer.unasked] == [-32600]

    run(scenario, "filesystem", tmp_path, str(folder))


def test_a_message_just_under_the_limit_passes(tmp_path: Path) -> None:
    async def scenario(process: WorkerProcess) -> None:
        async with connected(process) as peer:
            text = "y" * (8 * 1024 * 1024)
            written = await peer.call("write_file", {"path": "big.txt", "content": text})
            assert not written["isError"]

    run(scenario, "filesystem", tmp_path)
    assert (tmp_path / "workspace" / "big.txt").stat().st_size == 8 * 1024 * 1024


def test_a_change_is_told_to_its_own_principal_and_to_the_gateway_alone(memory: WorkerProcess) -> None:
    async def scenario(process: WorkerProcess) -> None:
        wanted = {"notifications": {"resourceSubscriptions": ["memory://knowledge-graph"]}}
        async with (
            connected(process) as alice,
            connected(process, "bob") as bob,
            connected(process, None) as all_,
        ):
            for peer in (alice, bob, all_):
                peer.send("subscriptions/listen", wanted)
                await peer.told(1)
            await alice.call("create_entities", {"entities": []})
            await asyncio.gather(all_.told(3), alice.told(2), bob.told(2))
            await bob.call("read_graph")
            for peer in (
                bob,
                all_,
            ):  # that something of somebody's changed, the gateway learns on every other one
                assert sum(told == CHANGED for told in peer.unasked) == 1
                peer.unasked.remove(CHANGED)
            for peer in (alice, all_):
                told = peer.unasked[1]
                assert told["method"] == "notifications/resources/updated"
                assert told["params"]["uri"] == "memory://knowledge-graph"
                assert told["params"]["_meta"]["omnimind/principal"] == "alice"
                assert told["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"] == 1
            assert len(bob.unasked) == 1  # the acknowledgement, and nothing of alice's

    play(scenario, memory)


def test_importing_the_package_is_cheap_and_preload_starts_no_thread() -> None:
    code = (
        "import sys, threading, omnimind.servers as s\n"
        "assert not {'mcp', 'pydantic', 'anyio', 'sqlite3', 'asyncio'} & set(sys.modules)\n"
        "s.preload()\n"
        "assert {'mcp', 'pydantic', 'anyio', 'sqlite3'} <= set(sys.modules)\n"
        "assert all(f'omnimind.servers.{name}.server' in sys.modules for name in s.names())\n"
        "assert threading.active_count() == 1\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_worker_hides_its_memory_from_other_processes(tmp_path: Path) -> None:
    code = (
        "import ctypes, socket, sys, pathlib, anyio, omnimind.servers.worker as worker\n"
        "anyio.run = lambda *_: print('dumpable', ctypes.CDLL(None).prctl(3))\n"
        "worker.run('memory', socket.socket(socket.AF_UNIX), bytes(32), pathlib.Path(sys.argv[1]), [])\n"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], check=True, capture_output=True, text=True)
    assert done.stdout == "dumpable 0\n"


def test_wrong_arguments_are_said_in_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "omnimind.servers", "filesystem", "--stdio", "--state", str(tmp_path)]
    done = subprocess.run(
        [*command, "--", str(tmp_path / "nowhere")], capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith("nowhere (No such file or directory)")
