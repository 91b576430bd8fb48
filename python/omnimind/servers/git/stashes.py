"""Stashes: what was put aside with the git program. They are read, never applied or dropped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import pygit2

from omnimind.servers.git import evidence, history, patch
from omnimind.servers.git.repository import text_of
from omnimind.servers.git.worktree import Watch
from omnimind.servers.problem import Problem


@dataclass(frozen=True, slots=True)
class Stash:
    """One entry, 0 the newest."""

    index: int
    commit: str
    message: str
    date: datetime


def listed(repo: pygit2.Repository) -> Iterator[Stash]:
    """All stashes, the newest first."""
    for name in ("packed-refs", "refs/stash", "logs/refs/stash"):
        evidence.file(repo, name)
    for index, stash in enumerate(repo.listall_stashes()):
        commit = repo[stash.commit_id].peel(pygit2.Commit)
        yield Stash(index, str(stash.commit_id), text_of(stash.raw_message), history.when(commit.committer))


def shown(repo: pygit2.Repository, index: int, context_lines: int, watch: Watch) -> Iterator[str]:
    """The patch of a stash against the commit it was made on; files that were untracked come last."""
    stashes = repo.listall_stashes()
    if not 0 <= index < len(stashes):
        there = f"there are {len(stashes)}, from 0 on" if stashes else "there is none"
        raise Problem(f"no stash has number {index}: {there}; git_stash_list shows them")
    commit = repo[stashes[index].commit_id].peel(pygit2.Commit)
    diff = patch.of_commit(commit, patch.context(context_lines))
    yield from patch.texts(diff, watch)
    if len(commit.parents) > 2:
        added = commit.parents[2].tree.diff_to_tree(swap=True, context_lines=context_lines)
        yield from patch.texts(added, watch)
