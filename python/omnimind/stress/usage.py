"""What the processes of a fleet cost during a run, read from /proc once a second.

A process is (pid, start time): a worker that is replaced meanwhile is counted as two, and both belong to its server.
What lives below a worker is the worker's. CPU is user and system time; memory is what the kernel calls resident (RSS)
and, where it may be read, proportional (PSS, in which shared pages count once over all who share them).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import psutil

from omnimind.linux import proc

PERIOD_S: Final = 1.0


@dataclass(slots=True)
class Use:
    """One part of the fleet. CPU since the run began; memory of all its processes together."""

    name: str
    cpu_s: float = 0.0
    rss_first_bytes: int = 0
    rss_last_bytes: int = 0
    rss_peak_bytes: int = 0
    pss_bytes: int | None = None
    processes: int = 0
    """How many it had, one after the other or at once, what lives below them not counted."""

    def cpu_us_per_call(self, sent: int) -> float:
        """Its CPU for each of the calls that were sent meanwhile."""
        return self.cpu_s * 1e6 / max(sent, 1)


@dataclass(slots=True)
class _Met:
    """A process that was seen: its CPU time before the run, and the last that was read."""

    owner: str
    process: psutil.Process
    before_s: float
    last_s: float
    is_main: bool


@dataclass(slots=True)
class Sampler:
    """Looks at the processes that `members` names (part of the fleet → pid)."""

    members: Callable[[], Mapping[str, int]]
    _met: dict[tuple[int, float], _Met] = field(default_factory=dict)
    _uses: dict[str, Use] = field(default_factory=dict)
    _looked: bool = False

    def look(self) -> None:
        """Read everything once; the first time is the beginning of the run."""
        resident: dict[str, int] = {}
        for owner, pid in self.members().items():
            for at, one in enumerate((pid, *(below.pid for below in proc.below(pid)))):
                resident[owner] = resident.get(owner, 0) + self._read(owner, one, is_main=at == 0)
        for owner, rss_bytes in resident.items():
            use = self._uses.setdefault(owner, Use(owner, rss_first_bytes=rss_bytes))
            use.rss_last_bytes = rss_bytes
            use.rss_peak_bytes = max(use.rss_peak_bytes, rss_bytes)
        self._looked = True

    def _read(self, owner: str, pid: int, *, is_main: bool) -> int:
        """The resident bytes of a process, whose CPU time is remembered."""
        try:
            process = psutil.Process(pid)
            key = (pid, process.create_time())
            times = process.cpu_times()
            rss_bytes: int = process.memory_info().rss
        except psutil.Error:
            return 0
        spent_s = times.user + times.system
        if key not in self._met:
            before_s = 0.0 if self._looked else spent_s
            self._met[key] = _Met(owner, process, before_s, spent_s, is_main)
        self._met[key].last_s = spent_s
        return rss_bytes

    def uses(self) -> list[Use]:
        """What each part took, in the order in which they were named; looks a last time."""
        self.look()
        for met in self._met.values():
            use = self._uses[met.owner]
            use.cpu_s += met.last_s - met.before_s
            use.processes += met.is_main
            pss_bytes = _pss(met.process)
            if pss_bytes is not None:
                use.pss_bytes = (use.pss_bytes or 0) + pss_bytes
        return list(self._uses.values())


def _pss(process: psutil.Process) -> int | None:
    try:
        pss: int = process.memory_full_info().pss if process.is_running() else 0
    except (psutil.Error, AttributeError):
        return None
    return pss or None


def together(runs: Iterable[Sequence[Use]]) -> list[Use]:
    """Of runs of one fleet one after the other: CPU adds up, memory is the first, the last and the most of all."""
    found: dict[str, Use] = {}
    for use in (use for run in runs for use in run):
        before = found.get(use.name)
        found[use.name] = (
            use
            if before is None
            else replace(
                use,
                cpu_s=before.cpu_s + use.cpu_s,
                rss_first_bytes=before.rss_first_bytes,
                rss_peak_bytes=max(before.rss_peak_bytes, use.rss_peak_bytes),
                processes=max(before.processes, use.processes),
            )
        )
    return list(found.values())


def own_rss_bytes() -> int:
    """Of this process: the generator."""
    rss: int = psutil.Process(os.getpid()).memory_info().rss
    return rss
