"""Guard and orchestrator die, one at a time: nothing is orphaned, nobody is refused, the fleet comes back."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.fleet import Fleet, wait_until
from tests.system.double import (
    PYTHON_PATH,
    ask,
    doubled,
    identity,
    is_ready,
    living,
    row,
    status,
    tiny,
    tree,
    whoami,
)

SURVIVAL_S = 2.0


@pytest.fixture
def offspring(tmp_path: Path) -> Path:
    return tmp_path / "offspring"


def with_grandchildren(offspring: Path) -> Fleet:
    wrapped = tiny("--offspring", str(offspring), "--stubborn")
    shell = {"command": "sh", "args": ["-c", " ".join([wrapped["command"], *wrapped["args"]]) + "; true"]}
    return doubled({"plain": tiny(), "breeder": wrapped, "shelled": shell, "filesystem": {"port": 0}})


def pids_in(file: Path) -> set[tuple[int, int]]:
    return {identity(int(line)) for line in file.read_text().split()}


def test_of_the_processes_before_a_killed_orchestrator_none_survives_two_seconds(offspring: Path) -> None:
    with with_grandchildren(offspring) as fleet:
        orchestrator = status(fleet)["orchestrator"]["pid"]
        before = tree(fleet.pid) | pids_in(offspring)
        assert len(before) >= 8
        os.kill(orchestrator, signal.SIGKILL)
        wait_until(lambda: not living(before), SURVIVAL_S, "all that ran before is gone")
        wait_until(lambda: is_back(fleet, orchestrator), 20, "the fleet is back")
        assert whoami(fleet, "plain")["got"]["result"]["pid"] == row(fleet, "plain")["pid"]


def is_back(fleet: Fleet, old_orchestrator: int) -> bool:
    now = status(fleet)
    ready = [server["state"] == "ready" for server in now["servers"]]
    return (
        now["orchestrator"]["pid"] != old_orchestrator and now["gateway"]["state"] == "ready" and all(ready)
    )


def test_no_connection_is_refused_while_the_orchestrator_is_replaced() -> None:
    with doubled({"plain": tiny(port=0)}) as fleet:
        orchestrator = status(fleet)["orchestrator"]["pid"]
        address = ("127.0.0.1", row(fleet, "plain")["port"])
        refused: list[OSError] = []
        connected = 0
        done = threading.Event()

        def knock() -> None:
            nonlocal connected
            while not done.is_set():
                try:
                    socket.create_connection(address, timeout=5).close()
                    connected += 1
                except OSError as error:
                    refused.append(error)
                time.sleep(0.002)

        knocking = threading.Thread(target=knock)
        knocking.start()
        try:
            os.kill(orchestrator, signal.SIGKILL)
            wait_until(lambda: is_back(fleet, orchestrator), 20, "the fleet is back")
        finally:
            done.set()
            knocking.join()
        assert connected > 50
        assert refused == []
        assert row(fleet, "plain")["port"] == address[1]


def test_a_call_made_while_the_orchestrator_is_dead_is_answered_by_the_new_one() -> None:
    with doubled({"plain": tiny()}) as fleet:
        first = whoami(fleet, "plain")["got"]["result"]["pid"]
        os.kill(status(fleet)["orchestrator"]["pid"], signal.SIGKILL)
        second: list[int] = []

        def call() -> None:
            while not second:
                try:
                    second.append(whoami(fleet, "plain")["got"]["result"]["pid"])
                except (OSError, ValueError):
                    continue  # the connection of the dead gateway ended in a reset

        call()
        assert second[0] != first


def test_when_the_guard_is_killed_nothing_survives_two_seconds(offspring: Path) -> None:
    fleet = with_grandchildren(offspring).start()
    before = tree(fleet.pid) | pids_in(offspring)
    try:
        os.kill(fleet.pid, signal.SIGKILL)
        wait_until(lambda: not living(before), SURVIVAL_S, "all that ran before is gone")
    finally:
        for pid, _ in living(before):
            os.kill(pid, signal.SIGKILL)
        fleet.stop()


def test_a_state_folder_left_by_a_killed_guard_starts_again(offspring: Path) -> None:
    fleet = doubled({"plain": tiny(), "filesystem": {"port": 0}})
    fleet.start()
    before = tree(fleet.pid)
    os.kill(fleet.pid, signal.SIGKILL)
    wait_until(lambda: not living(before), SURVIVAL_S, "all that ran before is gone")
    fleet.stop()
    with fleet:
        assert is_ready(fleet, "plain")
        assert is_ready(fleet, "filesystem")


def run_orchestrator(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(PYTHON_PATH)}
    return subprocess.run(
        [sys.executable, "-m", "omnimind.orchestrator", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        env=environment,
    )


def test_a_second_start_in_the_same_state_folder_says_who_runs() -> None:
    with doubled({"plain": tiny()}) as fleet:
        second = run_orchestrator("--state", str(fleet.state), "--port", "0")
        assert second.returncode == 1
        assert "error[OM0202]" in second.stderr
        assert f"pid {fleet.pid}" in second.stderr
        assert "help:" in second.stderr
        assert is_ready(fleet, "plain")


def test_a_port_held_by_a_stranger_is_named_and_the_server_answers_elsewhere() -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        with doubled({"plain": tiny(port=port), "other": tiny(port=0)}) as fleet:
            plain = row(fleet, "plain")
            assert plain["state"] == "ready"
            assert plain["port"] is None
            assert f"port {port} is held by" in plain["reason"]
            assert f"pid {os.getpid()}" in plain["reason"]
            assert "give this server another port" in plain["fix"]
            assert whoami(fleet, "plain")["got"]["result"]["pid"] == plain["pid"]
            assert row(fleet, "other")["reason"] is None
            assert "port" in fleet.said.read_text()
        socket.create_connection(("127.0.0.1", port), timeout=1).close()


def test_a_fleet_whose_gateway_port_is_held_refuses_to_start_and_names_the_holder(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        ended = run_orchestrator("--state", str(tmp_path / "state"), "--port", str(port))
    assert ended.returncode == 1
    assert f"error[OM0107]: port {port} is held by" in ended.stderr
    assert f"pid {os.getpid()}" in ended.stderr
    assert "help:" in ended.stderr


def test_a_broken_configuration_is_reported_once_and_nothing_starts(tmp_path: Path) -> None:
    config = tmp_path / "mcp_servers.json"
    config.write_text('{"mcpServers": {"a": {"comand": "x"}}}')
    ended = run_orchestrator("--state", str(tmp_path / "state"), "--port", "0", "--config", str(config))
    assert ended.returncode == 4
    assert ended.stderr.count("error[") == 1


def test_the_guard_is_small_and_has_one_thread() -> None:
    with doubled({"plain": tiny()}) as fleet:
        memory = dict(
            line.split(":", 1) for line in Path(f"/proc/{fleet.pid}/status").read_text().splitlines()
        )
        assert int(memory["VmRSS"].split()[0]) <= 15 * 1024
        assert int(memory["Threads"]) == 1


def test_guard_and_orchestrator_import_nothing_heavy() -> None:
    probe = (
        "import sys, json; import omnimind.orchestrator.{};"
        "print(json.dumps(sorted({{m.partition('.')[0] for m in sys.modules}})))"
    )
    environment = {**os.environ, "PYTHONPATH": str(PYTHON_PATH)}

    def modules(name: str) -> set[str]:
        command = [sys.executable, "-c", probe.format(name)]
        return set(json.loads(subprocess.check_output(command, env=environment, timeout=30)))

    heavy = {"mcp", "mcp_types", "pydantic", "pydantic_core", "starlette", "httpx2"}
    assert not modules("wiring") & heavy
    assert not modules("guard") & (
        heavy | {"anyio", "asyncio", "msgpack", "psutil", "dataclasses", "inspect"}
    )


def test_the_gateway_gets_the_snapshot_and_only_what_it_may_know() -> None:
    with doubled({"plain": tiny(env={"SECRET": "xyzzy"}, port=0), "off": tiny(enabled=False)}) as fleet:
        heard = ask(fleet, {"do": "heard"})
        assert [server["name"] for server in heard["snapshot"]["servers"]] == ["plain"]
        assert "xyzzy" not in json.dumps(heard["snapshot"])
        assert heard["snapshot"]["auth"]["tokens"][0]["name"] == "local"
        assert [listener["name"] for listener in heard["listeners"]] == ["gateway", "plain"]
        assert heard["servers"]["plain"]["state"] == "ready"
