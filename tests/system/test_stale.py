"""What a run left that was killed whole: the next start ends it, and touches no stranger."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from omnimind.cli import leftovers
from omnimind.linux import proc
from omnimind.orchestrator import ledger
from tests.fleet import wait_until
from tests.system.double import PYTHON_PATH, doubled, is_ready, living, row, status, tiny, tree
from tests.system.leftovers import (
    breeder,
    decoy_command,
    end,
    fleet_of_breeders,
    kill_guard_and_orchestrator,
    wait_for_guard,
    wait_for_record,
)

ROUNDS = 10 if os.environ.get("OMNIMIND_FULL") else 1


@pytest.fixture
def offspring(tmp_path: Path) -> Path:
    return tmp_path / "offspring"


@pytest.fixture
def decoy() -> Iterator[proc.Proc]:
    stranger = subprocess.Popen(decoy_command(), stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert stranger.stdout is not None
        stranger.stdout.readline()
        found = proc.read(stranger.pid)
        assert found is not None
        yield found
    finally:
        stranger.kill()
        stranger.communicate()


def test_what_guard_and_orchestrator_left_when_both_were_killed_is_ended_by_the_next_start(
    offspring: Path,
) -> None:
    fleet = fleet_of_breeders(offspring).start()
    before = tree(fleet.pid)
    unmarked = {
        int(line) for line in offspring.read_text().split() if proc.variable(int(line), b"HOME") is None
    }
    assert unmarked
    try:
        wait_for_record(fleet, unmarked)
        kill_guard_and_orchestrator(fleet)
        fleet.stop()
        survivors = living(before)
        assert survivors, "a grandchild survives: without one this test shows nothing"
        with fleet:
            assert living(before) == set()
            assert is_ready(fleet, "daemon")
            assert "left by an earlier run" in fleet.said.read_text()
    finally:
        end(before)
    assert not (fleet.state / ledger.FILE).exists()


@pytest.mark.timeout(60 + 30 * ROUNDS)
def test_down_stale_ends_what_guard_and_orchestrator_left(offspring: Path, decoy: proc.Proc) -> None:
    fleet = fleet_of_breeders(offspring)
    for _ in range(ROUNDS):
        fleet.start()
        before = tree(fleet.pid)
        try:
            wait_for_record(fleet, {pid for pid, _ in before if proc.variable(pid, b"HOME") is None})
            kill_guard_and_orchestrator(fleet)
            fleet.stop()
            done = leftovers.clear(fleet.state)
            assert done.processes, "a grandchild survives: without one this test shows nothing"
            assert done.left == ()
            wait_until(lambda gone=before: not living(gone), 2, "nothing of it is left")  # type: ignore[misc]
            assert leftovers.look(fleet.state).processes == ()
            assert not list(fleet.state.rglob("*.sock"))
        finally:
            end(before)
    found = proc.read(decoy.pid)
    assert found is not None
    assert found.start_time == decoy.start_time


def test_a_stopped_orchestrator_whose_guard_was_killed_is_ended_by_the_next_start() -> None:
    fleet = doubled({"plain": tiny(port=0), "filesystem": {"port": 0}}).start()
    before = tree(fleet.pid)
    try:
        os.kill(status(fleet)["orchestrator"]["pid"], signal.SIGSTOP)
        os.kill(fleet.pid, signal.SIGKILL)
        wait_for_guard(fleet)
        fleet.stop()
        assert living(before)
        with fleet:
            assert living(before) == set()
            assert is_ready(fleet, "filesystem")
    finally:
        end(before)


def forge(state: Path, entry: ledger.Entry) -> None:
    """A record of an earlier run of this boot that names one process."""
    life = ledger.Life("0" * 32, proc.boot_id(), os.geteuid(), {(entry.pid, entry.start_time): entry})
    ledger.write(state / ledger.FILE, [life])


@pytest.mark.parametrize("wrong", ["start time", "program", "user", "boot"])
def test_a_stranger_that_has_a_recorded_pid_lives(decoy: proc.Proc, wrong: str) -> None:
    fleet = doubled({"plain": tiny()})
    program = proc.executable(decoy.pid)
    assert program is not None
    entry = ledger.Entry(
        decoy.pid,
        decoy.start_time - (wrong == "start time"),
        os.geteuid() + (wrong == "user"),
        (program[0], program[1] + (wrong == "program")),
    )
    fleet.state.mkdir(mode=0o700)
    forge(fleet.state, entry)
    if wrong == "boot":
        text = (fleet.state / ledger.FILE).read_text().replace(proc.boot_id(), "another")
        (fleet.state / ledger.FILE).write_text(text)
    with fleet:
        assert is_ready(fleet, "plain")
        assert "left by" not in fleet.said.read_text()
    found = proc.read(decoy.pid)
    assert found is not None
    assert found.start_time == decoy.start_time


def test_a_stranger_on_a_port_lives_while_leftovers_beside_it_are_ended(offspring: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        fleet = doubled({"daemon": breeder("daemon", offspring) | {"port": port}}).start()
        before = tree(fleet.pid)
        try:
            kill_guard_and_orchestrator(fleet)
            fleet.stop()
            with fleet:
                assert living(before) == set()
                assert f"port {port} is held by" in row(fleet, "daemon")["reason"]
        finally:
            end(before)
        socket.create_connection(("127.0.0.1", port), timeout=1).close()


def test_of_two_starts_at_the_same_instant_one_wins_and_stale_sockets_are_reused(tmp_path: Path) -> None:
    state = tmp_path / "state"
    (state / "run").mkdir(parents=True, mode=0o700)
    state.chmod(0o700)
    for name in ("control.sock", "run/filesystem.sock"):
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(state / name))
    config = tmp_path / "mcp_servers.json"
    config.write_text(json.dumps({"mcpServers": {"filesystem": {"port": 0}}}))
    command = [sys.executable, "-m", "omnimind.orchestrator", "--config", str(config), "--state", str(state)]
    command += ["--port", "0", "--no-auth"]
    environment = {**os.environ, "PYTHONPATH": str(PYTHON_PATH)}
    starts = [
        subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, start_new_session=True)
        for _ in range(2)
    ]
    try:
        wait_until(lambda: any(start.poll() is not None for start in starts), 30, "one of them gives up")
        loser = next(start for start in starts if start.poll() is not None)
        winner = next(start for start in starts if start is not loser)
        assert b"error[OM0202]" in loser.communicate()[1]
        wait_until(lambda: (state / "run.json").exists(), 30, "the other one is ready")
        assert json.loads((state / "run.json").read_text())["pid"] == winner.pid
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(str(state / "run" / "filesystem.sock"))
    finally:
        for start in starts:
            start.send_signal(signal.SIGTERM)
            start.communicate(timeout=20)
