"""Repositories and their worktrees: found, listed, made."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

import pygit2

from omnimind.linux.openat2 import open_beneath
from omnimind.servers import depends
from omnimind.servers.filesystem.roots import Roots, trouble
from omnimind.servers.git import heads, limits, revisions
from omnimind.servers.git.repository import Opened, Repositories, explained, real_folder
from omnimind.servers.git.worktree import Watch
from omnimind.servers.problem import Problem


@dataclass(frozen=True, slots=True)
class Worktree:
    """A work tree of a repository, and what is checked out there."""

    name: str
    path: str
    branch: str | None
    commit: str | None
    state: str


def worktrees(opened: Opened) -> Iterator[Worktree]:
    """The work tree of the repository itself and those that were added to it."""
    if opened.layout.work is not None and opened.layout.folder == opened.layout.common:
        yield Worktree("", opened.layout.work, heads.branch(opened.repo), _head(opened.repo), "main")
    for one in heads.linked(opened):
        reachable = any(root.below(os.path.realpath(one.path)) is not None for root in opened.roots.roots)
        state = "locked" if one.locked else "linked" if reachable else "outside the allowed directories"
        yield Worktree(one.name, one.path, one.branch, _tip(opened.repo, one.target), state)


def _head(repo: pygit2.Repository) -> str | None:
    commit = revisions.head_commit(repo)
    return None if commit is None else str(commit.id)


def _tip(repo: pygit2.Repository, target: str) -> str | None:
    if not target.startswith("refs/"):
        return target
    reference = repo.references.get(target)
    return None if reference is None else str(reference.resolve().target)


def found(roots: Roots, watch: Watch) -> Iterator[str]:
    """Paths of repositories beneath the allowed directories, a few folders deep."""
    looked_at = 0
    for root in roots.roots:
        pending = [(root.path, 0)]
        while pending:
            folder, depth = pending.pop()
            looked_at += 1
            if looked_at > limits.FIND_FOLDERS:
                return
            watch()
            depends.file(folder)
            if os.path.lexists(os.path.join(folder, ".git")) or _is_bare(folder):
                yield folder
            elif depth < limits.FIND_DEPTH:
                pending += [(path, depth + 1) for path in reversed(_folders(folder))]


def _is_bare(folder: str) -> bool:
    parts = [os.path.join(folder, name) for name in ("HEAD", "objects", "refs")]
    if depends.wanted() and any(map(os.path.islink, parts)):
        depends.unsure()
    return all(map(os.path.exists, parts))


def _folders(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(
                entry.path
                for entry in entries
                if entry.is_dir(follow_symlinks=False) and not entry.name.startswith(".")
            )
    except OSError:
        depends.unsure()
        return []


def init(repositories: Repositories, path: str, branch: str) -> str:
    """Make a repository in a folder beneath an allowed directory; the folder is made if it is missing."""
    roots = repositories.roots
    revisions.new_name(branch, "branch")
    place = roots.locate(path)
    if not place.is_root:
        with roots.parent(place) as (directory, name):
            try:
                os.mkdir(name, 0o755, dir_fd=directory)
            except FileExistsError:
                pass
            except OSError as refusal:
                raise trouble(refusal, place.shown) from refusal
    real = real_folder(roots, place)
    with roots.opened(place, os.O_PATH | os.O_DIRECTORY) as descriptor:
        _refuse_existing(descriptor, place.shown)
        with explained(place.shown):
            pygit2.init_repository(real, initial_head=branch).free()
    return f"Initialized empty Git repository in {os.path.join(real, '.git')}/"


def _refuse_existing(directory: int, shown: str) -> None:
    try:
        descriptor = open_beneath(directory, ".git", os.O_PATH | os.O_NOFOLLOW)
    except FileNotFoundError:
        return
    except OSError as refusal:
        raise trouble(refusal, shown) from refusal
    try:
        kind = "a repository" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "something called .git"
    finally:
        os.close(descriptor)
    raise Problem(f"{shown} holds {kind} already; git_status shows it")
