"""From the maps of a probe to a `Reading`: ports and pids get the names of servers, control groups those of units."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from omnimind.monitor import kernel
from omnimind.monitor.histogram import Histogram
from omnimind.monitor.kernel import Maps
from omnimind.monitor.report import Calls, Reading

_MOUNTS = Path("/proc/self/mounts")


class Names:
    """Names for what the kernel numbers. `ports` maps ports to servers; `of_pid` names a process of the fleet."""

    def __init__(self, ports: Mapping[int, str], of_pid: Callable[[int], str | None]) -> None:
        self._ports = ports
        self._of_pid = of_pid
        self._pids: dict[int, str] = {}
        self._groups: dict[int, str | None] = {}

    def reading(self, maps: Maps) -> Reading:
        """The calls of every port and process, and how many each unit answered."""
        places: dict[str, Calls] = {}
        for key, rows in maps.get("total", {}).items():
            port = int(key)
            places[self._port(port)] = Calls(
                kernel.histogram(rows),
                _histogram(maps, "service", key),
                _histogram(maps, "wait", key),
                int(maps.get("slow", {}).get(key, 0)),
            )
        for key, rows in maps.get("stdio", {}).items():
            found = kernel.histogram(rows)
            high = int(maps.get("stdio_slow", {}).get(key, 0))
            name = self._pid(int(key))
            places[name] = places.get(name, Calls()) + Calls(found, found, Histogram(), high)
        units: dict[str, int] = {}
        for key, count in maps.get("groups", {}).items():
            unit = self._unit(int(key.split(",")[-1]))
            if unit is not None:
                units[unit] = units.get(unit, 0) + int(count)
        return Reading(places, units)

    def _port(self, port: int) -> str:
        name = self._ports.get(port)
        return f"{name}:{port}" if name else str(port)

    def _pid(self, pid: int) -> str:
        """A name that was once known stays when the process is gone."""
        if pid not in self._pids:
            self._pids[pid] = f"{self._of_pid(pid) or 'pid'}:{pid}"
        return self._pids[pid]

    def _unit(self, group: int) -> str | None:
        if group not in self._groups:
            self._groups = {**dict.fromkeys((group, *self._groups)), **units()}
        return self._groups[group]


def units(root: Path | None = None) -> dict[int, str]:
    """Control groups that are units of systemd, by the number that the kernel gives them (their folder's inode)."""
    root = root or group_root()
    found: dict[int, str] = {}
    for folder, _, _ in os.walk(root) if root else ():
        name = os.path.basename(folder)
        if name.endswith((".service", ".scope")):
            with contextlib.suppress(OSError):  # it may be gone by now
                found[os.stat(folder).st_ino] = name
    return found


def group_root() -> Path | None:
    """Where control groups of version 2 are mounted."""
    for line in _MOUNTS.read_text().splitlines():
        words = line.split()
        if words[2] == "cgroup2":
            return Path(words[1])
    return None


def _histogram(maps: Maps, name: str, key: str) -> Histogram:
    return kernel.histogram(maps.get(name, {}).get(key, ()))
