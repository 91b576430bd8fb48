"""The machine: Python, packages, open files, disk, clock."""

from __future__ import annotations

import os
import platform
import re
import resource
import shutil
import sys
import time
from collections.abc import Iterator
from importlib import import_module, metadata
from pathlib import Path
from typing import Final

import omnimind
from omnimind.cli.doctor.finding import Finding, fail, ok, warn

_PACKAGES: Final = ("mcp", "anyio", "msgpack", "lz4", "psutil", "platformdirs")
_AT_LEAST: Final[dict[str, tuple[int, ...]]] = {"mcp": (2, 3), "anyio": (4, 9), "psutil": (7,)}
_BELOW: Final[dict[str, tuple[int, ...]]] = {"mcp": (3,)}
_DESCRIPTORS: Final = 4096
_LITTLE_MIB: Final = 100
_LEAST_MIB: Final = 10
_INODES: Final = 1000
_FIRST_YEAR: Final = 2025
_AHEAD_S: Final = 60.0
INSTALL = "install again, from the wheel or the checkout"


def examine(state: Path) -> Iterator[Finding]:
    """Every finding about the machine."""
    yield ok("python", f"{platform.python_version()} at {sys.executable}")
    yield from _packages()
    yield _open_files()
    yield from _disk(_existing(state))
    yield _clock(state)


def _packages() -> Iterator[Finding]:
    yield ok("omnimind", omnimind.__version__)
    for name in _PACKAGES:
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            yield fail(f"package {name}", "missing", INSTALL)
            continue
        numbers = tuple(int(number) for number in re.findall(r"\d+", found)[:3])
        low, high = _AT_LEAST.get(name, ()), _BELOW.get(name)
        if numbers < low or (high is not None and numbers >= high):
            wanted = f"{_dotted(low)} or newer" + (f", below {_dotted(high)}" if high else "")
            yield fail(f"package {name}", f"{found}; {wanted} is needed", INSTALL)
        else:
            yield ok(f"package {name}", found)
    try:
        import_module("omnimind._core")
    except ImportError as error:
        yield fail("extension", str(error), "build it: make up; or " + INSTALL)
    else:
        yield ok("extension", "omnimind._core loads")


def _dotted(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))


def _open_files() -> Finding:
    # The gateway raises its own soft limit.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= hard < _DESCRIPTORS:
        fix = f"raise the hard limit of open files (nofile) to {_DESCRIPTORS} in limits.conf"
        return warn("open files", f"limit {hard}: too few for many clients", fix)
    return ok("open files", f"limit {hard if hard >= 0 else 'none'}")


def _disk(folder: Path) -> Iterator[Finding]:
    free_mib = shutil.disk_usage(folder).free // 2**20
    fix = f"make room on the file system of {folder}, or choose another folder: --state DIR"
    if free_mib < _LEAST_MIB:
        yield fail("disk", f"{free_mib} MiB free at {folder}", fix)
    elif free_mib < _LITTLE_MIB:
        yield warn("disk", f"{free_mib} MiB free at {folder}", fix)
    else:
        yield ok("disk", f"{free_mib} MiB free at {folder}")
    system = os.statvfs(folder)
    if system.f_files and system.f_favail < _INODES:
        yield warn("disk", f"{system.f_favail} inodes free at {folder}", fix)


def _clock(state: Path) -> Finding:
    """Sessions and tokens expire by the wall clock, so it must not be far off."""
    now_s = time.time()
    fix = "set it: timedatectl set-ntp true"
    if time.gmtime(now_s).tm_year < _FIRST_YEAR:
        return fail("clock", time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(now_s)), fix)
    written_s = max((path.stat().st_mtime for path in state.glob("*.json")), default=0.0)
    if written_s > now_s + _AHEAD_S:
        return warn("clock", f"{written_s - now_s:.0f} s behind the last write to the state folder", fix)
    return ok("clock", time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now_s)))


def _existing(folder: Path) -> Path:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder
