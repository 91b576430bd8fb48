"""What is proven to be an earlier run's is ended, and told apart from what withstood."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator

import pytest
from fleet import wait_until

from omnimind.linux import pidfd, proc
from omnimind.orchestrator import ledger, stale
from omnimind.orchestrator.ledger import Entry, Life

MARK = "f" * 32


@pytest.fixture
def orphan() -> Iterator[proc.Proc]:
    """A process that bears a mark and is not below this one; it has a child without any environment."""
    line = "(env -i sleep 600 > /dev/null 2>&1; true) > /dev/null 2>&1 & echo $!"
    environment = {**os.environ, ledger.MARK: f"{MARK}.1"}
    pid = int(subprocess.check_output(["sh", "-c", line], env=environment, start_new_session=True))
    found = proc.read(pid)
    assert found is not None
    wait_until(
        lambda: [process.name for process in proc.below(pid)] == ["sleep"], 10, "the child has its program"
    )
    yield found
    for process in [*proc.below(pid), found]:
        pidfd.send(process.pid, process.start_time, signal.SIGKILL)


def life(mark: str = MARK, **processes: Entry) -> Life:
    entered = {(entry.pid, entry.start_time): entry for entry in processes.values()}
    return Life(mark, proc.boot_id(), os.geteuid(), entered)


def found(lives: list[Life], *roots: int) -> dict[int, str]:
    return {left.pid: left.proof for left in stale.find(lives, roots or [os.getpid()])}


def test_a_mark_and_what_is_below_it_is_found(orphan: proc.Proc) -> None:
    below = {process.pid: "parent" for process in proc.below(orphan.pid)}
    assert found([life()]) == {orphan.pid: "mark"} | below


@pytest.mark.parametrize("mark", ["f" * 31, "f" * 33, "", "e" * 32])
def test_another_mark_is_nobodys(orphan: proc.Proc, mark: str) -> None:
    assert found([life(mark)]) == {}


def test_an_entry_without_a_known_program_proves_nothing(orphan: proc.Proc) -> None:
    uid = proc.uid(orphan.pid)
    assert uid is not None
    known = Entry(orphan.pid, orphan.start_time, uid, proc.executable(orphan.pid))
    assert orphan.pid in found([life("e" * 32, of=known)])
    for wrong in (
        Entry(orphan.pid, orphan.start_time, uid, None),
        Entry(orphan.pid, orphan.start_time, uid, (0, 0)),
        Entry(orphan.pid, orphan.start_time, uid + 1, known.executable),
        Entry(orphan.pid, orphan.start_time + 1, uid, known.executable),
    ):
        assert found([life("e" * 32, of=wrong)]) == {}


def test_the_tree_of_a_spared_root_and_what_is_above_it_is_left_alone(orphan: proc.Proc) -> None:
    assert found([life()], orphan.pid) == {}
    for child in proc.below(orphan.pid):
        assert orphan.pid not in found([life()], child.pid)


def test_what_was_ended_is_not_called_left_however_short_the_patience(orphan: proc.Proc) -> None:
    ended = stale.end_all([life()], [os.getpid()], patience_s=0.0)
    assert orphan.pid in {left.pid for left in ended.gone}
    assert ended.left == ()
    assert found([life()]) == {}


def test_without_a_run_on_record_nothing_is_looked_for() -> None:
    assert stale.end_all([], [os.getpid()]) == stale.Ended((), ())
