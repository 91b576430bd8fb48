"""Branches: listed as `git branch` prints them, made, and checked out without losing a change."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pygit2
from pygit2 import CheckoutCallbacks
from pygit2.enums import CheckoutNotify, CheckoutStrategy, ReferenceType

from omnimind.servers.git import evidence, heads, revisions, worktree
from omnimind.servers.git.conflicts import conflicts
from omnimind.servers.git.repository import Opened
from omnimind.servers.git.worktree import Watch
from omnimind.servers.problem import Problem

_SHOWN_FILES = 50


def listed(
    opened: Opened, kind: str, contains: str | None, not_contains: str | None, watch: Watch
) -> Iterator[str]:
    """A line a branch: `*` before the current one, `+` before one of another worktree."""
    if kind not in ("local", "remote", "all"):
        raise Problem(f"Invalid branch type: {kind}; it is local, remote or all")
    repo = opened.repo
    kept = _filter(repo, contains, not_contains)
    local = kind in ("local", "all")
    current = heads.branch(repo)
    if local and current is None and kept(revisions.need_head(repo).id):
        found = heads.detached(repo)
        yield f"* ({'no branch' if found is None else found.words})\n"
    elsewhere = heads.elsewhere(opened) if local else {}
    evidence.references(repo, "refs")
    for name in sorted(repo.references):
        watch()
        line = _line(repo, name, local, kind, kept)
        if line is not None:
            own = name.removeprefix("refs/heads/")
            mark = "*" if own == current else "+" if own in elsewhere and own != name else " "
            yield f"{mark} {line}\n"


def _line(
    repo: pygit2.Repository, name: str, local: bool, kind: str, kept: Callable[[pygit2.Oid], bool]
) -> str | None:
    remote = kind in ("remote", "all") and name.startswith("refs/remotes/")
    if not remote and not (local and name.startswith("refs/heads/")):
        return None
    reference = repo.references[name]
    shown = name.removeprefix("refs/heads/" if not remote else "refs/" if kind == "all" else "refs/remotes/")
    try:
        commit = reference.peel(pygit2.Commit)
    except (KeyError, pygit2.GitError):
        return None
    if not kept(commit.id):
        return None
    if reference.type == ReferenceType.SYMBOLIC:
        target = str(reference.target)
        return f"{shown} -> {target.removeprefix('refs/heads/').removeprefix('refs/remotes/')}"
    return shown


def _filter(
    repo: pygit2.Repository, contains: str | None, not_contains: str | None
) -> Callable[[pygit2.Oid], bool]:
    wanted = None if not contains else revisions.commit_of(repo, contains).id
    unwanted = None if not not_contains else revisions.commit_of(repo, not_contains).id

    def holds(tip: pygit2.Oid, commit: pygit2.Oid) -> bool:
        return tip == commit or repo.descendant_of(tip, commit)

    def kept(tip: pygit2.Oid) -> bool:
        if wanted is not None and not holds(tip, wanted):
            return False
        return unwanted is None or not holds(tip, unwanted)

    return kept


def create(opened: Opened, name: str, base: str | None) -> str:
    """Make a branch; returns the words of the reference server."""
    repo = opened.repo
    revisions.new_name(name, "branch")
    current = heads.branch(repo)
    if base is None and current is None:
        raise Problem("HEAD is detached, so there is no current branch to branch from; pass base_branch")
    commit = revisions.commit_of(repo, base) if base else revisions.need_head(repo)
    if f"refs/heads/{name}" in repo.references:
        raise Problem(
            f"Cannot create branch '{name}': refs/heads/{name} already exists; git_checkout switches to it"
        )
    repo.create_branch(name, commit)
    return f"Created branch '{name}' from '{base or current}'"


class _Notes(CheckoutCallbacks):
    """Remembers the files that stand in the way of a checkout."""

    def __init__(self) -> None:
        super().__init__()
        self.in_the_way: list[str] = []

    def checkout_notify_flags(self) -> CheckoutNotify:
        return CheckoutNotify.CONFLICT

    def checkout_notify(self, why, path, baseline, target, workdir) -> None:  # type: ignore[no-untyped-def]
        self.in_the_way.append(path)


def checkout(opened: Opened, name: str, watch: Watch) -> str:
    """Switch the work tree and HEAD. What would lose a change of the work tree is refused, and changes nothing."""
    repo = opened.repo
    revisions.refuse_odd(name, "branch name")
    opened.need_work_tree()
    reference = _branch_named(repo, name)
    commit = revisions.commit_of(repo, name) if reference is None else reference.peel(pygit2.Commit)
    if next(conflicts(repo), None) is not None:
        raise Problem("you need to resolve your current index first: git_conflicts lists what is unmerged")
    taken = None if reference is None else heads.elsewhere(opened).get(reference.shorthand)
    if taken is not None:
        raise Problem(f"'{name}' is already checked out at '{taken}'; work there, or make another branch")
    worktree.check(opened, watch)
    notes = _Notes()
    try:
        repo.checkout_tree(  # type: ignore[no-untyped-call]
            commit, strategy=CheckoutStrategy.SAFE, callbacks=notes
        )
    except pygit2.GitError:
        if notes.in_the_way:
            raise Problem(_in_the_way(notes.in_the_way)) from None
        raise
    _move_head(repo, name, commit, reference)
    if reference is None:
        return f"HEAD is now detached at {str(commit.id)[:7]}"
    return f"Switched to branch '{reference.shorthand}'"


def _move_head(
    repo: pygit2.Repository, name: str, commit: pygit2.Commit, reference: pygit2.Branch | None
) -> None:
    """Point HEAD there, noted in its log as the git program would.

    Not by libgit2's own `set_head`: it opens every linked worktree, wherever that lies.
    """
    before = heads.branch(repo) or str(repo.head.target)
    message = f"checkout: moving from {before} to {name if reference is None else reference.shorthand}"
    if reference is None:
        repo.create_reference_direct("HEAD", commit.id, True, message=message)
    else:
        repo.create_reference_symbolic("HEAD", reference.name, True, message=message)


def _branch_named(repo: pygit2.Repository, name: str) -> pygit2.Branch | None:
    """The local branch of this name; also `@{-1}`, the one before."""
    found = repo.lookup_branch(name) if pygit2.reference_is_valid_name(f"refs/heads/{name}") else None
    if found is None and name.startswith("@{-"):
        try:
            _, reference = repo.revparse_ext(name)
        except (KeyError, ValueError, pygit2.GitError):
            return None
        if reference is not None and reference.name.startswith("refs/heads/"):
            found = repo.lookup_branch(reference.shorthand)
    return found


def _in_the_way(files: list[str]) -> str:
    listed = "".join(f"\t{file}\n" for file in files[:_SHOWN_FILES])
    more = f"\tand {len(files) - _SHOWN_FILES} more\n" if len(files) > _SHOWN_FILES else ""
    return (
        f"Your local changes to the following files would be overwritten by checkout:\n{listed}{more}"
        "Please commit your changes or stash them before you switch branches.\nAborting: nothing was changed"
    )
