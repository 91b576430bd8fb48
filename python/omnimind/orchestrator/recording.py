"""When the ledger is written: a run begins by ending what earlier ones left, and ends by leaving no record.

Why before anything else: a stopped orchestrator of an earlier run may still hold the ports, and what it left
may still use the databases. It blocks on purpose; nothing has been started that could wait.
"""

from __future__ import annotations

import os
from pathlib import Path

import anyio

from omnimind.linux import cgroup, proc
from omnimind.orchestrator import ledger, runrecord, stale
from omnimind.orchestrator.guardlink import GuardLink
from omnimind.orchestrator.processes import Family
from omnimind.orchestrator.progress import Progress

LOOK_AROUND_S = 2.0


class Recording:
    """The record of this run. The folder's lock is held."""

    def __init__(
        self, family: Family, state_dir: Path, guard: GuardLink, guard_pid: int, progress: Progress
    ) -> None:
        self._family = family
        self._state_dir = state_dir
        self._guard = guard
        self._guard_pid = guard_pid
        self._progress = progress

    def begin(self) -> None:
        """End what earlier runs left, then enter this one."""
        runrecord.remove(self._state_dir)
        mark = os.environ.get(ledger.MARK) or os.urandom(16).hex()
        lives = stale.earlier(self._state_dir, mark)
        ended = stale.end_all(lives, [self._guard_pid])
        for left in ended.gone:
            self._progress.say(f"  ended {left.name} (pid {left.pid}), left by an earlier run")
        for left in ended.left:
            self._progress.say(f"  {left.name} (pid {left.pid}), left by an earlier run, cannot be ended")
        self._family.ledger = ledger.Ledger(self._state_dir, mark, lives if ended.left else (), self._group())

    def _group(self) -> str | None:
        """Where the servers' control group will be, told to the guard too; None where there can be none."""
        own = cgroup.own()
        if own is None:
            return None
        path = str(own.path / cgroup.name_of(self._state_dir))
        self._guard.say({"t": "group", "path": path})
        return path

    async def run(self) -> None:
        """Enter what hides from its mark, before anybody needs to know."""
        while self._family.ledger is not None:
            self._family.ledger.look_around()
            await anyio.sleep(LOOK_AROUND_S)

    def end(self) -> None:
        """Nothing is left of this run, as far as can be seen: it needs no record."""
        if self._family.ledger is not None and not proc.below(os.getpid()):
            self._family.ledger.close()
            self._family.ledger = None
