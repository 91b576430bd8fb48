"""Pressure stall information: the share of time in which work stood still for want of a resource.

`some` is the share of time in which at least one task waited, `full` that in which all did, each as a mean of 10,
60 and 300 seconds.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from omnimind.servers.system_info import cgroups
from omnimind.servers.system_info.machine import Facts, Machine, Missing, tried

RESOURCES: Final = ("cpu", "memory", "io")


def facts(machine: Machine) -> Facts:
    """Of the whole machine, and of the control group that this server lives in."""
    return {
        "machine": {name: tried(read, machine, machine.proc / "pressure" / name) for name in RESOURCES},
        "group": tried(_group, machine),
    }


def _group(machine: Machine) -> Facts:
    folder = cgroups.unified(machine)
    if not (folder / "cpu.pressure").exists():
        raise Missing(
            f"{folder} has no pressure files: this is the root group, or the kernel was built without"
        )
    return {name: tried(read, machine, folder / f"{name}.pressure") for name in RESOURCES}


def read(machine: Machine, path: Path) -> Facts:
    """One file of pressure. Raises Missing."""
    found: Facts = {}
    for line in machine.text(path).splitlines():
        kind, *pairs = line.split()
        try:
            said = dict(pair.split("=") for pair in pairs)
            found[kind] = {
                "avg10_percent": float(said["avg10"]),
                "avg60_percent": float(said["avg60"]),
                "avg300_percent": float(said["avg300"]),
                "total_us": int(said["total"]),
            }
        except (ValueError, KeyError):
            raise Missing(f"{path} has a form that is not known") from None
    if not found:
        raise Missing(f"{path} is empty")
    return found
