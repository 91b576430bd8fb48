"""What a process costs, read from /proc."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")


def children(pid: int) -> list[int]:
    """The children of every thread of a process."""
    found: list[int] = []
    for task in (PROC / str(pid) / "task").iterdir():
        found += [int(word) for word in (task / "children").read_text().split()]
    return found


def family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    found = [pid]
    for one in found:
        try:
            found += children(one)
        except OSError:
            continue
    return found


def command_line(pid: int) -> list[str]:
    return (PROC / str(pid) / "cmdline").read_text().rstrip("\0").split("\0")


class Scheduled(NamedTuple):
    """What the scheduler gave to the living threads of processes, and how long it let them wait."""

    cpu_s: float
    waited_s: float
    """Ready to run, and not run."""
    runs: int


def scheduled(pids: list[int]) -> Scheduled:
    """Since they began, to the nanosecond."""
    sums = [0, 0, 0]
    for pid in pids:
        for task in (PROC / str(pid) / "task").iterdir():
            try:
                words = (task / "schedstat").read_text().split()
            except OSError:
                continue
            sums = [before + int(word) for before, word in zip(sums, words, strict=True)]
    return Scheduled(sums[0] / 1e9, sums[1] / 1e9, sums[2])


def cpu_s(pids: list[int]) -> float:
    """CPU time of all living threads of these processes, to the nanosecond."""
    return scheduled(pids).cpu_s


def machine_ns() -> tuple[int, int]:
    """What all processors did so far, and what they could have done; time that a hypervisor took away was done."""
    fields = [int(word) for word in (PROC / "stat").read_text().split("\n", 1)[0].split()[1:9]]
    idle = fields[3] + fields[4]
    tick_ns = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    return (sum(fields) - idle) * tick_ns, sum(fields) * tick_ns


def spent_ns(pids: list[int]) -> int:
    """CPU time of these processes and of their children that have ended, by the clock's ticks (10 ms)."""
    ticks = 0
    for pid in pids:
        try:
            # After the name in brackets, which may hold anything: own time in user and kernel mode, and the children's.
            fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += sum(map(int, fields[11:15]))
    return ticks * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def pss_mb(pid: int) -> float:
    """Memory of a process; pages shared with n others count 1/n."""
    for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"no Pss of process {pid}")


def has_mapped(pid: int, library: str) -> bool:
    """Whether a file of this name is loaded."""
    return library in (PROC / str(pid) / "maps").read_text()
