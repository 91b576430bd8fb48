"""Stopping: exit code 0, reverse order, nothing left, however stubborn the children are."""

from __future__ import annotations

import json
import os
import pty
import signal
import stat
import sys
import threading
import time
from pathlib import Path

import pytest

from omnimind import cli
from omnimind.cli import fleet as control
from omnimind.errors import Exit
from tests.fleet import wait_until
from tests.system.double import (
    FIXTURES,
    PYTHON_PATH,
    doubled,
    identity,
    is_ready,
    living,
    row,
    status,
    tiny,
    tree,
)

STOP_S = 15.0
Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_guard_stops_all_and_exits_0(number: signal.Signals) -> None:
    fleet = doubled({"plain": tiny(), "filesystem": {"port": 0}}).start()
    process = fleet._process
    assert process is not None
    before = tree(fleet.pid)
    process.send_signal(number)
    assert process.wait(STOP_S) == 0
    assert living(before) == set()
    assert not (fleet.state / "run.json").exists()
    assert not list((fleet.state / "run").glob("*.sock"))
    fleet.stop()


def test_a_closed_terminal_stops_all(tmp_path: Path) -> None:
    config, state = tmp_path / "mcp_servers.json", tmp_path / "state"
    config.write_text(json.dumps({"mcpServers": {"plain": tiny()}}))
    command = [sys.executable, "-m", "omnimind.orchestrator", "--config", str(config), "--state", str(state)]
    command += ["--port", "0", "--no-auth", "--gateway-module", "fake_gateway"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(PYTHON_PATH), str(FIXTURES)])}
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(command[0], command, environment)
    try:
        wait_until(lambda: (state / "run.json").exists(), 30, "the fleet is ready")
        before = tree(pid) | {identity(pid)}
    finally:
        os.close(terminal)
    wait_until(lambda: not living(before), STOP_S, "all is gone")
    os.waitpid(pid, 0)


def test_the_stop_command_stops_all() -> None:
    fleet = doubled({"plain": tiny()}).start()
    process = fleet._process
    assert process is not None
    before = tree(fleet.pid)
    control.ask(fleet.state, {"cmd": "stop"})
    assert process.wait(STOP_S) == 0
    assert living(before) == set()
    fleet.stop()


@pytest.mark.parametrize("stopped", ["guard", "orchestrator"])
def test_down_now_ends_a_fleet_whose_processes_are_stopped(stopped: str, capsys: Capture) -> None:
    fleet = doubled({"plain": tiny()}).start()
    process = fleet._process
    assert process is not None
    before = tree(fleet.pid)
    os.kill(status(fleet)[stopped]["pid"], signal.SIGSTOP)
    reaping = threading.Thread(target=process.wait, daemon=True)  # as the guard's parent does anywhere else
    reaping.start()
    assert cli.main(["down", "--now", "--state", str(fleet.state)]) == Exit.OK
    reaping.join()
    assert living(before) == set()
    assert capsys.readouterr().err.endswith("stopped\n")
    fleet.stop()


def test_children_that_ignore_everything_and_their_grandchildren_are_gone_after_a_stop(
    tmp_path: Path,
) -> None:
    offspring = tmp_path / "offspring"
    stubborn = tiny("--stubborn", "--offspring", str(offspring))
    shell = {"command": "sh", "args": ["-c", " ".join([stubborn["command"], *stubborn["args"]]) + "; true"]}
    fleet = doubled({"stubborn": stubborn, "shelled": shell}).start()
    process = fleet._process
    assert process is not None
    before = tree(fleet.pid) | {identity(int(line)) for line in offspring.read_text().split()}
    process.send_signal(signal.SIGTERM)
    assert process.wait(STOP_S) == 0
    assert living(before) == set()
    fleet.stop()


@pytest.mark.roomy
def test_a_second_signal_hurries_a_stop_that_takes_long() -> None:
    fleet = doubled({"stubborn": tiny("--stubborn")}).start()
    process = fleet._process
    assert process is not None
    before = tree(fleet.pid)
    process.send_signal(signal.SIGTERM)
    wait_until(lambda: not (fleet.state / "run.json").exists(), 2, "it is stopping")
    began_s = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(STOP_S) == 0
    assert time.monotonic() - began_s < 2.5
    assert living(before) == set()
    fleet.stop()


def test_a_grandchild_of_a_crashed_server_does_not_outlive_it(tmp_path: Path) -> None:
    offspring = tmp_path / "offspring"
    with doubled({"breeder": tiny("--offspring", str(offspring))}) as fleet:
        grandchild = identity(int(offspring.read_text()))
        pid = row(fleet, "breeder")["pid"]
        assert living({grandchild})
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: is_ready(fleet, "breeder", not_pid=pid), 10, "it is ready again")
        assert not living({grandchild})


def test_what_the_fleet_writes_is_closed_to_others() -> None:
    with doubled({"filesystem": {"port": 0}}) as fleet:
        for name in ("run.json", "control.sock", "lock", "run/filesystem.sock", "logs/zygote.log"):
            path = fleet.state / name
            if path.exists():
                assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, name
