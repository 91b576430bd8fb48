"""`omnimind down --stale`: what is ours goes, what is not is named and stays."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from omnimind import cli
from omnimind.cli import leftovers
from omnimind.errors import Exit
from omnimind.linux import pidfd, proc
from omnimind.orchestrator import ledger

Capture = pytest.CaptureFixture[str]
MARK = "a" * 32
ORPHAN = "sleep 600 > /dev/null 2>&1 & echo $!"


@pytest.fixture
def ports(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The ports looked at are one that this test holds."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        monkeypatch.setattr(leftovers, "PORTS", range(port, port + 1))
        yield held


@pytest.fixture
def marked() -> Iterator[proc.Proc]:
    """An orphan that bears the mark of a run."""
    environment = {**os.environ, ledger.MARK: f"{MARK}.1"}
    pid = int(subprocess.check_output(["sh", "-c", ORPHAN], env=environment, start_new_session=True))
    found = proc.read(pid)
    assert found is not None
    yield found
    pidfd.send(found.pid, found.start_time, signal.SIGKILL)


def lives(process: proc.Proc) -> bool:
    found = proc.read(process.pid)
    return found is not None and found.start_time == process.start_time and found.state != "Z"


def record(state: Path, mark: str = MARK, guard: tuple[int, int] | None = None) -> None:
    processes = {} if guard is None else {guard: ledger.Entry(*guard, os.geteuid(), None)}
    ledger.write(state / ledger.FILE, [ledger.Life(mark, proc.boot_id(), os.geteuid(), processes)])
    (state / "lock").touch(mode=0o600)


def test_what_an_earlier_run_left_is_ended_and_its_sockets_removed(
    state: Path, ports: socket.socket, marked: proc.Proc, capsys: Capture
) -> None:
    record(state)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(state / "control.sock"))
    with socket.socket(socket.AF_UNIX) as living:
        living.bind(str(state / "run" / "memory.sock"))
        living.listen()
        assert cli.main(["down", "--stale", "--json"]) == Exit.OK
        assert (state / "run" / "memory.sock").exists()
    assert not lives(marked)
    done = json.loads(capsys.readouterr().out)
    assert [(left["pid"], left["proof"]) for left in done["processes"]] == [(marked.pid, "mark")]
    assert done["sockets"] == [str(state / "control.sock")]
    assert done["strangers"] == [
        {"port": ports.getsockname()[1], "pid": os.getpid(), "name": proc.read(os.getpid()).name}  # type: ignore[union-attr]
    ]
    assert not (state / ledger.FILE).exists()
    socket.create_connection(ports.getsockname(), timeout=1).close()


def test_another_runs_mark_is_nobody_of_ours(
    state: Path, ports: socket.socket, marked: proc.Proc, capsys: Capture
) -> None:
    record(state, mark="b" * 32)
    assert cli.main(["down", "--stale"]) == Exit.OK
    assert lives(marked)
    out = capsys.readouterr().out
    assert "nothing is left of earlier runs" in out
    assert f"(pid {os.getpid()}), which is not this fleet's: left alone" in out


def test_a_fleet_that_runs_is_spared(
    state: Path, ports: socket.socket, marked: proc.Proc, capsys: Capture
) -> None:
    own = proc.read(os.getpid())
    assert own is not None
    record(state, guard=(own.pid, own.start_time))
    with (state / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(f"{own.pid} {own.start_time}\n")
        lock.flush()
        assert cli.main(["down", "--stale"]) == Exit.OK
    assert lives(marked)
    out = capsys.readouterr().out
    assert f"a fleet runs here (pid {own.pid})" in out
    assert "left alone" not in out  # the port is the fleet's own
    assert (state / ledger.FILE).exists()


def test_looking_changes_nothing(state: Path, ports: socket.socket, marked: proc.Proc) -> None:
    record(state)
    found = leftovers.look(state)
    assert [left.pid for left in found.processes] == [marked.pid]
    assert lives(marked)
    assert (state / ledger.FILE).exists()


def test_it_works_without_a_state_folder_and_with_a_broken_configuration(
    tmp_path: Path, ports: socket.socket, capsys: Capture
) -> None:
    assert cli.main(["down", "--stale", "--state", str(tmp_path / "none")]) == Exit.OK
    assert "nothing is left of earlier runs" in capsys.readouterr().out
    assert not (tmp_path / "none").exists()
