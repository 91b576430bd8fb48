"""The system_info server as the orchestrator runs it: what it tells of the fleet, to whom, and what it cannot reach."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from fixtures.examples import examples_of
from mcp import Client

from omnimind.linux import landlock, proc, seccomp
from tests.fleet import Fleet
from tests.system.worker_process import Peer, WorkerProcess, connected, worker

SECRET = "s3cret-of-another-process"
NOSY = """
import ctypes, errno, json, os, socket, sys
from pathlib import Path
from omnimind.linux import process
from omnimind.servers import ServerContext, build, sandbox

other, state, outside = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
process.hide_memory()
build(ServerContext("system_info", state, []))
sandbox.confine("system_info", state, [])

def tried(act):
    try:
        act()
    except OSError as refusal:
        return errno.errorcode.get(refusal.errno or 0, str(refusal))
    return "done"

said = {f"{name} of {pid}": tried(lambda: open(f"/proc/{pid}/{name}", "rb").read(1))
        for pid in (other, 1) for name in ("environ", "maps", "mem", "auxv", "smaps_rollup", "stack", "syscall", "io")}
said |= {f"link {name} of {pid}": tried(lambda: os.readlink(f"/proc/{pid}/{name}"))
         for pid in (other, 1) for name in ("cwd", "exe", "root")}
said |= {f"through {name}": tried(lambda: os.listdir(f"/proc/{other}/{name}")) for name in ("root", "cwd")}
said |= {
    "a file outside": tried((outside / "secret").read_text),
    "a file of the state folder": tried((state / "key").read_text),
    "write to the state folder": tried(lambda: (state / "run" / "new").write_text("x")),
    "write to a setting of the kernel": tried(lambda: open("/proc/sys/kernel/hostname", "r+b")),
    "write to a device": tried(lambda: open("/sys/class/net/lo/mtu", "r+b")),
    "connect": tried(lambda: socket.socket(socket.AF_INET)),
    "execute": tried(lambda: os.execv("/bin/true", ["true"])),
    "fork": tried(os.fork),
}
print(json.dumps(said))
"""


@pytest.fixture
def other() -> Iterator[subprocess.Popen[bytes]]:
    """A process with something to hide in its command line and environment."""
    command = [sys.executable, "-S", "-c", "print(flush=True); input()", SECRET]
    process = subprocess.Popen(command, env={"TOKEN": SECRET}, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    process.kill()
    process.communicate()


def record(state: Path, *pids: int) -> None:
    """What an orchestrator would have written of these processes."""
    started = [found for found in map(proc.read, pids) if found is not None]
    lines: list[Any] = [{"run": "0" * 32, "boot": proc.boot_id(), "uid": os.getuid(), "group": None}]
    lines += [{"started": [one.pid, one.start_time], "uid": os.getuid(), "exe": None} for one in started]
    folder = state / "run"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "processes.jsonl").write_text("\n".join(map(json.dumps, lines)))


@contextmanager
def serving(state: Path) -> Iterator[WorkerProcess]:
    with worker("system_info", state) as running:
        yield running


async def asked(running: WorkerProcess, tool: str, arguments: dict[str, Any], role: str) -> Any:
    async with connected(running) as peer:
        meta = {**Peer.meta(peer), "omnimind/role": role}
        peer.meta = lambda: meta  # type: ignore[method-assign]
        result = await peer.call(tool, arguments)
    assert not result.get("isError"), result
    return result["structuredContent"]


def test_what_other_processes_hide_is_out_of_reach(tmp_path: Path, other: subprocess.Popen[bytes]) -> None:
    if landlock.abi() == 0 or not seccomp.available():
        pytest.skip(f"Landlock ABI {landlock.abi()}, seccomp {seccomp.available()}")
    state, outside = tmp_path / "state", tmp_path / "outside"
    record(state, os.getpid())
    outside.mkdir()
    for secret in (state / "key", outside / "secret"):
        secret.write_text(SECRET)
    done = subprocess.run(
        [sys.executable, "-c", NOSY, str(other.pid), str(state), str(outside)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    said = json.loads(done.stdout)
    assert len(said) > 20
    assert {what: how for what, how in said.items() if how not in ("EACCES", "EPERM")} == {}


def test_no_tool_tells_what_a_process_of_somebody_hides(
    tmp_path: Path, other: subprocess.Popen[bytes]
) -> None:
    record(tmp_path, os.getpid())
    root = tmp_path / "root"
    root.mkdir()
    with serving(tmp_path) as running:
        for role in ("operator", "user"):
            for example in examples_of("system_info", root).examples:
                assert isinstance(example.good, dict)
                found = json.dumps(asyncio.run(asked(running, example.tool, example.good, role)))
                assert SECRET not in found, example.tool
                assert "-c" not in found.split('"'), "an argument of a command line"
                if role == "user":
                    assert os.uname().nodename not in found.split('"'), example.tool
                    assert '"mac"' not in found
                    assert '"source"' not in found or example.tool == "system_overview"


def test_no_tool_takes_a_text_that_could_name_a_file(tmp_path: Path) -> None:
    async def texts() -> list[str]:
        async with connected(running) as peer:
            tools = (await peer.send("tools/list"))["result"]["tools"]
        return [
            f"{tool['name']}({name})"
            for tool in tools
            for name, schema in tool["inputSchema"]["properties"].items()
            if schema.get("type") not in ("integer", "boolean")
        ]

    with serving(tmp_path) as running:
        assert asyncio.run(texts()) == []


def test_the_fleets_processes_are_told_and_nobody_elses(
    tmp_path: Path, other: subprocess.Popen[bytes]
) -> None:
    """This process stands for the guard, and `other` for what it started."""
    record(tmp_path, os.getpid(), other.pid)
    with serving(tmp_path) as running:
        found = asyncio.run(asked(running, "fleet_processes", {"interval_ms": 100}, "operator"))["processes"]
        names = asyncio.run(asked(running, "fleet_processes", {}, "user"))
    rows = {row["pid"]: row for row in found}
    assert {os.getpid(), other.pid, running.process.pid} <= rows.keys()
    below = {one.pid for one in proc.below(os.getpid())}
    assert rows.keys() <= below | {os.getpid(), running.process.pid}
    assert rows[os.getpid()]["name"] == "guard"
    assert rows[other.pid]["name"] == "orchestrator"
    status = Path(f"/proc/{other.pid}/status").read_text()
    resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) * 1024
    assert abs(rows[other.pid]["resident_bytes"] - resident) <= 2 * 1024 * 1024
    assert rows[os.getpid()]["cpu_s"] > 0
    assert rows[other.pid]["cpu_percent"] <= 100
    assert {frozenset(row) for row in names["processes"]} == {frozenset({"name", "state"})}


def test_a_pid_that_was_given_again_is_not_the_fleets(tmp_path: Path, other: subprocess.Popen[bytes]) -> None:
    record(tmp_path, other.pid)
    path = tmp_path / "run" / "processes.jsonl"
    found = proc.read(other.pid)
    assert found is not None
    path.write_text(path.read_text().replace(str(found.start_time), str(found.start_time - 1)))
    with serving(tmp_path) as running:
        rows = asyncio.run(asked(running, "fleet_processes", {}, "operator"))["processes"]
    assert rows["why"] == "the fleet of this state folder does not run"


def test_a_real_fleet_is_told_by_the_names_of_its_servers() -> None:
    async def run() -> Any:
        async with Client(fleet.url("system_info")) as client:
            return (await client.call_tool("fleet_processes", {})).structured_content

    with Fleet({"system_info": {"port": 0}, "memory": {"port": 0}}) as fleet:
        rows = anyio.run(run)["processes"]
        pids = {process.pid for process in fleet.descendants()} | {fleet.pid}
        names = [row["name"] for row in rows if isinstance(row["name"], str)]
        assert {"guard", "orchestrator", "gateway", "zygote", "memory", "system_info"} <= set(names)
        assert {row["pid"] for row in rows} == pids
