"""The control group of this process: its limits, what it uses, and what is tighter above it.

A limit counts wherever it stands on the way up, so the tightest one is said together with the group that sets it.
Version 1 has a tree a controller, version 2 one for all; a machine can have both (hybrid), and then each
controller is where it is mounted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from omnimind.servers.system_info import disks
from omnimind.servers.system_info.machine import Facts, Machine, Missing, is_missing, missing, tried

_NO_LIMIT_V1: Final = 1 << 62
_MEMORY_V1: Final = ("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.max_usage_in_bytes")
_MEMORY_V2: Final = ("memory.max", "memory.current", "memory.peak")
_CONTROLLERS: Final = ("cpu", "cpuacct", "cpuset", "memory", "pids")


@dataclass(frozen=True, slots=True)
class Place:
    """Where one controller has this process: its own folder, and the topmost that can be seen."""

    version: int
    top: Path
    own: Path

    def upwards(self) -> list[Path]:
        """The own folder and all above it."""
        found = [self.own]
        while found[-1] != self.top and self.top in found[-1].parents:
            found.append(found[-1].parent)
        return found

    def name(self, folder: Path) -> str:
        """A folder as the kernel names the group."""
        return "/" + str(folder.relative_to(self.top)).removeprefix(".")


def facts(machine: Machine) -> Facts:
    """Limits and use of memory, processors and processes."""
    try:
        places = _places(machine)
    except Missing as lack:
        return {"layout": missing(str(lack))}
    if not places:
        return {"layout": missing("no cgroup file system shows this process")}
    versions = {place.version for name, place in places.items() if name in _CONTROLLERS}
    both = len(versions) > 1 or (versions == {1} and "" in places)
    return {
        "layout": "hybrid" if both else f"v{max(versions, default=2)}",
        "group": _names(places),
        "memory": tried(_memory, machine, places),
        "cpu": tried(_cpu, machine, places),
        "pids": tried(_pids, machine, places),
    }


def without_names(found: Any) -> Any:
    """The same facts without the names of groups, which tell of users and containers, nor their folders."""
    if is_missing(found):
        return missing("the group of this server does not tell")
    if not isinstance(found, dict):
        return found
    return {key: without_names(value) for key, value in found.items() if key not in ("group", "limited_by")}


def unified(machine: Machine) -> Path:
    """The folder of this process in the tree of version 2. Raises Missing."""
    place = _places(machine).get("")
    if place is None:
        raise Missing("no cgroup2 file system shows this process")
    return place.own


def _places(machine: Machine) -> dict[str, Place]:
    """By controller, and under an empty name the tree of version 2. Raises Missing."""
    paths: dict[str, str] = {}
    for line in machine.text(machine.proc / "self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        paths |= dict.fromkeys([""] if number == "0" and not names else names.split(","), path)
    found: dict[str, Place] = {}
    for mount in disks.mounts(machine):
        if mount.kind not in ("cgroup", "cgroup2"):
            continue
        version, root = 2 if mount.kind == "cgroup2" else 1, mount.root
        named = mount.options[-1].split(",")
        for name in [""] if version == 2 else [name for name in named if name in _CONTROLLERS]:
            within = paths.get(name)
            if within is not None and (within == root or within.startswith(root.rstrip("/") + "/")):
                own = Path(mount.point) / within[len(root) :].lstrip("/")
                found.setdefault(name, Place(version, Path(mount.point), own))
    whole = found.get("")
    if whole is not None:
        for name in _controllers(machine, whole):
            found.setdefault(name, whole)
    return found


def _controllers(machine: Machine, place: Place) -> list[str]:
    try:
        return machine.text(place.own / "cgroup.controllers").split()
    except Missing:
        return []


def _names(places: dict[str, Place]) -> str | dict[str, str]:
    names = {place.name(place.own) for place in places.values()}
    if len(names) == 1:
        return names.pop()
    return {controller or "v2": place.name(place.own) for controller, place in sorted(places.items())}


def _of(places: dict[str, Place], controller: str) -> Place:
    if controller not in places:
        raise Missing(f"no group controls {controller} here")
    return places[controller]


def _memory(machine: Machine, places: dict[str, Place]) -> Facts:
    place = _of(places, "memory")
    new = place.version == 2
    limit_file, used_file, peak_file = _MEMORY_V2 if new else _MEMORY_V1
    limit, by = _tightest(place, lambda folder: _bytes(machine, folder / limit_file))
    return {
        "version": place.version,
        "limit_bytes": limit,
        "limited_by": by,
        "used_bytes": tried(machine.number, place.own / used_file),
        "peak_bytes": tried(machine.number, place.own / peak_file),
        "swap_bytes": tried(machine.number, place.own / "memory.swap.current")
        if new
        else missing("version 1 counts memory and swap together"),
        "oom_kills": tried(_oom_kills, machine, place),
    }


def _cpu(machine: Machine, places: dict[str, Place]) -> Facts:
    place = _of(places, "cpu")
    quota, by = _tightest(place, lambda folder: _quota(machine, folder, place.version))
    stat = tried(_pairs, machine, place.own / "cpu.stat")
    throttled = "nr_throttled"
    return {
        "version": place.version,
        "limit_cpus": None if quota is None else round(quota, 3),
        "limited_by": by,
        "throttled_periods": stat.get(throttled, missing(f"cpu.stat has no {throttled}"))
        if "available" not in stat
        else stat,
        "used_s": tried(_used_s, machine, places),
        "cpuset": tried(_cpuset, machine, places),
    }


def _pids(machine: Machine, places: dict[str, Place]) -> Facts:
    place = _of(places, "pids")
    limit, by = _tightest(place, lambda folder: _bytes(machine, folder / "pids.max"))
    return {
        "version": place.version,
        "limit": limit,
        "limited_by": by,
        "used": tried(machine.number, place.own / "pids.current"),
    }


def _tightest(place: Place, read: Callable[[Path], float | None]) -> tuple[int | float | None, str | None]:
    """The smallest limit from here to the top, and the group that sets it; a root group has no such file."""
    found: list[tuple[float, str]] = []
    for folder in place.upwards():
        try:
            limit = read(folder)
        except Missing:
            continue
        if limit is not None:
            found.append((limit, place.name(folder)))
    return min(found, default=(None, None))


def _bytes(machine: Machine, path: Path) -> int | None:
    if machine.word(path) == "max":
        return None
    found = machine.number(path)
    return None if found >= _NO_LIMIT_V1 else found


def _quota(machine: Machine, folder: Path, version: int) -> float | None:
    if version == 2:
        said, _, period = machine.word(folder / "cpu.max").partition(" ")
        return None if said == "max" else int(said) / int(period or 100_000)
    quota = machine.number(folder / "cpu.cfs_quota_us")
    return None if quota < 0 else quota / machine.number(folder / "cpu.cfs_period_us")


def _used_s(machine: Machine, places: dict[str, Place]) -> float:
    place = places.get("cpuacct") or _of(places, "cpu")
    if place.version == 1:
        return machine.number(place.own / "cpuacct.usage") / 1e9
    return _pairs(machine, place.own / "cpu.stat").get("usage_usec", 0) / 1e6


def _cpuset(machine: Machine, places: dict[str, Place]) -> str:
    place = _of(places, "cpuset")
    return machine.word(place.own / ("cpuset.cpus.effective" if place.version == 2 else "cpuset.cpus"))


def _oom_kills(machine: Machine, place: Place) -> int:
    path = place.own / ("memory.events" if place.version == 2 else "memory.oom_control")
    found = _pairs(machine, path)
    if "oom_kill" not in found:
        raise Missing(f"{path} does not count kills")
    return found["oom_kill"]


def _pairs(machine: Machine, path: Path) -> dict[str, int]:
    found = (line.split() for line in machine.text(path).splitlines())
    return {words[0]: int(words[1]) for words in found if len(words) == 2 and words[1].isdigit()}
