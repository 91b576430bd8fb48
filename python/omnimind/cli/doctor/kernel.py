"""What the kernel offers, and what the fleet does without."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from pathlib import Path

from omnimind.cli.doctor.finding import Finding, fail, ok, warn

_SCOPE = "systemd-run --user --scope -p Delegate=yes omnimind up"
_V1 = Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")
_NEWER = "use a newer kernel, or have the container allow it"


def examine() -> Iterator[Finding]:
    """Every finding about the kernel."""
    if sys.platform != "linux":
        yield fail("system", sys.platform, "run it on Linux")
        return
    yield ok("kernel", platform.release())
    from omnimind.linux import features

    if features.has_pidfd():
        yield ok("pidfd", "signals cannot reach a stranger")
    else:
        yield fail(
            "pidfd", "missing: a process cannot be told for certain from one that took its pid", _NEWER
        )
    if features.has_openat2():
        yield ok("openat2", "paths are resolved beneath their folder by the kernel")
    else:
        yield warn("openat2", "missing: paths are checked step by step, and links in them refused", _NEWER)
    abi = features.landlock_abi()
    if abi:
        yield ok("landlock", f"version {abi}")
    else:
        fix = "boot with lsm=landlock,... on 5.13 or newer, or have the container allow it"
        lost = "missing: built-in servers are confined by their own checks alone, and python runs no code"
        yield warn("landlock", lost, fix)
    if features.has_seccomp_filter():
        yield ok("seccomp", "filters are there")
    else:
        lost = "missing: system calls of built-in servers are not filtered, and python runs no code"
        yield warn("seccomp", lost, _NEWER)
    yield from _groups()
    if features.has_user_namespaces():
        yield ok("user namespaces", "can be made")
    else:
        fix = (
            "as root: sysctl -w user.max_user_namespaces=10000 kernel.apparmor_restrict_unprivileged_userns=0"
        )
        yield warn("user namespaces", "refused: hardening of systemd user units does not work", fix)
    yield from _tracing()


def _groups() -> Iterator[Finding]:
    from omnimind.linux import cgroup

    own = cgroup.own()
    refusal = cgroup.refusal(own)
    if own is None or refusal is not None:
        lost = "trees are found through their parents, and limits are kept by rlimits and by watching"
        yield warn("control groups", f"{refusal}: {lost}", f"start the fleet in a group of its own: {_SCOPE}")
        return
    yield ok("control groups", f"version 2, writable, with cgroup.kill, at {own.path}")
    there = set(own.read("cgroup.controllers").split())
    missing = sorted({"memory", "pids", "cpu"} - there)
    if missing:
        lost = "their limits are kept by rlimits and by watching"
        yield warn("controllers", f"missing: {', '.join(missing)}; {lost}", _for_controllers())
    else:
        yield ok("controllers", "memory, pids, cpu")


def _for_controllers() -> str:
    if _V1.exists():
        return "they are of version 1 here: boot with systemd.unified_cgroup_hierarchy=1"
    return f"have them delegated: {_SCOPE}"


def _tracing() -> Iterator[Finding]:
    from omnimind.linux import features

    if features.has_btf():
        yield ok("btf", "the kernel tells its types")
    else:
        fix = "use a kernel with CONFIG_DEBUG_INFO_BTF=y"
        yield warn("btf", "missing: latency cannot be watched from the kernel's side", fix)
    found = features.tracefs()
    if found is not None:
        yield ok("tracefs", str(found))
    else:
        fix = "mount -t tracefs nodev /sys/kernel/tracing (as root)"
        yield warn("tracefs", "not mounted: latency cannot be watched from the kernel's side", fix)
