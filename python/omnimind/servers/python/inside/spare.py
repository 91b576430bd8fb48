"""A child that is forked before anybody asks: it has paid for its pages, and waits for a job.

A fork is cheap, but what a child then touches for the first time is copied page by page, and that is most of what a
small job costs. A spare touches it ahead, with a cell of its own. It holds what the zygote holds and nothing else, and
is as little confined until it has its job; then it lives as any other child.
"""

from __future__ import annotations

import contextlib
import io
import os
import socket
import types
from collections.abc import Sequence
from typing import Any, NoReturn

from omnimind.linux import packets, process, seqpacket
from omnimind.servers.python.inside import cells, jobs


class Spare:
    """The zygote's side of it."""

    def __init__(self, pid: int, link: socket.socket) -> None:
        self.pid = pid
        self._link = link

    def take(self, job: dict[str, Any], descriptors: Sequence[int], tasks_of_user: int) -> bool:
        """Give it its job; False if it is not there any more."""
        with self._link:
            try:
                packets.send(self._link, {**job, "tasks_of_user": tasks_of_user}, descriptors)
            except OSError:
                return False
        return True


def fork(zygote: int, libraries: Sequence[str]) -> Spare | None:
    """A new one, or None if no process can be started."""
    ours, theirs = seqpacket.pair()
    try:
        pid = os.fork()
    except OSError:
        ours.close()
        theirs.close()
        return None
    if pid == 0:
        _wait(theirs.detach(), zygote, libraries)
    theirs.close()
    return Spare(pid, ours)


def _wait(link: int, zygote: int, libraries: Sequence[str]) -> NoReturn:
    try:
        os.closerange(3, link)
        os.closerange(link + 1, os.sysconf("SC_OPEN_MAX"))
        if process.die_with_parent(zygote):
            process.set_name("omnimind-spare")
            jobs.settle()
            _rehearse()
            packet = packets.receive(socket.socket(fileno=link))
            if packet is not None and len(packet[1]) >= jobs.DESCRIPTORS:
                job, descriptors = packet
                jobs.live(job, descriptors[: jobs.DESCRIPTORS], zygote, libraries, int(job["tasks_of_user"]))
    finally:
        os._exit(0)


def _rehearse() -> None:
    """Touch what a cell will touch."""
    with contextlib.redirect_stdout(io.StringIO()):
        for source in ("print(1)\n1 + 1", "1 / 0"):
            cells.run(source, types.ModuleType("rehearsal"), 0)
    cells.forget(0)
