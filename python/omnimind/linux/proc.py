"""What `/proc` says of processes: identity, parents, sessions.

Rule: a pid alone names nobody. A process is (pid, start time), the pair that the kernel never gives twice
within one boot; `pidfd.send` asks for both before it signals.
Cost: a scan reads one small file a process, ~20 µs each.
"""

from __future__ import annotations

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
