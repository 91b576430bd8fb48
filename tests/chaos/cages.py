"""Where attacks run: cgroups of their own with few processes and little memory, and a user who may do nothing.

The caps are hard and below what the machine can spare. Without root and writable cgroups there is no cage,
and then there is no attack either: the test is skipped and says why.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fleet import wait_until

NOBODY = 65534
PROCESSES = 200
MEMORY_MB = 512
CGROUP = Path("/sys/fs/cgroup")


def _limits(memory_mb: int) -> dict[str, dict[str, int]]:
    """What is written where, if the machine has the first version of cgroups; by controller."""
    return {
        "pids": {"pids.max": PROCESSES},
        "memory": {"memory.limit_in_bytes": memory_mb << 20},
    }


@dataclass(frozen=True)
class Cage:
    """Where an attack is locked up, and the arguments with which `hostile.neighbour` locks itself up there."""

    folders: list[Path]
    arguments: list[str]

    def processes(self) -> int:
        return len((self.folders[0] / "cgroup.procs").read_text().split())


@contextmanager
def cage(memory_mb: int = MEMORY_MB) -> Iterator[Cage]:
    """A cage; skips the test where there can be none."""
    if os.geteuid() != 0:
        pytest.skip("NOT PROVEN HERE: attacks are only run by root, who can lock them up in cgroups")
    name = f"omnimind-test-{secrets.token_hex(4)}"
    folders: list[Path] = []
    try:
        try:
            folders = _unified(name, memory_mb) if _is_unified() else _separate(name, memory_mb)
        except OSError as fault:
            pytest.skip(f"NOT PROVEN HERE: no cgroup for the attack: {fault}")
        arguments = [word for folder in folders for word in ("--cage", str(folder))]
        arguments += ["--uid", str(NOBODY), "--memory-mb", str(memory_mb), "--processes", str(PROCESSES)]
        yield Cage(folders, arguments)
    finally:
        for folder in reversed(folders):
            _empty(folder)


def _is_unified() -> bool:
    return (CGROUP / "cgroup.controllers").exists()


def _separate(name: str, memory_mb: int) -> list[Path]:
    folders = []
    for controller, limits in _limits(memory_mb).items():
        folder = CGROUP / controller / name
        folder.mkdir()
        folders.append(folder)
        for file, value in limits.items():
            (folder / file).write_text(str(value))
    return folders


def _unified(name: str, memory_mb: int) -> list[Path]:
    folder = CGROUP / name
    folder.mkdir()
    for file, value in {"pids.max": PROCESSES, "memory.max": memory_mb << 20, "memory.swap.max": 0}.items():
        (folder / file).write_text(str(value))
    return [folder]


def _empty(folder: Path) -> None:
    """End what is left in the cgroup, then remove it."""
    with contextlib.suppress(FileNotFoundError):
        for line in (folder / "cgroup.procs").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(line), signal.SIGKILL)
        wait_until(lambda: not (folder / "cgroup.procs").read_text().strip(), 10, f"{folder} is empty")
        folder.rmdir()
