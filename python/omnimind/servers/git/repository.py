"""Opening a repository for one call, and saying in words what libgit2 refuses.

A repository is opened anew for every call: what a call sees is what is on disk, and nothing that was checked for
one call is believed in the next. Calls that change a repository wait for each other, one at a time a repository.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

import pygit2
from pygit2.enums import RepositoryOpenFlag

from omnimind.servers import depends
from omnimind.servers.filesystem.roots import Place, Roots, trouble
from omnimind.servers.git import evidence, objects
from omnimind.servers.git.layout import Layout, inspect
from omnimind.servers.problem import Problem

_WRITER_WAIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Opened:
    """One repository, open for one call."""

    repo: pygit2.Repository
    layout: Layout
    roots: Roots
    shown: str

    @property
    def work(self) -> str:
        """The work tree. Raises Problem for a bare repository."""
        if self.layout.work is None:
            raise Problem(f"{self.shown} is a bare repository: it has no work tree and nothing to stage")
        return self.layout.work

    def need_work_tree(self) -> None:
        """Raises Problem for a bare repository."""
        _ = self.work


@dataclass(frozen=True)
class Repositories:
    """All repositories beneath the allowed directories."""

    roots: Roots
    _writers: dict[str, threading.Lock] = field(default_factory=dict)
    _objects: objects.Kept = field(default_factory=objects.kept)

    @contextmanager
    def opened(self, path: str, *, change: bool = False) -> Iterator[Opened]:
        """The repository at this path of a caller for as long as the block runs; alone if it is to change."""
        place = self.roots.locate(path)
        real = real_folder(self.roots, place)
        if real != os.path.normpath(f"{place.root.path}/{place.relative}"):
            depends.unsure()  # a link led here, and may lead elsewhere tomorrow
        layout = inspect(self.roots, real, place.shown)
        evidence.repository(layout)
        with self._alone(layout, place.shown) if change else nullcontext(), explained(place.shown):
            repo = pygit2.Repository(layout.opened, RepositoryOpenFlag.NO_SEARCH)
            try:
                _refuse_other_places(repo, layout, place.shown)
                objects.stand_before(repo, layout.objects, self._objects)
                yield Opened(repo, layout, self.roots, place.shown)
            finally:
                repo.free()

    @contextmanager
    def _alone(self, layout: Layout, shown: str) -> Iterator[None]:
        lock = self._writers.setdefault(layout.common, threading.Lock())
        if not lock.acquire(timeout=_WRITER_WAIT_S):
            raise Problem(f"{shown} is being changed by another call for a long time; try again")
        try:
            yield
        finally:
            lock.release()


def real_folder(roots: Roots, place: Place) -> str:
    """Where this folder really is. Raises Problem if it is none, or leads out."""
    try:
        with roots.opened(place, os.O_PATH | os.O_DIRECTORY) as descriptor:
            return os.readlink(f"/proc/self/fd/{descriptor}")
    except Problem as problem:  # its advice is for the filesystem server
        raise Problem(str(problem).replace("list_directory", "git_list_repositories")) from problem


def _refuse_other_places(repo: pygit2.Repository, layout: Layout, shown: str) -> None:
    """What libgit2 opened is what was looked at."""
    folder = os.path.realpath(repo.path)
    work = None if repo.workdir is None else os.path.realpath(repo.workdir)
    if folder != layout.folder or work not in (layout.work, None):
        raise Problem(f"{shown} is laid out in a way that this server does not open; use a plain repository")


@contextmanager
def explained(shown: str) -> Iterator[None]:
    """Errors of libgit2 and of the operating system as problems that say what to do."""
    try:
        yield
    except OSError as refusal:
        raise trouble(refusal, shown) from refusal
    except (pygit2.GitError, KeyError, ValueError) as refusal:
        raise Problem(f"{shown}: {_words(_said(refusal))}") from refusal
    except SystemError as wrapped:  # how an error of `objects` comes through libgit2
        cause = wrapped.__cause__
        if isinstance(cause, OSError):
            raise trouble(cause, shown) from wrapped
        if isinstance(cause, pygit2.GitError):
            raise Problem(f"{shown}: {_words(_said(cause))}") from wrapped
        raise


def _said(refusal: BaseException) -> str:
    return str(refusal.args[0] if refusal.args else refusal)


def _words(said: str) -> str:
    known = {
        ".lock": "another program changes this repository or left a lock behind ({}); wait for it, and if none "
        "runs, remove that file",
        "is locked": "another program changes the index or left .git/index.lock behind ({}); wait for it, and if none "
        "runs, remove that file",
        "owned by current user": "the repository belongs to another user ({})",
        "ermission denied": "the operating system denies a part of it to this server ({})",
        "object not found": "it lacks an object ({}); it is damaged or a partial clone, `git fsck` tells",
        "odb:": "its objects cannot be read ({}); `git fsck` tells what is damaged",
        "corrupt": "a part of it is damaged ({}); `git fsck` tells what",
        "invalid": "a part of it is not valid ({})",
        "unsupported extension": "it needs a part of git that this server does not know ({})",
    }
    return next((words.format(said) for sign, words in known.items() if sign in said), f"git refused: {said}")


def text_of(raw: bytes | None, encoding: str | None = None) -> str:
    """Bytes of a repository as text; what is no text in its encoding is replaced, never refused."""
    try:
        return (raw or b"").decode(encoding or "utf-8", "replace")
    except LookupError:
        return (raw or b"").decode("utf-8", "replace")


def message_of(commit: pygit2.Commit | pygit2.Tag) -> str:
    """The whole message of a commit or tag."""
    encoding = commit.message_encoding if isinstance(commit, pygit2.Commit) else None
    return text_of(commit.raw_message, encoding)
