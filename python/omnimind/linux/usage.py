"""What a process uses: processor time, time spent waiting for a processor, memory of its own.

All of it is read from `/proc`; None stands for a process that is gone or a file that is not for us.
Cost: `schedstat` and `statm` ~15 µs each, `smaps_rollup` ~1 ms for a process of 50 MB.
"""

from __future__ import annotations

import os
from typing import NamedTuple

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Times(NamedTuple):
    """Seconds that a process's first thread ran, and seconds that it was ready to run but had to wait."""

    ran_s: float
    waited_s: float


def times(pid: int) -> Times | None:
    """What the scheduler says of a process."""
    try:
        with open(f"/proc/{pid}/schedstat", "rb") as file:
            ran_ns, waited_ns, *_ = file.read().split()
        return Times(int(ran_ns) / 1e9, int(waited_ns) / 1e9)
    except (OSError, ValueError):
        return None


def private_bytes(pid: int, inherited_bytes: int = 0) -> int | None:
    """Memory that only this process has, swapped pages included.

    `smaps_rollup` tells it exactly, but not of a process that hides its memory, unless we are root. Then it is
    what the process has beyond the pages that its parent had when it forked: those are still shared, or were
    replaced one by one.
    """
    exact = _exact_bytes(pid)
    if exact is not None:
        return exact
    found = anonymous_bytes(pid)
    return None if found is None else max(0, found - inherited_bytes)


def anonymous_bytes(pid: int) -> int | None:
    """Resident pages of a process that are no file's, shared ones included."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            _, resident, shared, *_ = file.read().split()
        return (int(resident) - int(shared)) * _PAGE_BYTES
    except (OSError, ValueError):
        return None


def _exact_bytes(pid: int) -> int | None:
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            return sum(
                int(line.split()[1]) * 1024
                for line in file
                if line.startswith((b"Private_Clean:", b"Private_Dirty:", b"Swap:"))
            )
    except (OSError, ValueError, IndexError):
        return None


def tasks_of_user(uid: int) -> int:
    """How many threads this user runs now, as RLIMIT_NPROC counts them."""
    count = 0
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                if os.stat(f"/proc/{entry}").st_uid == uid:
                    count += len(os.listdir(f"/proc/{entry}/task"))
            except OSError:
                continue
    return count


def oom_kills() -> int:
    """How many processes the kernel has killed for memory since boot, anywhere."""
    try:
        with open("/proc/vmstat", "rb") as file:
            return next((int(line.split()[1]) for line in file if line.startswith(b"oom_kill ")), 0)
    except (OSError, ValueError):
        return 0
