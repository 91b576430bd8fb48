"""What HEAD is, in git's words."""

from __future__ import annotations

import os
from dataclasses import dataclass

import pygit2

from omnimind.servers import depends
from omnimind.servers.git import evidence, limits
from omnimind.servers.git.repository import Opened, text_of

_MOVED = "checkout: moving from "
_SHOWN_WITHOUT = ("refs/tags/", "refs/remotes/")


@dataclass(frozen=True, slots=True)
class Detached:
    """Where a HEAD without a branch came from, and whether it is still there."""

    name: str
    there: bool

    @property
    def words(self) -> str:
        """As `git status` and `git branch` say it."""
        return f"HEAD detached {'at' if self.there else 'from'} {self.name}"


def branch(repo: pygit2.Repository) -> str | None:
    """The current branch, also one without a commit; None if HEAD is detached."""
    evidence.head(repo)
    head = repo.lookup_reference("HEAD")
    target = head.target
    return target.removeprefix("refs/heads/") if isinstance(target, str) else None


def short(repo: pygit2.Repository, commit: pygit2.Oid) -> str:
    """The shortest unique form of an id, seven characters at least."""
    found: str = repo[commit].short_id
    return found


def detached(repo: pygit2.Repository) -> Detached | None:
    """How HEAD became detached, by its log; None if the log does not say."""
    depends.unsure()
    now = repo.head.target
    for entry in repo.lookup_reference("HEAD").log():
        message = entry.message or ""
        if message.startswith(_MOVED) and " to " in message:
            name = message.rpartition(" to ")[2].strip()
            return Detached(_named(repo, name, entry.oid_new), entry.oid_new == now)
    return None


def _named(repo: pygit2.Repository, name: str, commit: pygit2.Oid) -> str:
    try:
        found = repo.lookup_reference_dwim(name)
        if found.peel(pygit2.Commit).id == commit:
            for prefix in _SHOWN_WITHOUT:
                if found.name.startswith(prefix):
                    return found.name.removeprefix(prefix)
            return found.name
    except (KeyError, ValueError, pygit2.GitError):
        pass
    return short(repo, commit)


@dataclass(frozen=True, slots=True)
class Linked:
    """A worktree that was added to a repository, as the repository notes it down. It may lie anywhere."""

    name: str
    path: str
    branch: str | None
    target: str
    locked: bool


def linked(opened: Opened) -> list[Linked]:
    """The worktrees added to this repository. Their notes are read; their own folders are never opened."""
    folder = os.path.join(opened.layout.common, "worktrees")
    evidence.file(opened.repo, "worktrees")
    if os.path.lexists(folder):
        depends.unsure()
    found = []
    for name in sorted(opened.repo.list_worktrees()):
        path = os.path.dirname(_line(os.path.join(folder, name, "gitdir")))
        head = _line(os.path.join(folder, name, "HEAD"))
        branch = head.removeprefix("ref: refs/heads/") if head.startswith("ref: refs/heads/") else None
        locked = os.path.exists(os.path.join(folder, name, "locked"))
        found.append(Linked(name, path, branch, head.removeprefix("ref: "), locked))
    return found


def elsewhere(opened: Opened) -> dict[str, str]:
    """Branches that are checked out in another work tree of this repository, and where."""
    found = {one.branch: one.path for one in linked(opened) if one.branch}
    main = _line(os.path.join(opened.layout.common, "HEAD"))
    found.setdefault(main.removeprefix("ref: refs/heads/"), os.path.dirname(opened.layout.common))
    current = branch(opened.repo)
    return {name: path for name, path in found.items() if name != current}


def _line(path: str) -> str:
    with open(path, "rb") as file:
        return text_of(file.read(limits.POINTER_BYTES)).strip()
