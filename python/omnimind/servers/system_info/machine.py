"""Where facts are read, and what stands in their place when they cannot be.

Rule: a value was read a moment ago from the file that the kernel keeps it in, or it is
`{"available": false, "why": ...}`; nothing is guessed or filled in. The roots are arguments, so a test can lay
out a machine of its own. Cost: a read of a file under `/proc` or `/sys` takes 5 to 30 µs.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

FILE_BYTES: Final = 4 * 1024 * 1024

P = ParamSpec("P")
T = TypeVar("T")
Facts = dict[str, Any]


class Missing(Exception):
    """A fact that cannot be had here; the text says why."""


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine as its files show it."""

    proc: Path = Path("/proc")
    sys: Path = Path("/sys")
    etc: Path = Path("/etc")
    root: Path = Path("/")

    def text(self, path: Path) -> str:
        """What a file says, without the last newline. Raises Missing."""
        try:
            with open(path, "rb") as file:
                return file.read(FILE_BYTES).decode("utf-8", "replace").rstrip("\n")
        except OSError as refusal:
            raise Missing(reason(path, refusal)) from None

    def word(self, path: Path) -> str:
        """A file of one line that says something. Raises Missing."""
        found = self.text(path).strip().strip("\0")
        if not found:
            raise Missing(f"{path} is empty")
        return found

    def number(self, path: Path) -> int:
        """A file that holds one whole number. Raises Missing."""
        found = self.text(path).strip()
        try:
            return int(found)
        except ValueError:
            raise Missing(f"{path} holds {found[:40]!r}, which is no number") from None

    def folders(self, path: Path, pattern: str = "*") -> Iterator[Path]:
        """What stands in a folder, in the order of its numbers; nothing if there is none."""
        try:
            names = os.listdir(path)
        except OSError:
            return
        for name in sorted(names, key=_natural):
            if (path / name).match(pattern):
                yield path / name


def reason(path: Path, refusal: OSError) -> str:
    """Why a file could not be read, in words."""
    if refusal.errno in (errno.ENOENT, errno.ENOTDIR):
        return f"{path} does not exist here"
    if refusal.errno in (errno.EACCES, errno.EPERM):
        return f"{path} may not be read by this server"
    return f"{path} cannot be read: {os.strerror(refusal.errno or 0)}"


def missing(why: str) -> Facts:
    """What stands in the place of a value that cannot be had."""
    return {"available": False, "why": why}


def tried(read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | Facts:
    """A value, or what stands in its place."""
    try:
        return read(*args, **kwargs)
    except Missing as lack:
        return missing(str(lack))


def is_missing(value: object) -> bool:
    """Whether a value stands for one that cannot be had."""
    return isinstance(value, dict) and value.get("available") is False


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)]
