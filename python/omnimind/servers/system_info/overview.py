"""The machine as a whole: system, kernel, time, and what it runs inside of.

Whether a machine is virtual or a container is known by marks only. Each answer names the mark; where none is
found that is what is said, not that there is no container.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from omnimind.servers.system_info.machine import Facts, Machine, Missing, missing, tried

_HYPERVISORS: Final = {
    "qemu": "kvm or qemu", "kvm": "kvm or qemu", "amazon ec2": "amazon ec2", "google": "google compute engine",
    "vmware": "vmware", "virtualbox": "virtualbox", "innotek": "virtualbox", "xen": "xen",
    "microsoft corporation": "hyper-v", "parallels": "parallels", "bhyve": "bhyve",
    "digitalocean": "digitalocean", "hetzner": "hetzner", "openstack": "openstack",
}  # fmt: skip
_ALSO_HARDWARE: Final = ("google", "microsoft corporation")
_CONTAINER_MARKS: Final = {".dockerenv": "docker", "run/.containerenv": "podman"}
_GROUP_WORDS: Final = {"docker": "docker", "kubepods": "kubernetes", "libpod": "podman", "lxc": "lxc"}


def facts(machine: Machine, with_names: bool) -> Facts:
    """System, kernel, uptime, what is around it, and with `with_names` what the machine is called."""
    kernel = os.uname()
    found: Facts = {
        "system": tried(_system, machine),
        "kernel": {"name": kernel.sysname, "release": kernel.release, "version": kernel.version},
        "architecture": kernel.machine,
        "uptime_s": tried(uptime_s, machine),
        "booted_at": tried(booted_at, machine),
        "now": datetime.now(UTC).isoformat(timespec="seconds"),
        "time_zone": time.strftime("%Z (UTC%z)"),
        "virtualization": virtualization(machine),
        "container": container(machine),
        "clock": tried(_clock, machine),
    }
    if with_names:
        found["host_name"] = kernel.nodename
    return found


def uptime_s(machine: Machine) -> float:
    """Seconds since boot. Raises Missing."""
    path = machine.proc / "uptime"
    try:
        return float(machine.word(path).split()[0])
    except ValueError:
        raise Missing(f"{path} has a form that is not known") from None


def boot_s(machine: Machine) -> int:
    """When the machine started, in seconds since 1970. Raises Missing."""
    for line in machine.text(machine.proc / "stat").splitlines():
        name, _, value = line.partition(" ")
        if name == "btime" and value.isdigit():
            return int(value)
    raise Missing(f"{machine.proc / 'stat'} does not say when the machine started")


def booted_at(machine: Machine) -> str:
    """When the machine started, as a date. Raises Missing."""
    return datetime.fromtimestamp(boot_s(machine), UTC).isoformat()


def virtualization(machine: Machine) -> Facts:
    """Whether the processor says that it is a guest, and what the firmware calls the machine."""
    try:
        kind = machine.word(machine.sys / "hypervisor/type")
    except Missing:
        pass
    else:
        return {"virtual": True, "kind": kind, "mark": "/sys/hypervisor/type"}
    files = ("sys_vendor", "product_name")
    named = [tried(machine.word, machine.sys / "class/dmi/id" / file) for file in files]
    said = " ".join(name for name in named if isinstance(name, str))
    word = next((word for word in _HYPERVISORS if word in said.lower()), None)
    guest = _is_guest(machine)
    if guest is False:
        return {"virtual": False, "kind": None, "mark": "the processor has no hypervisor flag"}
    if guest is None and (word is None or word in _ALSO_HARDWARE):
        return missing("this processor has no mark of a guest, and the firmware names no hypervisor")
    mark = "the processor's hypervisor flag" if guest else f"the firmware says {said!r}"
    lack = missing("the firmware names no hypervisor that is known here")
    return {"virtual": True, "kind": lack if word is None else _HYPERVISORS[word], "mark": mark}


def _is_guest(machine: Machine) -> bool | None:
    """What the flags say; None where the architecture has no such flag."""
    try:
        text = machine.text(machine.proc / "cpuinfo")
    except Missing:
        return None
    flags = next((line.split() for line in text.splitlines() if line.startswith("flags")), None)
    return None if flags is None else "hypervisor" in flags


def container(machine: Machine) -> Facts:
    """The first mark of a container that is found."""
    for file, kind in _CONTAINER_MARKS.items():
        if (machine.root / file).exists():
            return {"found": kind, "mark": f"/{file} exists"}
    try:
        path = machine.text(machine.proc / "self/cgroup")
    except Missing:
        path = ""
    for word, kind in _GROUP_WORDS.items():
        if word in path:
            return {"found": kind, "mark": f"the name of the control group holds {word!r}"}
    if (machine.root / "run/systemd/container").exists():
        return {"found": "a container", "mark": "/run/systemd/container exists"}
    return {"found": None, "mark": "no mark of docker, podman, kubernetes, lxc or systemd was found"}


def _system(machine: Machine) -> Facts:
    said: dict[str, str] = {}
    for line in machine.text(machine.etc / "os-release").splitlines():
        key, equals, value = line.partition("=")
        if equals:
            said[key] = value.strip().strip("\"'")
    return {
        "name": said.get("PRETTY_NAME") or said.get("NAME") or missing("os-release gives no name"),
        "id": said.get("ID") or missing("os-release gives no id"),
        "version": said.get("VERSION_ID") or missing("os-release gives no version, as rolling releases do"),
    }


def _clock(machine: Machine) -> Facts:
    folder: Path = machine.sys / "devices/system/clocksource/clocksource0"
    return {
        "source": machine.word(folder / "current_clocksource"),
        "possible": tried(lambda: machine.text(folder / "available_clocksource").split()),
    }
