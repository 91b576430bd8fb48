"""The user who called sudo: files are written, folders found and loads started as that user, not as root.

`acting()` switches the effective ids of this process and back, so the kernel itself judges every path as the user's; a
link that somebody put there leads nowhere that the user may not go. Whoever was not called by sudo is left alone.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Invoker:
    """Whom to be."""

    uid: int
    gid: int
    name: str
    home: Path

    @contextmanager
    def acting(self) -> Iterator[None]:
        """Be this user within the block. Not for threads: the ids are the process's."""
        groups, gid, uid = os.getgroups(), os.getegid(), os.geteuid()
        os.setgroups(os.getgrouplist(self.name, self.gid))
        os.setegid(self.gid)
        os.seteuid(self.uid)
        try:
            yield
        finally:
            os.seteuid(uid)
            os.setegid(gid)
            os.setgroups(groups)

    def become(self) -> None:
        """Be this user from now on and for good, with the user's environment; root cannot be had back."""
        from omnimind.linux import process

        os.setgroups(os.getgrouplist(self.name, self.gid))
        os.setresgid(self.gid, self.gid, self.gid)
        os.setresuid(self.uid, self.uid, self.uid)
        process.hide_memory(False)  # the kernel hides a process that changed its user, from itself as well
        kept = self.environment(os.environ)
        os.environ.clear()
        os.environ.update(kept)

    def environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        """That environment as a program of this user expects it: the user's home, not root's."""
        foreign = ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR")
        kept = {key: value for key, value in environ.items() if key not in foreign}
        return {**kept, "HOME": str(self.home), "USER": self.name, "LOGNAME": self.name}


def find(environ: Mapping[str, str] = os.environ) -> Invoker | None:
    """Who called sudo; None without sudo, for root itself, and if the numbers name nobody."""
    if os.geteuid() != 0:
        return None
    try:
        uid, gid = int(environ["SUDO_UID"]), int(environ["SUDO_GID"])
        entry = pwd.getpwuid(uid)
    except (KeyError, ValueError):
        return None
    return None if uid == 0 else Invoker(uid, gid, entry.pw_name, Path(entry.pw_dir))


@contextmanager
def acting(who: Invoker | None) -> Iterator[None]:
    """`who.acting()`; without one, nothing."""
    if who is None:
        yield
    else:
        with who.acting():
            yield


def write(path: Path, text: str, who: Invoker | None) -> None:
    """Write a file as that user, in one step: a reader sees the old one or all of the new one. Raises OSError."""
    with acting(who):
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            with open(fresh, "x", encoding="utf-8") as file:
                file.write(text)
            os.replace(fresh, path)
        finally:
            fresh.unlink(missing_ok=True)
