"""The machine that a benchmark ran on, what stands between it and a process, and how busy it was.

Everything is read from files; `root` and `environ` are arguments, so that any machine can be told about on any other.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from omnimind.bench.report import Machine

_ROOT: Final = Path("/")
_MARKS: Final = (("docker", ".dockerenv"), ("podman", "run/.containerenv"))
_IN_GROUPS: Final = (
    ("kubernetes", "kubepods"),
    ("docker", "docker"),
    ("podman", "libpod"),
    ("containerd", "containerd"),
    ("lxc", "lxc"),
)
_TICKS: Final = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")


def describe(pid: int, root: Path = _ROOT, environ: Mapping[str, str] = os.environ) -> Machine:
    """The machine, and the limits of the control group that this process is in."""
    kind = container(root, environ)
    return Machine(
        cpus=len(os.sched_getaffinity(0)),
        model=_model(_read(root / "proc/cpuinfo")),
        kernel=f"{platform.system()} {platform.release()}",
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        container=kind,
        bridged=kind is not None and _has_paired_interface(root),
        cpu_limit=min(
            (limit for group in groups(pid, root) if (limit := _cpu_limit(group)) is not None), default=None
        ),
    )


@dataclass(frozen=True, slots=True)
class Used:
    """CPU time of the machine since it started, in ticks, and how often the groups of a process stood still."""

    busy: int
    stolen: int
    all: int
    throttled: int | None

    def since(self, earlier: Used) -> tuple[float | None, float | None, int | None]:
        """The shares of the time that were used and stolen, 0 to 1, and the periods stood still, since then."""
        whole = self.all - earlier.all
        pairs = ((self.busy, earlier.busy), (self.stolen, earlier.stolen))
        shares = [(now - before) / whole for now, before in pairs] if whole > 0 else []
        both = self.throttled is not None and earlier.throttled is not None
        stood = (self.throttled or 0) - (earlier.throttled or 0) if both else None
        return (shares[0], shares[1], stood) if shares else (None, None, stood)


def used(pid: int, root: Path = _ROOT) -> Used:
    """As of now."""
    words = _read(root / "proc/stat").partition("\n")[0].split()[1:]
    ticks = dict(zip(_TICKS, map(int, words), strict=False))
    idle = ticks.get("idle", 0) + ticks.get("iowait", 0)
    stolen, whole = ticks.get("steal", 0), sum(ticks.values())
    stood = [count for group in groups(pid, root) if (count := _throttled(group)) is not None]
    return Used(whole - idle - stolen, stolen, whole, sum(stood) if stood else None)


def container(root: Path = _ROOT, environ: Mapping[str, str] = os.environ) -> str | None:
    """Which kind of container this is; None outside of any."""
    if "KUBERNETES_SERVICE_HOST" in environ:
        return "kubernetes"
    said = environ.get("container") or _read(root / "run/systemd/container").strip()
    if said:
        return said
    for kind, mark in _MARKS:
        if (root / mark).exists():
            return kind
    of_first = _read(root / "proc/1/cgroup")
    return next((kind for kind, word in _IN_GROUPS if word in of_first), None)


def groups(pid: int, root: Path = _ROOT) -> Iterator[Path]:
    """The folders of the control groups that may hold the CPU time of a process, its own and those above it."""
    mounts = [line.split() for line in _read(root / "proc/self/mounts").splitlines()]
    for line in _read(root / f"proc/{pid}/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        for _, at, kind, options, *_ in mounts:
            holds = kind == "cgroup2" if not controllers else kind == "cgroup" and "cpu" in options.split(",")
            if holds and (not controllers or "cpu" in controllers.split(",")):
                top = root / at.lstrip("/")
                group = top / path.lstrip("/")
                yield group
                yield from (above for above in group.parents if above.is_relative_to(top))


def _throttled(group: Path) -> int | None:
    found = re.search(r"^nr_throttled (\d+)$", _read(group / "cpu.stat"), re.MULTILINE)
    return int(found[1]) if found else None


def _cpu_limit(group: Path) -> float | None:
    words = _read(group / "cpu.max").split() or [
        _read(group / "cpu.cfs_quota_us").strip(),
        _read(group / "cpu.cfs_period_us").strip(),
    ]
    if len(words) < 2 or not all(word.isdigit() for word in words) or not int(words[1]):
        return None  # "max", or -1: no limit
    return int(words[0]) / int(words[1])


def _model(text: str) -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return " ".join(found[1].split()) if found else platform.machine()


def _has_paired_interface(root: Path) -> bool:
    """One whose other end is elsewhere: a veth of a bridge."""
    for interface in (root / "sys/class/net").glob("*"):
        here, there = _read(interface / "ifindex").strip(), _read(interface / "iflink").strip()
        if interface.name != "lo" and here != there:
            return True
    return False


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
