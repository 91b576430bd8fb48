"""The record of what was started: what of it survives, and what of it is believed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from omnimind.linux import proc
from omnimind.orchestrator import ledger
from omnimind.orchestrator.ledger import Entry, Ledger, Life
from tests.fleet import wait_until

MARK = "d" * 32


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def child() -> Iterator[proc.Proc]:
    """A process below this one, without a mark."""
    command = [sys.executable, "-S", "-c", "print(flush=True); import time; time.sleep(600)"]
    environment = {name: value for name, value in os.environ.items() if name != ledger.MARK}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = proc.read(process.pid)
        assert found is not None
        yield found
        process.kill()


def only(state: Path) -> Life:
    (life,) = ledger.read(state)
    return life


def test_a_run_is_on_record_before_it_starts_anything(state: Path) -> None:
    Ledger(state, MARK, group="/sys/fs/cgroup/x")
    life = only(state)
    assert (life.mark, life.boot_id, life.uid) == (MARK, proc.boot_id(), os.geteuid())
    assert life.group == "/sys/fs/cgroup/x"
    assert {pid for pid, _ in life.processes} == {os.getpid(), os.getppid()}
    assert (state / ledger.FILE).stat().st_mode & 0o777 == 0o600


def test_what_starts_is_entered_and_what_ends_is_not_kept(state: Path, child: proc.Proc) -> None:
    record = Ledger(state, MARK)
    record.started(child.pid, child.start_time)
    entry = only(state).processes[child.pid, child.start_time]
    assert entry == Entry(child.pid, child.start_time, os.getuid(), proc.executable(child.pid))
    record.ended(child.pid, child.start_time)
    assert (child.pid, child.start_time) not in only(state).processes


def test_a_pid_that_is_somebody_else_by_now_is_not_entered(state: Path, child: proc.Proc) -> None:
    Ledger(state, MARK).started(child.pid, child.start_time - 1)
    assert child.pid not in {pid for pid, _ in only(state).processes}


def test_looking_around_enters_what_runs_below_without_the_mark(state: Path, child: proc.Proc) -> None:
    record = Ledger(state, MARK)
    record.look_around()
    assert (child.pid, child.start_time) in only(state).processes
    os.kill(child.pid, 9)
    os.waitpid(child.pid, 0)
    record.look_around()
    assert (child.pid, child.start_time) not in only(state).processes


def test_what_bears_the_mark_needs_no_entry(state: Path) -> None:
    environment = {**os.environ, ledger.MARK: f"{MARK}.7"}
    with subprocess.Popen(["sleep", "600"], env=environment) as process:
        wait_until(lambda: proc.variable(process.pid, ledger.MARK.encode()) is not None, 5, "it is executed")
        Ledger(state, MARK).look_around()
        assert process.pid not in {pid for pid, _ in only(state).processes}
        process.kill()


def test_a_line_cut_short_spoils_neither_those_before_nor_those_after(state: Path, child: proc.Proc) -> None:
    record = Ledger(state, MARK)
    with (state / ledger.FILE).open("ab") as file:
        file.write(b'\n{"started": [12')
    record.started(child.pid, child.start_time)
    assert (child.pid, child.start_time) in only(state).processes
    assert (os.getpid(), _start(os.getpid())) in only(state).processes


def _start(pid: int) -> int:
    found = proc.read(pid)
    assert found is not None
    return found.start_time


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        '{"run": 1}',
        '{"started": [1, 2], "uid": 0, "exe": null}',
        '{"ended": "x"}',
        "\xff",
        "[" * 100_000,
        '{"run": "m", "boot": "b", "uid": "x"}',
    ],
)
def test_a_damaged_record_proves_nothing_and_breaks_nothing(state: Path, text: str) -> None:
    (state / "run").mkdir()
    (state / ledger.FILE).write_text(text)
    (state / ledger.FILE).chmod(0o600)
    assert ledger.read(state) == []


def test_a_record_that_others_could_write_is_not_believed(state: Path) -> None:
    Ledger(state, MARK)
    (state / ledger.FILE).chmod(0o622)
    assert ledger.read(state) == []


def test_a_link_in_its_place_is_not_followed(state: Path) -> None:
    Ledger(state, MARK)
    (state / ledger.FILE).rename(state / "elsewhere")
    (state / ledger.FILE).symlink_to(state / "elsewhere")
    assert ledger.read(state) == []


def test_the_record_of_a_long_run_stays_small(state: Path, child: proc.Proc) -> None:
    record = Ledger(state, MARK)
    for _ in range(4000):
        record.started(child.pid, child.start_time)
        record.ended(child.pid, child.start_time)
    assert (state / ledger.FILE).stat().st_size <= 256 * 1024
    record.started(child.pid, child.start_time)
    assert (child.pid, child.start_time) in only(state).processes


def test_a_run_that_left_nothing_leaves_no_record_but_what_withstood_before_it_stays(state: Path) -> None:
    Ledger(state, MARK).close()
    assert not (state / ledger.FILE).exists()
    stubborn = Life("e" * 32, proc.boot_id(), os.geteuid())
    Ledger(state, MARK, [stubborn]).close()
    assert only(state) == stubborn


def test_a_disk_that_refuses_costs_the_record_and_not_the_run(state: Path, child: proc.Proc) -> None:
    (state / "run").write_text("in the way")
    record = Ledger(state, MARK)
    record.started(child.pid, child.start_time)
    record.ended(child.pid, child.start_time)
    record.close()
    assert ledger.read(state) == []
