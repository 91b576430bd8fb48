"""The orchestrator as a service of systemd: passed sockets, notifications, units it watches and never starts."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from service_manager import Endpoint, Manager

from omnimind.cli import fleet
from omnimind.errors import Exit, FleetError
from tests.fleet import fixture_entry, wait_until

HERE = Path(__file__).parent
TINY = {"command": sys.executable, "args": ["-S", str(HERE / "fleet_fixtures" / "tiny_server.py")]}
ORCHESTRATOR = "omnimind.orchestrator"
THOUGHT = {"thought": "t", "nextThoughtNeeded": False, "thoughtNumber": 1, "totalThoughts": 1}


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    with Manager(tmp_path) as manager:
        yield manager


def configure(manager: Manager, servers: dict[str, Any], **sections: Any) -> Path:
    config = manager.folder / "mcp_servers.json"
    sections.setdefault("gateway", {"port": 0})
    config.write_text(json.dumps({"mcpServers": servers, **sections}))
    return config


def start(manager: Manager, *arguments: str, **how: Any) -> subprocess.Popen[bytes]:
    """A fleet whose gateway is a double, as there is nothing to ask it."""
    config = manager.folder / "mcp_servers.json"
    environment = how.pop("environment", {})
    environment["PYTHONPATH"] = os.pathsep.join([*sys.path, str(HERE / "fleet_fixtures")])
    return manager.start(
        "--config",
        str(config),
        "--no-auth",
        *arguments,
        module=ORCHESTRATOR,
        environment=environment,
        **how,
    )


def status(manager: Manager) -> dict[str, Any]:
    return fleet.ask(manager.state, {"cmd": "status"})


def row(manager: Manager, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(row for row in status(manager)["servers"] if row["name"] == name)
    return found


# --- the guard


def test_the_guard_serves_on_the_sockets_it_was_passed_by_name_and_by_address(manager: Manager) -> None:
    gateway, plain = manager.listen("gateway"), manager.listen("any.socket")
    configure(manager, {"plain": TINY | {"port": plain.getsockname()[1]}}, gateway={"port": 0})
    service = start(manager, "--gateway-module=fake_gateway")
    assert manager.ready().port == gateway.getsockname()[1]
    assert row(manager, "plain")["port"] == plain.getsockname()[1]
    assert row(manager, "plain")["reason"] is None
    mine = set(socket_inodes(service.pid))
    assert {os.fstat(gateway.fileno()).st_ino, os.fstat(plain.fileno()).st_ino} <= mine
    service.terminate()
    assert service.wait(20) == 0
    socket.create_connection(gateway.getsockname(), 1).close()  # still held, for the next start


def socket_inodes(pid: int) -> Iterator[int]:
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        name = os.readlink(entry)
        if name.startswith("socket:["):
            yield int(name[8:-1])


def test_what_systemd_passed_reaches_no_process_below(manager: Manager) -> None:
    manager.listen("gateway")
    configure(manager, {"plain": TINY})
    service = start(manager, "--gateway-module=fake_gateway", watchdog_s=20)
    manager.ready()
    secrets = ("LISTEN_", "NOTIFY_", "WATCHDOG_")
    for process in psutil.Process(service.pid).children(recursive=True):
        assert [name for name in process.environ() if name.startswith(secrets)] == []


def test_ready_is_said_once_the_record_is_written_and_stopping_when_it_stops(manager: Manager) -> None:
    configure(manager, {"plain": TINY})
    service = start(manager, "--gateway-module=fake_gateway")
    manager.ready()
    assert (manager.state / "run.json").exists()
    assert manager.said("WATCHDOG") == []  # nobody asked for it
    service.terminate()
    manager.heard("STOPPING")
    assert service.wait(20) == 0


def test_the_watchdog_is_fed_by_the_orchestrators_loop_and_silent_while_it_hangs(manager: Manager) -> None:
    configure(manager, {"plain": TINY})
    service = start(manager, "--gateway-module=fake_gateway", watchdog_s=0.3)
    manager.ready()
    manager.heard("WATCHDOG", times=len(manager.said("WATCHDOG")) + 3)
    orchestrator = status(manager)["orchestrator"]["pid"]
    os.kill(orchestrator, signal.SIGSTOP)
    try:
        wait_until(lambda: fed_within(manager, 0.5) == 0, 10, "nothing feeds the watchdog")
    finally:
        os.kill(orchestrator, signal.SIGCONT)
    manager.heard("WATCHDOG", times=len(manager.said("WATCHDOG")) + 3)
    os.kill(orchestrator, signal.SIGKILL)
    manager.heard("READY", times=2)  # of the one that the guard started
    manager.heard("WATCHDOG", times=len(manager.said("WATCHDOG")) + 3)
    assert service.poll() is None


def fed_within(manager: Manager, span_s: float) -> int:
    before = len(manager.said("WATCHDOG"))
    end = time.monotonic() + span_s
    while time.monotonic() < end and len(manager.said("WATCHDOG")) == before:
        time.sleep(0.02)
    return len(manager.said("WATCHDOG")) - before


def test_as_a_unit_a_wrong_configuration_ends_it_with_78_and_says_why(manager: Manager) -> None:
    (manager.folder / "mcp_servers.json").write_text('{"mcpServers": {"a": {"comand": "x"}}}')
    assert start(manager, "--systemd").wait(20) == Exit.CONFIG
    assert "comand" in manager.heard("STATUS")


# --- units


def test_the_fleet_reaches_units_and_neither_starts_nor_ends_them(manager: Manager) -> None:
    everything = fixture_entry("everything", sessions="shared")
    configure(manager, {"thinking": {}, "memory": {}, "everything": everything})
    unit = manager.start("serve", "thinking", "--port", "0", "--no-auth")
    own = manager.ready()
    service = start(manager, "--systemd")
    gateway = manager.ready(2)
    # thinking is a unit that runs; memory is none; the third party is the fleet's own.
    thinking = row(manager, "thinking")
    assert (thinking["owner"], thinking["state"], thinking["pid"]) == ("systemd", "ready", unit.pid)
    assert row(manager, "memory")["state"] == "parked"
    assert "omnimind systemd install" in row(manager, "memory")["reason"]
    assert (row(manager, "everything")["owner"], row(manager, "everything")["state"]) == ("omnimind", "ready")
    names = {psutil.Process(service.pid).name()} | {
        process.name() for process in psutil.Process(service.pid).children(recursive=True)
    }
    assert not [name for name in names if "thinking" in name or "memory" in name]
    made = gateway.call("thinking__sequentialthinking", **THOUGHT)["structuredContent"]["sessionId"]
    assert own.call("thinking_history", session_id=made)["structuredContent"]["history"]
    with pytest.raises(FleetError, match="kept by systemd"):
        fleet.ask(manager.state, {"cmd": "restart", "server": "thinking"})
    assert (
        "systemd keeps it"
        in fleet.ask(manager.state, {"cmd": "roll", "server": "thinking"})["kept"]["thinking"]
    )
    service.terminate()
    assert service.wait(20) == 0
    assert unit.poll() is None
    assert own.call("sequentialthinking", **THOUGHT)["structuredContent"]["sessionId"] != ""


def test_a_unit_that_was_killed_and_restarted_serves_again_and_calls_wait_for_it(manager: Manager) -> None:
    configure(manager, {"thinking": {}})
    start(manager, "--systemd")
    gateway = manager.ready()
    manager.listen("http")
    manager.listen("worker", "unix")
    unit = manager.start("serve", "thinking", "--no-auth")
    manager.ready(2)
    wait_until(lambda: row(manager, "thinking")["state"] == "ready", 10, "the unit is met")
    gateway.call("thinking__sequentialthinking", **THOUGHT)
    unit.kill()
    unit.wait()
    wait_until(lambda: row(manager, "thinking")["state"] != "ready", 10, "its end is seen")
    answers: list[Any] = []
    calling = threading.Thread(
        target=lambda: answers.append(gateway.call("thinking__sequentialthinking", **THOUGHT))
    )
    calling.start()
    again = manager.start("serve", "thinking", "--no-auth")
    calling.join()
    assert answers[0]["structuredContent"]["sessionId"]
    assert row(manager, "thinking")["pid"] == again.pid


def test_a_unit_that_was_stopped_is_left_alone_until_a_call_asks_for_it(manager: Manager) -> None:
    configure(manager, {"thinking": {}})
    manager.listen("http")
    worker = manager.listen("worker", "unix")
    unit = manager.start("serve", "thinking", "--no-auth")
    manager.ready()
    start(manager, "--systemd", passing=False)
    gateway = Endpoint(manager.ready(2).port, "/servers/thinking/mcp")
    assert row(manager, "thinking")["state"] == "ready"
    unit.terminate()
    assert unit.wait(20) == 0
    wait_until(lambda: row(manager, "thinking")["state"] == "parked", 15, "the fleet knows that it stopped")
    assert "systemctl --user start omnimind-mcp@thinking.service" in row(manager, "thinking")["reason"]
    worker.setblocking(False)
    with pytest.raises(BlockingIOError):
        worker.accept()  # nothing has knocked, so systemd would have started nothing
    answers: list[Any] = []
    calling = threading.Thread(target=lambda: answers.append(gateway.call("sequentialthinking", **THOUGHT)))
    calling.start()
    wait_until(lambda: knocked(worker), 15, "the call makes the fleet knock")
    manager.start("serve", "thinking", "--no-auth")  # what systemd does when somebody knocks
    calling.join()
    assert answers[0]["structuredContent"]["sessionId"]


def knocked(listener: socket.socket) -> bool:
    import select

    return bool(select.select([listener], [], [], 0)[0])


def test_a_unit_with_another_key_is_not_used_and_said_to_be(manager: Manager) -> None:
    configure(manager, {"thinking": {}})
    manager.start("serve", "thinking", "--port", "0", "--no-auth", "--state", str(manager.folder / "other"))
    manager.ready()
    start(manager, "--systemd")
    manager.ready(2)
    assert row(manager, "thinking")["state"] == "parked"
    assert "another state folder" in row(manager, "thinking")["reason"]


def test_a_unit_that_hangs_is_not_ready_and_is_again_when_it_answers(manager: Manager) -> None:
    configure(manager, {"thinking": {}}, orchestrator={"heartbeat_ms": 200})
    unit = manager.start("serve", "thinking", "--port", "0", "--no-auth")
    manager.ready()
    start(manager, "--systemd")
    manager.ready(2)
    unit.send_signal(signal.SIGSTOP)
    try:
        wait_until(lambda: row(manager, "thinking")["state"] != "ready", 10, "its silence is noticed")
        assert unit.poll() is None
    finally:
        unit.send_signal(signal.SIGCONT)
    wait_until(lambda: row(manager, "thinking")["state"] == "ready", 10, "it is met again")
    assert row(manager, "thinking")["pid"] == unit.pid


def test_status_says_which_servers_systemd_keeps(manager: Manager) -> None:
    configure(manager, {"thinking": {}, "plain": TINY})
    manager.start("serve", "thinking", "--port", "0", "--no-auth")
    manager.ready()
    start(manager, "--systemd", "--gateway-module=fake_gateway")
    manager.ready(2)
    command = [sys.executable, "-m", "omnimind", "status", "--state", str(manager.state)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    kinds = {
        line.split()[0]: line.split()[3]
        for line in said.splitlines()
        if line.startswith(("thinking", "plain"))
    }
    assert kinds == {"thinking": "unit", "plain": "stdio"}
