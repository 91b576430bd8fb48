"""Folders that code may write: one for each run or session, beneath one for each principal.

What lies in them was made by a stranger. So they are only ever looked at through `open_beneath`, from a descriptor
of the folder, without following links, and only regular files are opened.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import queue
import secrets
import shutil
import stat
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from omnimind.linux.openat2 import open_beneath
from omnimind.servers.problem import Problem
from omnimind.servers.python.jail.usage import ENTRIES

LISTED: Final = 100
KEPT_RUNS: Final = 8
"""Folders of runs that left files, for each principal; the oldest go first."""
STALE_S: Final = 3_600
READ_BYTES: Final = 8 * 1024 * 1024
_RUN = "run-"


@dataclass(frozen=True, slots=True)
class File:
    """A file that code has left."""

    path: str
    bytes: int


class Scratch:
    """All the folders of one server."""

    def __init__(self, base: Path) -> None:
        self._base = base
        self._discarded: queue.SimpleQueue[Path] = queue.SimpleQueue()
        self._remover: threading.Thread | None = None

    def new(self, principal: str, kind: str = _RUN) -> Path:
        """A fresh folder. Those that a killed worker has left are removed now and then."""
        owner = self._owner(principal)
        folder = owner / f"{kind}{secrets.token_hex(16)}"
        try:
            folder.mkdir(mode=0o700)
        except FileNotFoundError:
            owner.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.mkdir(mode=0o700)
        return folder

    def run(self, principal: str, handle: str) -> Path:
        """The folder of a finished run that left files. Raises Problem."""
        folder = self._owner(principal) / f"{_RUN}{handle}"
        if not handle.isalnum() or not folder.is_dir():
            raise Problem(
                f"no run {handle!r} with files is kept; files stay for {STALE_S // 60} minutes and of the last "
                f"{KEPT_RUNS} runs that left any. Run the code again, or use a session"
            )
        return folder

    def handle(self, folder: Path) -> str:
        """What names a run's folder to its principal."""
        return folder.name.removeprefix(_RUN)

    def discard(self, folder: Path) -> None:
        """Have a folder removed; nobody waits for it, because code can fill one with more than is removed quickly."""
        try:
            os.rmdir(folder)
        except FileNotFoundError:
            return
        except OSError:
            with contextlib.suppress(OSError):
                folder = folder.rename(folder.with_name(f"gone-{secrets.token_hex(8)}"))
            self._discarded.put(folder)
            if self._remover is None:
                self._remover = threading.Thread(target=self._remove, name="scratch", daemon=True)
                self._remover.start()

    def _remove(self) -> None:
        while True:
            remove(self._discarded.get())

    def sweep(self, principal: str) -> None:
        """Remove what is too old or too much among the principal's runs, and all that a dead worker has left."""
        owner = self._owner(principal)
        kept = 0
        with contextlib.suppress(FileNotFoundError):
            entries = sorted(os.scandir(owner), key=_changed, reverse=True)
            for entry in entries:
                stale = time.time() - _changed(entry) > STALE_S
                kept += entry.name.startswith(_RUN)
                if stale or (entry.name.startswith(_RUN) and kept > KEPT_RUNS):
                    self.discard(Path(entry.path))

    def _owner(self, principal: str) -> Path:
        return self._base / hashlib.sha256(principal.encode()).hexdigest()[:32]


def _changed(entry: os.DirEntry[str]) -> float:
    try:
        return entry.stat(follow_symlinks=False).st_mtime
    except OSError:
        return 0.0


def touch(folder: Path) -> None:
    """The folder is in use."""
    with contextlib.suppress(OSError):
        os.utime(folder)


def listed(folder: Path) -> tuple[list[File], int]:
    """The regular files beneath, the first hundred by name, and how many more there are (of the first 10,000)."""
    found: list[File] = []
    entries = 0
    waiting = [""]
    while waiting and entries < ENTRIES:
        below = waiting.pop()
        try:
            listing = os.scandir(folder / below)
        except OSError:
            continue
        with listing:
            for entry in listing:
                entries += 1
                with contextlib.suppress(OSError):
                    status = entry.stat(follow_symlinks=False)
                    path = f"{below}{entry.name}"
                    if stat.S_ISDIR(status.st_mode):
                        waiting.append(f"{path}/")
                    elif stat.S_ISREG(status.st_mode):
                        found.append(File(path.encode("utf-8", "replace").decode(), status.st_size))
    found.sort(key=lambda file: file.path)
    return found[:LISTED], max(0, len(found) - LISTED)


def read(folder: Path, path: str, offset: int = 0, limit: int = READ_BYTES) -> tuple[bytes, int]:
    """A part of a file, and the size of the whole. Raises Problem."""
    beneath = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        descriptor = open_beneath(beneath, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError as refusal:
        missing = refusal.errno in (errno.ENOENT, errno.ENOTDIR)
        said = "there is no such file in this folder" if missing else "only files in this folder can be read"
        raise Problem(f"{path!r}: {said}; the result of execute lists them") from refusal
    finally:
        os.close(beneath)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise Problem(f"{path!r} is not a regular file; the result of execute lists those that are")
        file.seek(offset)
        return file.read(min(limit, READ_BYTES)), status.st_size


def remove(folder: Path) -> None:
    """Take a folder away with all in it, also where its owner has shut parts of it."""

    def open_up(_: Callable[..., Any], path: str, __: Any) -> None:
        with contextlib.suppress(OSError):
            os.chmod(os.path.dirname(path), 0o700)
            if stat.S_ISDIR(os.lstat(path).st_mode):
                os.chmod(path, 0o700)
                shutil.rmtree(path, ignore_errors=True)
            else:
                os.unlink(path)

    shutil.rmtree(folder, onerror=open_up)
