"""What `/proc` says of processes: identity, parents, sessions.

Rule: a pid alone names nobody. A process is (pid, start time), the pair that the kernel never gives twice
within one boot; `pidfd.send` asks for both before it signals.
Cost: a scan reads one small file a process, ~20 µs each.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from typing import NamedTuple


class Proc(NamedTuple):
    """One process as `/proc/<pid>/stat` told it. `start_time` is in clock ticks since boot."""

    pid: int
    start_time: int
    parent: int
    session: int
    state: str
    name: str


def read(pid: int) -> Proc | None:
    """The process of this pid, zombies included, or None."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return None
    name_end = text.rfind(")")
    fields = text[name_end + 2 :].split()
    if name_end < 0 or len(fields) < 20:
        return None
    return Proc(
        pid=pid,
        start_time=int(fields[19]),
        parent=int(fields[1]),
        session=int(fields[3]),
        state=fields[0],
        name=text[text.find("(") + 1 : name_end],
    )


def scan() -> list[Proc]:
    """Every process that this one may see."""
    found = (read(int(entry)) for entry in os.listdir("/proc") if entry.isdigit())
    return [process for process in found if process is not None]


def descendants(root: int, processes: Iterable[Proc]) -> list[Proc]:
    """All below `root` in this scan, parents before children; `root` itself is not among them."""
    children: dict[int, list[Proc]] = {}
    for process in processes:
        children.setdefault(process.parent, []).append(process)
    found: list[Proc] = []
    met = {root}  # pids may be reused while the scan runs: what it shows need not be a tree
    waiting = [root]
    while waiting:
        for child in children.get(waiting.pop(), ()):
            if child.pid not in met:
                met.add(child.pid)
                found.append(child)
                waiting.append(child.pid)
    return found


def below(root: int) -> list[Proc]:
    """All below `root`, asked process by process instead of by a scan of the whole machine.

    Cheaper where the machine is busy and `root` has few descendants. Best effort: a child that is born or
    changes its parent meanwhile may be missed.
    """
    found: list[Proc] = []
    met = {root}
    waiting = [root]
    while waiting:
        for pid in _children(waiting.pop()):
            child = read(pid) if pid not in met else None
            if child is not None:
                met.add(pid)
                found.append(child)
                waiting.append(pid)
    return found


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                found += map(int, file.read().split())
    return found


def ancestors(pid: int) -> set[int]:
    """The pids above `pid`, up to the first process."""
    found: set[int] = set()
    current = read(pid)
    while current is not None and current.parent and current.parent not in found:
        found.add(current.parent)
        current = read(current.parent)
    return found


def uid(pid: int) -> int | None:
    """The real user of a process; unlike the owner of its `/proc` folder it tells also of hidden ones."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/status", "rb") as file:
        for line in file:
            if line.startswith(b"Uid:"):
                return int(line.split()[1])
    return None


def executable(pid: int) -> tuple[int, int] | None:
    """Device and inode of the program that a process runs; None if this user may not know."""
    try:
        found = os.stat(f"/proc/{pid}/exe")
    except OSError:
        return None
    return found.st_dev, found.st_ino


def variable(pid: int, name: bytes) -> bytes | None:
    """A variable of the environment that `pid` was executed with; None without it, or if hidden."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            entries = file.read().split(b"\0")
    except OSError:
        return None
    return next((entry[len(name) + 1 :] for entry in entries if entry.startswith(name + b"=")), None)


def environment_has(pid: int, entry: bytes) -> bool:
    """True if the environment that `pid` was executed with holds this `NAME=value`."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return entry in file.read().split(b"\0")
    except OSError:
        return False


def boot_id() -> str:
    """The kernel's name for this boot."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()
