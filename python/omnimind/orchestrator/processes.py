"""Every child of the orchestrator, reaped in one place.

Rule: only `Family.reap` waits for processes, so a pid in a living `Child` cannot have become anyone else's:
the kernel keeps it until we reap. Orphans that fall to us as subreaper are reaped too, and nobody misses
them.
"""

from __future__ import annotations

import os
import signal
import time
from collections import OrderedDict

import anyio

from omnimind.linux import pidfd, proc
from omnimind.linux.cgroup import Group
from omnimind.orchestrator.ledger import Ledger
from omnimind.orchestrator.waiting import first_of

_REMEMBERED = 64
SWEEP_LIMIT_S = 2.0


class Child:
    """One process that we started. `status` is set, and `exited` fires, when it has been reaped.

    `group` is the control group that it and nobody else's processes live in, if there is one; `inherited_bytes`
    the memory that it shared with the process that it was forked from.
    """

    def __init__(self, pid: int, start_time: int, mark: str | None) -> None:
        self.pid = pid
        self.start_time = start_time
        self.mark = mark
        self.group: Group | None = None
        self.inherited_bytes = 0
        self.status: int | None = None
        self.exited = anyio.Event()

    def signal(self, number: int) -> bool:
        """Signal this process, never another; False if it is gone."""
        return self.status is None and pidfd.send(self.pid, self.start_time, number)

    def signal_group(self, number: int) -> None:
        """Signal every process of the group that this child leads."""
        if self.status is None and os.getpgid(self.pid) == self.pid:
            os.killpg(self.pid, number)

    async def wait(self) -> int:
        """Wait for its end; the `waitpid` status."""
        await self.exited.wait()
        return self.status if self.status is not None else 0


class Family:
    """All our children."""

    def __init__(self) -> None:
        self._living: dict[int, Child] = {}
        self._early: OrderedDict[int, int] = OrderedDict()
        self._hurried = anyio.Event()
        self.ledger: Ledger | None = None

    def hurry(self) -> None:
        """From now on nobody is given time to end by itself."""
        self._hurried.set()

    def adopt(self, pid: int, mark: str | None = None) -> Child:
        """Follow a process that is our child; one that ended already counts as ended."""
        found = proc.read(pid)
        child = Child(pid, found.start_time if found else 0, mark)
        if found is None or found.parent != os.getpid():
            child.status = self._early.pop(pid, signal.SIGKILL)
            child.exited.set()
        else:
            self._living[pid] = child
            if self.ledger is not None:
                self.ledger.started(pid, child.start_time)
        return child

    def reap(self) -> None:
        """Collect every ended child; call it at SIGCHLD."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            child = self._living.pop(pid, None)
            if child is not None:
                child.status = status
                child.exited.set()
                if self.ledger is not None:
                    self.ledger.ended(pid, child.start_time)
            else:
                self._early[pid] = status
                while len(self._early) > _REMEMBERED:
                    self._early.popitem(last=False)

    async def end(self, child: Child, grace_s: float) -> None:
        """SIGTERM to its group, SIGKILL after the grace, then whatever it left behind."""
        below = _identities(proc.descendants(child.pid, proc.scan()))
        if child.status is None:
            child.signal_group(signal.SIGTERM)
            child.signal(signal.SIGTERM)
            with anyio.move_on_after(grace_s):
                await first_of(child.exited, self._hurried)
        await self.sweep(child, below)

    async def sweep(self, child: Child, below: frozenset[tuple[int, int]] = frozenset()) -> None:
        """SIGKILL what belongs to a child: its group, or itself, its session, its descendants, all with its mark."""
        with anyio.move_on_after(SWEEP_LIMIT_S):
            while left := self._left_by(child, below):
                below |= _identities(left)
                if child.group is not None:
                    child.group.kill()
                for process in left:
                    pidfd.send(process.pid, process.start_time, signal.SIGKILL)
                await anyio.sleep(0.005)
        if child.group is not None and child.group.remove():
            child.group = None

    def _left_by(self, child: Child, below: frozenset[tuple[int, int]]) -> list[proc.Proc]:
        processes = proc.scan()
        ours = proc.descendants(os.getpid(), processes)
        under = _identities(proc.descendants(child.pid, processes)) if child.status is None else frozenset()
        mark = f"OMNIMIND_INSTANCE={child.mark}".encode() if child.mark else None
        grouped = frozenset(child.group.pids()) if child.group is not None else frozenset()
        return [
            process
            for process in ours
            if process.state != "Z"
            and process.start_time >= child.start_time
            and (
                process.session == child.pid
                or process.pid in grouped
                or (process.pid, process.start_time) in below
                or (process.pid, process.start_time) in under
                or (mark is not None and proc.environment_has(process.pid, mark))
            )
        ]


def end_everything() -> None:
    """The guard is dead: end the whole tree below this process, then this process. Does not return."""
    while True:
        pidfd.kill_below(os.getpid())
        try:
            while os.waitpid(-1, os.WNOHANG)[0] != 0:
                pass
        except ChildProcessError:
            os._exit(1)
        time.sleep(0.005)


def _identities(processes: list[proc.Proc]) -> frozenset[tuple[int, int]]:
    return frozenset((process.pid, process.start_time) for process in processes)
