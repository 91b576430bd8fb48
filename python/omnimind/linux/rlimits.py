"""Limits of one process: the part of resource control that needs no control group.

RLIMIT_DATA and not RLIMIT_AS bounds memory, because node, Go and Rust programs reserve address space by the
gigabyte and never touch it; RLIMIT_DATA counts writable private pages only. It still counts stacks of threads
that are hardly used, so it is set well above what is wanted, as a stop for a sudden hog, and somebody else
watches what is really used. RLIMIT_NPROC counts all processes and threads of the user and does not bind root.
"""

from __future__ import annotations

import contextlib
import math
import os
import resource
from dataclasses import dataclass

_MIB = 1024 * 1024
SLACK_BYTES = 512 * _MIB
"""Above the wanted figure: stacks and arenas that are reserved and not used."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one process may use; None leaves what it inherits."""

    data_bytes: int | None = None
    open_files: int | None = None
    processes: int | None = None
    nice: int | None = None

    @property
    def any(self) -> bool:
        """False if nothing is limited."""
        return self != Limits()


def nice_of(cpu_weight: int) -> int:
    """The nice value nearest to a weight relative to 100: a step is a quarter more or less."""
    return max(-20, min(19, round(-math.log(cpu_weight / 100) / math.log(1.25))))


def apply(limits: Limits, pid: int = 0) -> None:
    """Set what is limited, of this process or of another; what the system refuses stays as it was."""
    for kind, value in (
        (resource.RLIMIT_DATA, limits.data_bytes),
        (resource.RLIMIT_NOFILE, limits.open_files),
        (resource.RLIMIT_NPROC, limits.processes),
    ):
        if value is not None:
            with contextlib.suppress(OSError, ValueError):
                _, most = resource.prlimit(pid, kind)
                wanted = value if most == resource.RLIM_INFINITY else min(value, most)
                resource.prlimit(pid, kind, (wanted, wanted))
    if limits.nice is not None:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, pid, limits.nice)
        _weigh_session(pid or os.getpid(), limits.nice)


def raise_open_files() -> None:
    """Let this process have as many descriptors open as it may at all; what it started before keeps what it has."""
    with contextlib.suppress(OSError, ValueError):
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _weigh_session(pid: int, nice: int) -> None:
    """Where the scheduler groups tasks by session (autogroup), nice values count only within one.

    So the session gets the value too, if it is this process's own: another's would change others with it.
    """
    with contextlib.suppress(OSError):
        if os.getsid(pid) == pid:
            with open(f"/proc/{pid}/autogroup", "w", encoding="ascii") as file:
                file.write(str(nice))
