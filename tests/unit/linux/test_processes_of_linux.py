"""Identity before any signal: a pid that was reused, or has another start time, is never signalled."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from omnimind.linux import pidfd, proc, process
from omnimind.orchestrator.identity import Identity, own

SLEEP = [sys.executable, "-S", "-c", "import time; time.sleep(60)"]


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(SLEEP) as child:
        yield child
        child.kill()


def start_time(pid: int) -> int:
    found = proc.read(pid)
    assert found is not None
    return found.start_time


def test_a_signal_reaches_the_process_it_names(sleeper: subprocess.Popen[bytes]) -> None:
    assert pidfd.send(sleeper.pid, start_time(sleeper.pid), signal.SIGTERM)
    assert sleeper.wait(5) == -signal.SIGTERM


def test_another_start_time_is_another_process_and_is_left_alone(sleeper: subprocess.Popen[bytes]) -> None:
    assert not pidfd.send(sleeper.pid, start_time(sleeper.pid) - 1, signal.SIGKILL)
    assert sleeper.poll() is None


def test_a_gone_process_is_not_signalled(sleeper: subprocess.Popen[bytes]) -> None:
    began = start_time(sleeper.pid)
    sleeper.kill()
    sleeper.wait(5)
    assert not pidfd.send(sleeper.pid, began, signal.SIGKILL)
    assert proc.read(sleeper.pid) is None


def test_an_identity_of_another_boot_is_not_alive(sleeper: subprocess.Popen[bytes]) -> None:
    here = Identity.of(sleeper.pid)
    assert here is not None
    assert here.lives()
    elsewhere = Identity(here.pid, here.start_time, "00000000-0000-0000-0000-000000000000")
    assert not elsewhere.lives()
    assert not elsewhere.signal(signal.SIGKILL)
    assert sleeper.poll() is None


def test_a_zombie_does_not_live(sleeper: subprocess.Popen[bytes]) -> None:
    here = Identity.of(sleeper.pid)
    assert here is not None
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert not here.lives()


def test_own_is_this_process() -> None:
    assert own().pid == os.getpid()
    assert own().lives()


def test_names_with_spaces_and_parentheses_are_read() -> None:
    code = (
        "import sys; from omnimind.linux import process; process.set_name(') x (1 2');"
        "print('ok', flush=True); sys.stdin.read()"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as child:
        assert child.stdout is not None
        child.stdout.readline()
        found = proc.read(child.pid)
        assert found is not None
        assert (found.name, found.parent) == (") x (1 2", os.getpid())
        child.kill()


def test_descendants_are_all_below_and_never_the_root() -> None:
    def process_of(pid: int, parent: int) -> proc.Proc:
        return proc.Proc(pid, 0, parent, pid, "S", "x")

    scan = [process_of(*pair) for pair in [(1, 0), (2, 1), (3, 2), (4, 3), (5, 1), (6, 99)]]
    assert [p.pid for p in proc.descendants(2, scan)] == [3, 4]
    assert {p.pid for p in proc.descendants(1, scan)} == {2, 3, 4, 5}
    assert proc.descendants(7, scan) == []


def test_a_loop_in_a_torn_scan_ends() -> None:
    torn = [proc.Proc(2, 0, 3, 2, "S", "x"), proc.Proc(3, 0, 2, 3, "S", "x")]
    assert {p.pid for p in proc.descendants(2, torn)} == {3}


def test_a_child_whose_parent_died_before_it_could_tie_itself_knows() -> None:
    assert not process.die_with_parent(os.getppid() + 1_000_000, 0)
    assert process.die_with_parent(os.getppid(), 0)


def test_an_environment_entry_is_found_whole_or_not_at_all() -> None:
    command = [sys.executable, "-S", "-c", "print('ok', flush=True); import time; time.sleep(60)"]
    with subprocess.Popen(command, env={"MARK": "abc"}, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert proc.environment_has(child.pid, b"MARK=abc")
        assert not proc.environment_has(child.pid, b"MARK=ab")
        child.kill()
