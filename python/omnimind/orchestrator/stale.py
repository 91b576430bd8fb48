"""What earlier runs of this state folder left running: found, proven to be ours, and ended.

A process is ours if its environment bears the mark of a run on record, or if it lives in that run's control
group, or if it is entered there by pid, start time, user and program, all unchanged since; and what is below
such a process is ours too. Nothing else
is touched: a pid that was given to somebody else fails the start time, and a forged or mistaken entry fails
the program. Nothing is adopted: what an earlier run left is ended before anything new starts.

Everything that is found is stopped before it is looked for once more and killed, so that nothing can fork away
between the look and the signal.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from omnimind.linux import pidfd, proc
from omnimind.linux.cgroup import Group
from omnimind.linux.proc import Proc
from omnimind.orchestrator import ledger
from omnimind.orchestrator.ledger import Key, Life

PATIENCE_S = 3.0
_PAUSE_S = 0.005
_LAST_LOOK_S = 1.0

Proof = Literal["mark", "group", "record", "parent"]


@dataclass(frozen=True, slots=True)
class Leftover:
    """A process of an earlier run, and what proves it."""

    pid: int
    start_time: int
    name: str
    proof: Proof


@dataclass(frozen=True, slots=True)
class Ended:
    """What was ended, and what withstood: another user's, or stuck in the kernel."""

    gone: tuple[Leftover, ...]
    left: tuple[Leftover, ...]


def earlier(state_dir: Path, own_mark: str | None = None) -> list[Life]:
    """The runs of this boot on record, but not the one that goes on now."""
    return [life for life in ledger.of_this_boot(ledger.read(state_dir)) if life.mark != own_mark]


def find(lives: Sequence[Life], roots: Sequence[int]) -> list[Leftover]:
    """What these runs left. Never what is above one of `roots`, these, or what is below them."""
    if not lives:
        return []
    processes = [process for process in proc.scan() if process.state != "Z"]
    spared = {1}
    for root in roots:
        spared |= proc.ancestors(root) | {root}
        spared |= {process.pid for process in proc.descendants(root, processes)}
    grouped = {pid for group in _groups(lives) for pid in group.pids()}
    proven: dict[int, Leftover] = {}
    oldest = min(min((start for _, start in life.processes), default=0) for life in lives)
    for process in processes:
        if process.start_time < oldest:
            continue  # older than the guard of every one of these runs
        if process.pid not in spared and (proof := _proof(process, lives, grouped)) is not None:
            proven[process.pid] = Leftover(process.pid, process.start_time, process.name, proof)
    for root in list(proven):
        for process in proc.descendants(root, processes):
            if process.pid not in spared and process.pid not in proven:
                proven[process.pid] = Leftover(process.pid, process.start_time, process.name, "parent")
    return list(proven.values())


def _groups(lives: Iterable[Life]) -> list[Group]:
    return [Group(Path(path)) for path in {life.group for life in lives if life.group is not None}]


def _proof(process: Proc, lives: Iterable[Life], grouped: AbstractSet[int]) -> Proof | None:
    if process.pid in grouped and _same(process):
        return "group"
    value = proc.variable(process.pid, ledger.MARK.encode())
    for life in lives:
        if value is not None and life.owns_mark(value) and _same(process):
            return "mark"
        entry = life.processes.get((process.pid, process.start_time))
        if (
            entry is not None
            and entry.executable is not None
            and entry.executable == proc.executable(process.pid)
            and entry.uid == proc.uid(process.pid)
            and _same(process)
        ):
            return "record"
    return None


def _same(process: Proc) -> bool:
    """True if the pid still is this process, after its files were read by pid."""
    found = proc.read(process.pid)
    return found is not None and found.start_time == process.start_time


def end_once(lives: Sequence[Life], roots: Sequence[int]) -> list[Leftover]:
    """Stop all that is found, look again, kill; what was met. Repeat until nothing is."""
    for left in (first := find(lives, roots)):
        pidfd.send(left.pid, left.start_time, signal.SIGSTOP)
    if not first:
        return []
    met: dict[Key, Leftover] = {(left.pid, left.start_time): left for left in first}
    met |= {(left.pid, left.start_time): left for left in find(lives, roots)}
    pids = {pid for pid, _ in met}
    for group in _groups(lives):
        if set(group.pids()) <= pids:
            group.kill()  # whatever forks meanwhile is in it too
    for left in met.values():
        pidfd.send(left.pid, left.start_time, signal.SIGKILL)
    return list(met.values())


def end_all(lives: Sequence[Life], roots: Sequence[int], patience_s: float = PATIENCE_S) -> Ended:
    """End everything that these runs left; blocks until it is gone, or cannot be ended in time."""
    met: dict[Key, Leftover] = {}
    until_s = time.monotonic() + patience_s
    while found := end_once(lives, roots):
        met |= {(left.pid, left.start_time): left for left in found}
        if time.monotonic() > until_s:
            break
        time.sleep(_PAUSE_S)
    until_s = time.monotonic() + _LAST_LOOK_S
    while (left := [each for each in met.values() if _lives(each)]) and time.monotonic() < until_s:
        time.sleep(_PAUSE_S)
    gone = [each for each in met.values() if each not in left]
    return Ended(tuple(gone), tuple(left))


def _lives(left: Leftover) -> bool:
    found = proc.read(left.pid)
    return found is not None and found.start_time == left.start_time and found.state != "Z"


def forget(state_dir: Path, lives: Iterable[Life]) -> None:
    """Nothing of earlier runs is left: drop their groups and the record. The caller holds the folder's lock."""
    for group in _groups(lives):
        group.remove()
    (state_dir / ledger.FILE).unlink(missing_ok=True)
