"""What an answer of the git server depends on: the files of a repository that say which object a name means.

An object never changes, so a log or a file of a fixed commit depends on the files that steer how it is shown, and
on no more. A name depends on every file that could give it another meaning: git looks for `main` in six places. What
is not followed here (reflogs, abbreviated ids, worktrees, included configurations, attributes) makes an answer one
that is not kept.
"""

from __future__ import annotations

import os
import re
from typing import Final

import pygit2

from omnimind.servers import depends
from omnimind.servers.git.layout import Layout

_STEERING: Final = ("config", "config.worktree", "shallow", "info/grafts")
_INCLUDES: Final = ("include.path", "includeif.path")
_PACKED: Final = "packed-refs"
_FULL_ID: Final = re.compile(r"[0-9a-f]{40}")
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./+-]*")
_STEPS: Final = re.compile(r"(?:[~^][0-9]*)*")
_ID_LIKE: Final = re.compile(r"(?:.*-g)?[0-9a-fA-F]{4,}")
_PLACES: Final = ("{}", "refs/{}", "refs/tags/{}", "refs/heads/{}", "refs/remotes/{}", "refs/remotes/{}/HEAD")
_DEEPEST: Final = 5


def repository(layout: Layout) -> None:
    """What is read next is shown as this repository's settings say."""
    if not depends.wanted():
        return
    plain = layout.folder in (layout.opened, os.path.join(layout.opened, ".git"))
    if not plain or layout.common != layout.folder or any(name in _INCLUDES for name, _ in layout.settings):
        depends.unsure()
    for name in _STEERING:
        depends.file(os.path.join(layout.common, name))


def revision(repo: pygit2.Repository, text: str) -> None:
    """What is read next depends on the object that this revision names."""
    if not depends.wanted():
        return
    name = text.partition(":")[0]
    steps = re.search(r"[~^]", name)
    start = name[: steps.start()] if steps else name
    if not _STEPS.fullmatch(name[len(start) :]):
        depends.unsure()
    elif not _FULL_ID.fullmatch(start):
        _named(repo, start)


def head(repo: pygit2.Repository) -> None:
    """What is read next depends on the commit that is checked out."""
    if depends.wanted():
        _named(repo, "HEAD")


def references(repo: pygit2.Repository, *folders: str) -> None:
    """What is read next depends on every reference in these folders."""
    if not depends.wanted():
        return
    depends.file(_path(repo, _PACKED))
    for folder in folders:
        _tree(_path(repo, folder))


def file(repo: pygit2.Repository, name: str) -> None:
    """What is read next depends on this file of the git folder."""
    if depends.wanted():
        depends.file(_path(repo, name))


def _named(repo: pygit2.Repository, name: str) -> None:
    """Every place where a name is looked for, in git's order, up to the one that has it."""
    depends.file(_path(repo, _PACKED))
    if name in ("HEAD", "@"):
        _followed(repo, "HEAD")
        return
    if not _NAME.fullmatch(name) or _ID_LIKE.fullmatch(name):
        depends.unsure()
        return
    for place in _PLACES:
        one = place.format(name)
        depends.file(_path(repo, one))
        if one in repo.references:
            _followed(repo, one)
            return
    depends.unsure()  # it is an id or a description after all


def _followed(repo: pygit2.Repository, name: str) -> None:
    """A reference and what it leads to, each file before it is looked into."""
    for _ in range(_DEEPEST):
        depends.file(_path(repo, name))
        target = repo.references[name].target if name in repo.references else None
        if not isinstance(target, str):
            return
        name = target
    depends.unsure()


def _tree(folder: str) -> None:
    depends.file(folder)
    try:
        with os.scandir(folder) as found:
            for entry in found:
                if not depends.wanted():
                    return
                if entry.is_dir(follow_symlinks=False):
                    _tree(entry.path)
                else:
                    depends.file(entry.path)
    except FileNotFoundError:
        return


def _path(repo: pygit2.Repository, name: str) -> str:
    return os.path.join(repo.path, name)
