"""What libgit2 may meet in a work tree, looked at before it goes there.

libgit2 opens `.gitignore` and `.gitattributes` of every folder it walks and follows them if they are links; a FIFO
there would hold it for ever, and a link out would let a file from outside decide. The walk here goes only where
libgit2 goes: not into ignored folders without a tracked file, not into repositories within.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable

from omnimind.servers.filesystem.roots import kind_of
from omnimind.servers.git.repository import Opened
from omnimind.servers.problem import Problem

Watch = Callable[[], None]
"""Called at every step of long work. Raises if the caller has gone away."""

_READ = (".gitignore", ".gitattributes")


def unwatched() -> None:
    """A watch that looks away."""


def check(opened: Opened, watch: Watch = unwatched) -> None:
    """Raises Problem if a file that steers git in the work tree is not a plain file beneath a root."""
    work = opened.work
    tracked = _folders_of_index(opened)
    pending = [""]
    while pending:
        watch()
        folder = pending.pop()
        full = os.path.join(work, folder)
        for name in _READ:
            _check_file(opened, os.path.join(full, name))
        try:
            with os.scandir(full) as found:
                below = [entry.name for entry in found if entry.is_dir(follow_symlinks=False)]
        except (PermissionError, FileNotFoundError, NotADirectoryError):
            continue
        for name in below:
            path = f"{folder}/{name}" if folder else name
            if name != ".git" and _is_walked(opened, path, tracked):
                pending.append(path)


def _is_walked(opened: Opened, path: str, tracked: set[str]) -> bool:
    if path in tracked:
        return True
    if os.path.lexists(os.path.join(opened.work, path, ".git")):
        return False
    try:
        return not opened.repo.path_is_ignored(path + "/")
    except (ValueError, UnicodeError):  # a name that is no text
        return True


def _folders_of_index(opened: Opened) -> set[str]:
    folders: set[str] = set()
    for entry in opened.repo.index:
        folder = os.path.dirname(entry.path)
        while folder and folder not in folders:
            folders.add(folder)
            folder = os.path.dirname(folder)
    return folders


def _check_file(opened: Opened, path: str) -> None:
    try:
        kind = os.lstat(path).st_mode
    except OSError:
        return
    shown = os.path.relpath(path, opened.work)
    if stat.S_ISLNK(kind):
        real = os.path.realpath(path)
        if all(root.below(real) is None for root in opened.roots.roots):
            raise Problem(
                f"{opened.shown}: {shown} is a link that leads out of the allowed directories "
                f"({opened.roots.shown()}); put a plain file in its place"
            )
        try:
            kind = os.stat(real).st_mode
        except OSError:
            return
    if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):
        raise Problem(f"{opened.shown}: {shown} is {kind_of(kind)}; put a plain file in its place")
