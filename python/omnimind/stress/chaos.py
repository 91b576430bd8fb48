"""Kill -9 of workers while the load goes on, and how long each takes to be back.

Rule: a process is killed only if the fleet's orchestrator names it as a worker that is ready, it is the orchestrator's
own child, and it still is the process that was looked at when the signal goes out (pidfd and start time). Never by
name, never by port. A server is not killed so often that the orchestrator would park it.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from omnimind.linux import pidfd, proc

EVERY_S: Final = 5.0
_WINDOW_S: Final = 60.0
_MOST_IN_WINDOW: Final = 2
"""The third crash within a minute parks a server, unless its configuration says otherwise."""


@dataclass(slots=True)
class Kill:
    """One kill; `back_s` is how long it took until the server was ready again, None if it was not."""

    server: str
    pid: int
    at_s: float
    back_s: float | None = None


@dataclass(slots=True)
class Chaos:
    """Kills a worker every so often. `status` is the fleet's own; times are seconds after the start of the run."""

    status: Callable[[], Mapping[str, Any]]
    every_s: float
    kills: list[Kill] = field(default_factory=list)
    _next_s: float = field(init=False)

    def __post_init__(self) -> None:
        self._next_s = self.every_s

    def tick(self, now_s: float, *, may_kill: bool = True) -> None:
        """Look whether what was killed is back, and kill if it is time to."""
        down = [kill for kill in self.kills if kill.back_s is None]
        due = may_kill and now_s >= self._next_s
        if not down and not due:
            return
        status = self.status()
        ready = _ready_workers(status)
        for kill in down:
            if ready.get(kill.server, kill.pid) != kill.pid:
                kill.back_s = now_s - kill.at_s
        if due:
            self._next_s = now_s + self.every_s
            self._kill_one(ready, status, now_s)

    def _kill_one(self, ready: Mapping[str, int], status: Mapping[str, Any], now_s: float) -> None:
        counts = dict.fromkeys(sorted(ready), 0)
        for kill in self.kills:
            if kill.server in counts and kill.at_s > now_s - _WINDOW_S:
                counts[kill.server] += 1
        name = min(counts, key=counts.__getitem__, default=None)
        if name is None or counts[name] >= _MOST_IN_WINDOW:
            return
        if kill_worker(ready[name], status["orchestrator"]["pid"]):
            self.kills.append(Kill(name, ready[name], now_s))


def _ready_workers(status: Mapping[str, Any]) -> dict[str, int]:
    return {
        row["name"]: row["pid"]
        for row in status.get("servers", ())
        if row.get("kind") == "worker" and row.get("state") == "ready" and row.get("pid")
    }


def kill_worker(pid: int, orchestrator: int) -> bool:
    """Kill -9 of a child of the orchestrator; False if it is none, or gone."""
    found = proc.read(pid)
    if found is None or found.parent != orchestrator:
        return False
    return pidfd.send(pid, found.start_time, signal.SIGKILL)
