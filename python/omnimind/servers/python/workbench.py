"""A fresh folder for one run of a tool: files are laid in, a job works on them, what it made is taken out, all goes.

The folder belongs to that run alone: no code of a stranger can have prepared it, and none can reach it later. So
laying files in needs no care beyond their names. Taking them out goes through `open_beneath`, because by then
something may have run in it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import importlib.util
import os
import secrets
import stat
import sys
import sysconfig
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread

from omnimind.linux.openat2 import open_beneath
from omnimind.servers import depends
from omnimind.servers.problem import Problem
from omnimind.servers.python import packages, scratch
from omnimind.servers.python.install import Environment, size
from omnimind.servers.python.jail import Jail

STALE_S: Final = 3_600
TAKEN_BYTES: Final = 32 * 1024 * 1024
ADD_TOOLS: Final = "pip install ruff mypy pytest"
"""By their own names: the package index knows somebody else's package by ours."""


@dataclass(frozen=True, slots=True)
class Workbench:
    """Where the tools of one server work: `base` is the server's part of the state folder."""

    jail: Jail
    base: Path
    headers: packages.Headers = field(default_factory=packages.headers)

    def make_folders(self) -> None:
        """Make what all calls share."""
        for name in ("runs", "cache"):
            (self.base / name).mkdir(mode=0o700, parents=True, exist_ok=True)

    @contextlib.asynccontextmanager
    async def folder(self, files: Mapping[str, bytes]) -> AsyncIterator[Path]:
        """A folder with these files, for as long as the block runs."""
        made = await anyio.to_thread.run_sync(lay, self.base / "runs", files)
        try:
            yield made
        finally:
            with anyio.CancelScope(shield=True):  # tests may have left a hundred thousand files
                await anyio.to_thread.run_sync(scratch.remove, made)

    def environment(self, principal: str) -> Environment:
        """What this principal has installed."""
        return Environment(self.base / "packages" / _hashed(principal))

    def library(self, principal: str) -> str | None:
        """The folder of packages that this principal has installed, for the front of a job's `sys.path`."""
        folder = self.environment(principal).current()
        return None if folder is None else str(folder)

    @contextlib.contextmanager
    def cache(self, principal: str, most: int) -> Iterator[Path | None]:
        """A folder for what only saves time, of this principal alone; None while another run has it.

        Two runs in one cache would wait for each other's locks. It is begun anew when it has grown beyond `most`.
        """
        folder = self.base / "cache" / _hashed(principal)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            yield self._kept(folder, most) if _locked(lock) else None
        finally:
            os.close(lock)

    def _kept(self, folder: Path, most: int) -> Path:
        kept = folder / "kept"
        if size(kept) > most:
            scratch.remove(kept)
        kept.mkdir(mode=0o700, exist_ok=True)
        return kept

    def reports(self, principal: str) -> Path:
        """A folder for results that can be asked for again."""
        made = self.base / "reports" / _hashed(principal)
        made.mkdir(mode=0o700, parents=True, exist_ok=True)
        return made


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _hashed(principal: str) -> str:
    return hashlib.sha256(principal.encode()).hexdigest()[:32]


def lay(runs: Path, files: Mapping[str, bytes]) -> Path:
    """A new folder among the runs, with these files. Those that a killed worker left long ago are removed."""
    for entry in os.scandir(runs):
        with contextlib.suppress(OSError):
            if time.time() - entry.stat(follow_symlinks=False).st_mtime > STALE_S:
                scratch.remove(Path(entry.path))
    made = runs / secrets.token_hex(8)
    made.mkdir(mode=0o700)
    for name, data in files.items():
        _lay_one(made, name, data)
    return made


def _lay_one(made: Path, name: str, data: bytes) -> None:
    """One file. The job may be another user, and `runs` lets nobody else in: so all in it may be written."""
    folder = made
    for part in name.split("/")[:-1]:
        folder = folder / part
        if not folder.is_dir():
            folder.mkdir()
            folder.chmod(0o777)
    file = made / name
    file.write_bytes(data)
    file.chmod(0o666)


def take(folder: Path, names: Sequence[str]) -> dict[str, bytes]:
    """These files as they are now; a file that is gone, or is none any more, is left out."""
    taken: dict[str, bytes] = {}
    left = TAKEN_BYTES
    beneath = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in names:
            with contextlib.suppress(OSError):
                taken[name] = _taken(beneath, name, left)
                left -= len(taken[name])
    finally:
        os.close(beneath)
    return taken


def _taken(beneath: int, name: str, most: int) -> bytes:
    descriptor = open_beneath(beneath, name, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        data = file.read(most + 1)
    if len(data) > most:
        raise Problem(f"the files have more than {TAKEN_BYTES:,} bytes now; give fewer at a time")
    return data


def program(name: str) -> str:
    """The path of a program that a package of this interpreter brought. Raises Problem if it is missing."""
    for folder in (sysconfig.get_path("scripts"), os.path.dirname(sys.executable)):
        path = os.path.join(folder, name)
        depends.file(path)
        if os.access(path, os.X_OK):
            return path
    raise missing(name)


def require(module: str) -> None:
    """Raise Problem if this module of the extra is missing. Imports nothing."""
    if importlib.util.find_spec(module) is None:
        raise missing(module)


def missing(tool: str) -> Problem:
    """For a tool that is not installed."""
    return Problem(
        f"{tool} is not installed in the environment of OmniMind; its operator can add it with `{ADD_TOOLS}`"
    )
