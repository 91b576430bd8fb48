"""What a server may use, whom it runs as, and that nothing of it survives it."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import secrets
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from omnimind.linux import cgroup, landlock, seccomp
from tests.fleet import Fleet, wait_until
from tests.system.double import ask, doubled, status
from tests.system.worker_process import WorkerProcess, connected

CONFINED = Path(__file__).with_name("confined_worker.py")
UNRULY = Path(__file__).with_name("unruly_server.py")
LIST = {"jsonrpc": "2.0", "id": 4_294_967_298, "method": "tools/list"}
ROOT = os.geteuid() == 0


def unruly(*arguments: object, **keys: Any) -> dict[str, Any]:
    return {
        "command": sys.executable,
        "args": ["-S", str(UNRULY), *(str(argument) for argument in arguments)],
        **keys,
    }


def row(fleet: Fleet, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(row for row in status(fleet)["servers"] if row["name"] == name)
    return found


def call(fleet: Fleet, server: str) -> dict[str, Any]:
    return ask(fleet, {"do": "call", "server": server, "principal": "local", "era": "any", "message": LIST})


def test_limits_reach_the_process(tmp_path: Path) -> None:
    file = tmp_path / "told"
    resources = {"memory_mb": 300, "open_files": 99, "processes": 40, "cpu_weight": 50}
    with doubled({"teller": unruly("tell", file, resources=resources)}):
        told = json.loads(file.read_text())
    assert told["RLIMIT_NOFILE"] == 99
    assert told["death_signal"] == 9
    if "memory" not in controllers():
        assert told["RLIMIT_DATA"] == (300 + 512) * 1024 * 1024
        assert told["RLIMIT_NPROC"] > 40
        assert told["nice"] == 3


def controllers() -> frozenset[str]:
    own = cgroup.own()
    return own.controllers() if own is not None else frozenset()


def test_a_server_over_its_memory_is_ended_with_the_figures_and_others_are_not() -> None:
    servers = {
        "hoarder": unruly("hoard", 200, resources={"memory_mb": 100}),
        "other": unruly("hoard", 1),
    }
    with doubled(servers) as fleet:
        first, other = row(fleet, "hoarder")["pid"], row(fleet, "other")["pid"]
        call(fleet, "hoarder")
        wait_until(lambda: row(fleet, "hoarder")["pid"] not in (first, None), 20, "it was replaced")
        said = (fleet.state / "logs" / "orchestrator.log").read_text()
        assert row(fleet, "other")["pid"] == other
    assert not psutil.pid_exists(first)
    assert "MB of the 100 MB allowed" in said or "killed for memory" in said


def test_a_process_that_hides_from_its_server_ends_with_it(tmp_path: Path) -> None:
    if cgroup.refusal(cgroup.own()) is not None:
        pytest.skip(f"no control groups here: {cgroup.refusal(cgroup.own())}")
    file = tmp_path / "pid"
    with doubled({"litterer": unruly("litter", file)}) as fleet:
        wait_until(lambda: file.exists() and file.read_text() != "", 20, "it has left a process")
        left = psutil.Process(int(file.read_text()))
        assert left.ppid() != row(fleet, "litterer")["pid"]
        os.kill(row(fleet, "litterer")["pid"], 9)
        wait_until(lambda: not left.is_running() or left.status() == "zombie", 10, "the process is gone")


def test_the_next_run_ends_what_two_kills_at_once_have_left(tmp_path: Path) -> None:
    if cgroup.refusal(cgroup.own()) is not None:
        pytest.skip(f"no control groups here: {cgroup.refusal(cgroup.own())}")
    file = tmp_path / "pid"
    fleet = doubled({"litterer": unruly("litter", file)})
    with fleet:
        wait_until(lambda: file.exists() and file.read_text() != "", 20, "it has left a process")
        left = psutil.Process(int(file.read_text()))
        killed = [psutil.Process(pid) for pid in (status(fleet)["orchestrator"]["pid"], fleet.pid)]
        for process in killed:
            process.suspend()
        for process in killed:
            process.kill()
        psutil.wait_procs(killed, timeout=10)
        fleet.stop()
        assert left.is_running(), "nobody was left to end it"
        file.unlink()
        (fleet.state / "run.json").unlink()
        fleet.start()
        wait_until(lambda: not left.is_running() or left.status() == "zombie", 10, "the process is gone")


def test_the_groups_are_gone_when_the_fleet_is() -> None:
    own = cgroup.own()
    if own is None or cgroup.refusal(own) is not None:
        pytest.skip(f"no control groups here: {cgroup.refusal(own)}")
    with doubled({"teller": unruly("tell", os.devnull), "thinking": {"port": 0}}) as fleet:
        folder = own.path / cgroup.name_of(fleet.state)
        members = {name: cgroup.Group(folder / name).pids() for name in ("teller", "thinking")}
        assert members == {name: [row(fleet, name)["pid"]] for name in members}
    assert not folder.exists()


@contextmanager
def confined(state: Path, secret: Path, *args: str) -> Iterator[WorkerProcess]:
    """A thinking worker whose one tool tries to get out."""
    address, key = str(state / "confined.sock"), secrets.token_bytes(32)
    read, write = os.pipe()
    os.write(write, key)
    os.close(write)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        numbers = [str(listener.fileno()), str(read)]
        command = [sys.executable, str(CONFINED), "thinking", *numbers, str(state), str(secret), "--", *args]
        process = subprocess.Popen(command, pass_fds=(listener.fileno(), read))
    os.close(read)
    with WorkerProcess(process, address, key).closing() as running:
        yield running


def test_a_worker_can_reach_only_what_is_its_own(tmp_path: Path) -> None:
    if landlock.abi() == 0 or not seccomp.available():
        pytest.skip(f"Landlock ABI {landlock.abi()}, seccomp {seccomp.available()}")
    state, outside = tmp_path / "state", tmp_path / "outside"
    state.mkdir()
    outside.mkdir()
    secret = outside / "secret"
    secret.write_text("untouched")
    (state / "key").write_text("secret")

    async def ask_it() -> dict[str, str]:
        with confined(state, secret) as running:
            async with connected(running) as peer:
                answer = await peer.call("attempt")
        said: dict[str, str] = json.loads(answer["content"][0]["text"])
        return said

    said = asyncio.run(ask_it())
    own = {"write its own", "read its own", "run a thread", "import", "signal itself"}
    assert {what for what, how in said.items() if how == "done"} - own == (
        set() if landlock.abi() >= 6 else {"signal another process"}
    )
    assert {what: said[what] for what in own} == dict.fromkeys(own, "done")
    assert {said[what] for what in ("execute", "fork", "connect", "trace", "new namespace")} == {"EPERM"}
    assert secret.read_text() == "untouched"


@pytest.mark.skipif(not ROOT, reason="only root may become another user")
def test_another_user_has_nothing_of_ours(tmp_path: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    folder = tmp_path
    while folder != folder.parent:  # it has to get there
        folder.chmod(folder.stat().st_mode | stat.S_IXOTH)
        folder = folder.parent
    home = tmp_path / "theirs"
    home.mkdir()
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    interpreter = "/usr/bin/python3"
    if not Path(interpreter).exists():
        pytest.skip("no interpreter that another user may run")
    script = home / "unruly_server.py"
    script.write_text(UNRULY.read_text())
    entry = {"command": interpreter, "args": [str(script), "tell", str(home / "told")], "user": "nobody"}
    with doubled({"theirs": {**entry, "resources": {"open_files": 64}}}) as fleet:
        told = json.loads((home / "told").read_text())
        ours = (fleet.state, fleet.state / "control.sock")
        assert not any(path.exists() and path.stat().st_mode & 0o007 for path in ours)
    assert told["uid"] == [nobody.pw_uid] * 3
    assert told["gid"] == [nobody.pw_gid] * 3
    assert told["groups"] == []
    assert told["death_signal"] == 9
    assert told["RLIMIT_NOFILE"] == 64
