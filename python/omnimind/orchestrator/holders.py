"""Who holds a port: named for the operator, never touched.

Reads `/proc/net/tcp*` for the listening socket's inode, then the descriptors of the processes this user may
see.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass

from omnimind.linux import proc

_LISTEN = "0A"


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that listens on a port; None where another user's process hides."""

    pid: int | None
    name: str | None

    def __str__(self) -> str:
        return f"{self.name} (pid {self.pid})" if self.pid is not None else "a process of another user"


def of_port(port: int) -> Holder | None:
    """Who listens on this TCP port, on whatever address; None if nobody does."""
    inodes = _listening_inodes(port)
    if not inodes:
        return None
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for process in proc.scan():
        folder = f"/proc/{process.pid}/fd"
        with contextlib.suppress(OSError):
            for entry in os.listdir(folder):
                with contextlib.suppress(OSError):
                    if os.readlink(f"{folder}/{entry}") in wanted:
                        return Holder(process.pid, process.name)
    return Holder(None, None)


def _listening_inodes(port: int) -> set[str]:
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError), open(table, encoding="ascii") as file:
            for line in list(file)[1:]:
                fields = line.split()
                if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                    inodes.add(fields[9])
    return inodes
