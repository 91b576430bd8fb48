"""The processes of the fleet that this state folder belongs to, and of nobody else.

The orchestrator keeps a record of what it started (`run/processes.jsonl`); the first process of a run is its
guard, the second the orchestrator. What is told of here is the guard and what descends from it, and what the
record names and still runs with the start time it had. The walk goes down from the guard, so processes of others
are not looked at. Of a process only its counters are read (`stat`, `statm`) and the name of its control group:
never its command line, environment, open files or memory, which hold secrets.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from omnimind import catalog
from omnimind.linux import cgroup, proc
from omnimind.servers.system_info import overview
from omnimind.servers.system_info.machine import Facts, Machine, Missing, missing, tried

RECORD: Final = "run/processes.jsonl"
RECORD_BYTES: Final = 4 * 1024 * 1024
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_STATES: Final = {
    "R": "running", "S": "sleeping", "D": "waiting for a device", "T": "stopped", "t": "traced", "Z": "zombie",
    "I": "idle", "X": "dead",
}  # fmt: skip
_PARTS: Final = {"omnimind-zygote": "zygote", "omnimind-orch": "orchestrator", "omnimind-gw": "gateway"}

NOTE: Final = (
    "resident_bytes counts pages that several processes share in each of them; what is private to one is "
    "hidden from this server"
)
_NAMELESS: Final = missing("it is not in a group of its own, and bears no name of ours")

Key = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Process:
    """One process of the fleet at one moment."""

    pid: int
    parent: int
    name: str | None
    state: str
    ran_ticks: int
    threads: int
    start_time: int
    resident_bytes: int


def recorded(state_dir: Path) -> list[Key]:
    """Pid and start time of what the latest run has started and not seen end. Raises Missing."""
    path = state_dir / RECORD
    try:
        with open(path, "rb") as file:
            lines = file.read(RECORD_BYTES).splitlines()
    except OSError:
        raise Missing("no fleet runs on this state folder: it keeps no record of processes") from None
    found: dict[Key, None] = {}
    boot = None
    for line in lines:
        with contextlib.suppress(ValueError, KeyError, TypeError, IndexError):
            entry: Mapping[str, Any] = json.loads(line)
            if "run" in entry:
                found, boot = {}, str(entry["boot"])
            elif "started" in entry:
                found.setdefault((int(entry["started"][0]), int(entry["started"][1])))
            elif "ended" in entry:
                found.pop((int(entry["ended"][0]), int(entry["ended"][1])), None)
    if boot != proc.boot_id() or not found:
        raise Missing("the fleet of this state folder has not run since the machine started")
    return list(found)


def processes(state_dir: Path) -> list[Process]:
    """Every process of the fleet that runs now, the guard first. Raises Missing."""
    keys = recorded(state_dir)
    guard, orchestrator = keys[0], keys[1] if len(keys) > 1 else None
    alive = [key for key in keys if _is_alive(key)]
    if guard not in alive:
        raise Missing("the fleet of this state folder does not run")
    below = [(one.pid, one.start_time) for one in proc.below(guard[0])]
    known = {guard: "guard"} | ({orchestrator: "orchestrator"} if orchestrator else {})
    found = (_read(key, known.get(key), orchestrator) for key in dict.fromkeys([guard, *below, *alive]))
    return [process for process in found if process is not None]


def rows(
    found: list[Process], earlier: dict[Key, int] | None, interval_s: float, machine: Machine
) -> list[Facts]:
    """What is told of each, with its share of a processor if it was looked at twice."""
    return [_row(process, earlier, interval_s, machine) for process in found]


def names(found: list[Process]) -> list[Facts]:
    """What everybody may know: which parts of the fleet run, and how they are."""
    return [{"name": process.name or _NAMELESS, "state": process.state} for process in found]


def ran(found: list[Process]) -> dict[Key, int]:
    """The ticks that each has run, for a second look."""
    return {(process.pid, process.start_time): process.ran_ticks for process in found}


def _row(process: Process, earlier: dict[Key, int] | None, interval_s: float, machine: Machine) -> Facts:
    row: Facts = {
        "name": process.name or _NAMELESS,
        "pid": process.pid,
        "parent": process.parent,
        "state": process.state,
        "threads": process.threads,
        "resident_bytes": process.resident_bytes,
        "cpu_s": round(process.ran_ticks / _TICKS_PER_S, 2),
        "started_at": tried(_started_at, process, machine),
    }
    if earlier is not None:
        before = earlier.get((process.pid, process.start_time))
        row["cpu_percent"] = (
            missing("it started in this interval")
            if before is None
            else round(100 * (process.ran_ticks - before) / _TICKS_PER_S / interval_s, 1)
        )
    return row


def _started_at(process: Process, machine: Machine) -> str:
    started_s = overview.boot_s(machine) + process.start_time / _TICKS_PER_S
    return datetime.fromtimestamp(started_s, UTC).isoformat(timespec="seconds")


def _is_alive(key: Key) -> bool:
    found = proc.read(key[0])
    return found is not None and found.start_time == key[1]


def _read(key: Key, name: str | None, orchestrator: Key | None) -> Process | None:
    pid = key[0]
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read().decode("utf-8", "replace")
        with open(f"/proc/{pid}/statm", "rb") as file:
            resident = int(file.read().split()[1]) * _PAGE_BYTES
    except OSError:
        return None
    fields = text[text.rfind(")") + 2 :].split()
    if int(fields[19]) != key[1]:
        return None
    parent = int(fields[1])
    if name is None:
        said = text[text.find("(") + 1 : text.rfind(")")]
        name = _group_name(pid) or _own_name(said, orchestrator is not None and parent == orchestrator[0])
    return Process(
        pid=pid,
        parent=parent,
        name=name,
        state=_STATES.get(fields[0], fields[0]),
        ran_ticks=int(fields[11]) + int(fields[12]),
        threads=int(fields[17]),
        start_time=key[1],
        resident_bytes=resident,
    )


def _group_name(pid: int) -> str | None:
    """The name of the server in whose control group a process lives, where the fleet has such groups."""
    try:
        with open(f"/proc/{pid}/cgroup", "rb") as file:
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return None
    parts = next((line[3:] for line in lines if line.startswith("0::")), "").split("/")
    for above, name in itertools.pairwise(parts):
        if cgroup.FLEET.fullmatch(above):
            return name
    return None


def _own_name(said: str, below_orchestrator: bool) -> str | None:
    """A name that our own processes give themselves; what a stranger calls itself is not repeated."""
    if said in _PARTS:
        return _PARTS[said]
    builtin = catalog.find(said) if below_orchestrator else None
    return None if builtin is None else builtin.name
