"""Processors: how many, which, how fast, and what they did between two looks at `/proc/stat`.

The kernel counts ticks (usually 10 ms) per kind of work since boot; a share is a difference of two looks, so
an interval shorter than some ticks says little. Time of guests is part of `user` already and not counted twice.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from omnimind.servers.system_info.machine import Facts, Machine, Missing, tried

Ticks = dict[str, tuple[int, ...]]
"""Counters by processor; `cpu` is all of them together."""

_FREQUENCIES: Final = "devices/system/cpu/cpufreq"
KINDS: Final = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")


def facts(machine: Machine) -> Facts:
    """What the processors are: nothing here changes while the machine runs as it is."""
    return {
        "logical": tried(logical, machine),
        "usable_by_this_process": len(os.sched_getaffinity(0)),
        "cores": tried(cores, machine),
        "sockets": tried(sockets, machine),
        "models": tried(models, machine),
        "architecture": os.uname().machine,
        "frequency_range_mhz": tried(frequency_range, machine),
    }


def load(machine: Machine) -> Facts:
    """The mean number of tasks that ran or waited, over 1, 5 and 15 minutes. Raises Missing."""
    path = machine.proc / "loadavg"
    fields = machine.text(path).split()
    try:
        running, _, tasks = fields[3].partition("/")
        return {
            "1_min": float(fields[0]),
            "5_min": float(fields[1]),
            "15_min": float(fields[2]),
            "running": int(running),
            "tasks": int(tasks),
        }
    except (ValueError, IndexError):
        raise Missing(f"{path} has a form that is not known") from None


def logical(machine: Machine) -> int:
    """Processors that are online, as programs see them. Raises Missing."""
    return len(_numbers(machine, "online"))


def sockets(machine: Machine) -> int:
    """Packages that hold processors. Raises Missing."""
    return len({package for package, _ in _places(machine)})


def cores(machine: Machine) -> int:
    """Physical cores; two threads of one count once. Raises Missing."""
    return len(set(_places(machine)))


def models(machine: Machine) -> list[str]:
    """What the processors call themselves, each name once. Raises Missing."""
    path = machine.proc / "cpuinfo"
    found: dict[str, None] = {}
    for line in machine.text(path).splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "Model", "cpu model", "cpu") and value.strip():
            found.setdefault(value.strip())
    if not found:
        raise Missing(f"{path} names no model, as is usual on this architecture")
    return list(found)


def frequency_range(machine: Machine) -> Facts:
    """Between which frequencies the kernel may move the processors. Raises Missing."""
    policies = _policies(machine)
    if not policies:
        raise Missing(
            f"{machine.sys / _FREQUENCIES} has no policy: the kernel does not steer frequencies here"
        )
    return {
        "lowest": min(machine.number(policy / "cpuinfo_min_freq") for policy in policies) / 1000,
        "highest": max(machine.number(policy / "cpuinfo_max_freq") for policy in policies) / 1000,
    }


def frequencies(machine: Machine) -> list[float]:
    """Frequencies as they are now, in MHz. Raises Missing."""
    policies = _policies(machine)
    if policies:
        return [round(machine.number(policy / "scaling_cur_freq") / 1000, 1) for policy in policies]
    path = machine.proc / "cpuinfo"
    said = [line.partition(":")[2] for line in machine.text(path).splitlines() if line.startswith("cpu MHz")]
    try:
        found = [round(float(one), 1) for one in said]
    except ValueError:
        raise Missing(f"{path} has a form that is not known") from None
    if not found:
        raise Missing(f"there is no cpufreq here, and {path} names no frequency")
    return found


def ticks(machine: Machine) -> Ticks:
    """The counters as they stand. Raises Missing."""
    found: Ticks = {}
    for line in machine.text(machine.proc / "stat").splitlines():
        name, *counts = line.split()
        if name.startswith("cpu") and all(count.isdigit() for count in counts):
            found[name] = (*(int(count) for count in counts[: len(KINDS)]),)
    if "cpu" not in found:
        raise Missing(f"{machine.proc / 'stat'} has no line for the processors")
    return found


def shares(before: Ticks, after: Ticks, name: str = "cpu") -> Facts:
    """What a processor did in between, in percent of its time. Raises Missing."""
    if name not in before or name not in after:
        raise Missing("it was not online all the time")
    # Some kernels let iowait and steal go back a little.
    spent = [max(0, new - old) for old, new in zip(before[name], after[name], strict=False)]
    total = sum(spent)
    if total == 0:
        raise Missing("the kernel counted no tick in this interval; take a longer one")
    percent = {kind: round(100 * count / total, 1) for kind, count in zip(KINDS, spent, strict=False)}
    idle = percent.get("idle", 0.0) + percent.get("iowait", 0.0)
    return {"busy": round(max(0.0, 100 - idle), 1), **percent}


def usage(machine: Machine, before: Ticks, after: Ticks, each: bool) -> Facts:
    """Shares of all processors together, and of each if asked, with load and frequencies as they are now."""
    found: Facts = {
        "percent": tried(shares, before, after),
        "load": tried(load, machine),
        "frequencies_mhz": tried(frequencies, machine),
    }
    if each:
        found["percent_each"] = {
            name.removeprefix("cpu"): tried(shares, before, after, name) for name in after if name != "cpu"
        }
    return found


def _policies(machine: Machine) -> list[Path]:
    return list(machine.folders(machine.sys / _FREQUENCIES, "policy*"))


def _numbers(machine: Machine, file: str) -> list[int]:
    """The processors that a list such as `0-3,6` names. Raises Missing."""
    path = machine.sys / "devices/system/cpu" / file
    found: list[int] = []
    try:
        for part in machine.word(path).split(","):
            first, _, last = part.partition("-")
            found += range(int(first), int(last or first) + 1)
    except ValueError:
        raise Missing(f"{path} has a form that is not known") from None
    return found


def _places(machine: Machine) -> list[tuple[int, int]]:
    """Package and core of every processor that is online. Raises Missing."""
    folder = machine.sys / "devices/system/cpu"
    return [
        (
            machine.number(folder / f"cpu{number}/topology/physical_package_id"),
            machine.number(folder / f"cpu{number}/topology/core_id"),
        )
        for number in _numbers(machine, "online")
    ]
