"""Who holds a port or a socket path: named for the operator, never touched.

Asks the kernel, or reads `/proc/net/unix`, for the listening socket's inode, then the descriptors of the
processes this user may see. Several may share one socket (a guard, its orchestrator, its gateway): the lowest
pid stands for them.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass

from omnimind.linux import proc, sockdiag

_LISTEN = "0A"
_UNIX_LISTENS = 0x10000
"""__SO_ACCEPTCON in the flags of /proc/net/unix."""


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that listens; None where another user's process hides. `ours`: it is this very fleet's."""

    pid: int | None
    name: str | None
    ours: bool = False

    def __str__(self) -> str:
        return f"{self.name} (pid {self.pid})" if self.pid is not None else "a process of another user"


def of_port(port: int) -> Holder | None:
    """Who listens on this TCP port, on whatever address; None if nobody does."""
    return _of_inodes(_tcp_inodes(port))


def of_socket(path: str) -> Holder | None:
    """Who listens on the Unix socket of this path; None if nobody does."""
    return _of_inodes(_unix_inodes(path))


def _of_inodes(inodes: set[str]) -> Holder | None:
    if not inodes:
        return None
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for process in sorted(proc.scan()):
        folder = f"/proc/{process.pid}/fd"
        with contextlib.suppress(OSError):
            for entry in os.listdir(folder):
                with contextlib.suppress(OSError):
                    if os.readlink(f"{folder}/{entry}") in wanted:
                        return Holder(process.pid, process.name, process.pid in (os.getpid(), os.getppid()))
    return Holder(None, None)


def _tcp_inodes(port: int) -> set[str]:
    with contextlib.suppress(OSError):
        return {str(inode) for inode in sockdiag.listeners(port)}
    inodes = set()  # a kernel or a container without it
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError), open(table, encoding="ascii") as file:
            for line in list(file)[1:]:
                fields = line.split()
                if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                    inodes.add(fields[9])
    return inodes


def _unix_inodes(path: str) -> set[str]:
    inodes = set()
    with contextlib.suppress(OSError), open("/proc/net/unix", encoding="utf-8", errors="replace") as file:
        for line in list(file)[1:]:
            fields = line.split(maxsplit=7)
            if len(fields) == 8 and fields[7].rstrip("\n") == path and int(fields[3], 16) & _UNIX_LISTENS:
                inodes.add(fields[6])
    return inodes
