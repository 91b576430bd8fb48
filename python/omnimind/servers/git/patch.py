"""Differences as `git diff` prints them."""

from __future__ import annotations

from collections.abc import Iterator

import pygit2
from pygit2.enums import DeltaStatus, DiffOption

from omnimind.servers.git import limits, revisions, worktree
from omnimind.servers.git.quoting import quoted
from omnimind.servers.git.repository import Opened, text_of
from omnimind.servers.git.worktree import Watch
from omnimind.servers.problem import Problem

IN_WORK_TREE = DiffOption.IGNORE_SUBMODULES
"""A submodule is a repository of its own, elsewhere; it is never opened on the way."""


def unstaged(opened: Opened, context_lines: int, watch: Watch) -> Iterator[str]:
    """Work tree against index."""
    lines = context(context_lines)
    worktree.check(opened, watch)
    diff = opened.repo.index.diff_to_workdir(flags=IN_WORK_TREE, context_lines=lines)
    yield from texts(diff, watch)


def staged(opened: Opened, context_lines: int, watch: Watch) -> Iterator[str]:
    """Index against HEAD, or against nothing before the first commit."""
    head = revisions.head_tree(opened.repo)
    diff = head.diff_to_index(opened.repo.index, context_lines=context(context_lines))
    diff.find_similar()
    yield from texts(diff, watch)


def against(opened: Opened, target: str, context_lines: int, watch: Watch) -> Iterator[str]:
    """Work tree against a revision, or one revision against another (`A..B`; `A...B` from their merge base)."""
    repo, lines = opened.repo, context(context_lines)
    revisions.refuse_odd(target, "target")
    ends = revisions.split_range(target)
    if ends is not None:
        diff = between(repo, *ends, context_lines=lines)
    else:
        tree = revisions.tree_of(repo, target)
        if opened.layout.work is None:
            raise Problem(f"{opened.shown} has no work tree; compare two revisions, as in HEAD~1..HEAD")
        worktree.check(opened, watch)
        diff = tree.diff_to_index(repo.index, context_lines=lines)
        diff.merge(repo.index.diff_to_workdir(flags=IN_WORK_TREE, context_lines=lines))
    diff.find_similar()
    yield from texts(diff, watch)


def between(
    repo: pygit2.Repository, before: str, after: str, from_base: bool, *, context_lines: int
) -> pygit2.Diff:
    """The difference of two revisions."""
    old: pygit2.Tree
    if from_base:
        one, other = revisions.commit_of(repo, before), revisions.commit_of(repo, after)
        base = repo.merge_base(one.id, other.id)
        if base is None:
            raise Problem(f"'{before}' and '{after}' have no commit in common; use {before}..{after}")
        old = repo[base].peel(pygit2.Tree)
    else:
        old = revisions.tree_of(repo, before)
    return old.diff_to_tree(revisions.tree_of(repo, after), context_lines=context_lines)


def of_commit(commit: pygit2.Commit, context_lines: int = 3) -> pygit2.Diff:
    """What a commit changes against its first parent, or against nothing; renames are found."""
    if commit.parents:
        diff = commit.parents[0].tree.diff_to_tree(commit.tree, context_lines=context_lines)
    else:
        diff = commit.tree.diff_to_tree(swap=True, context_lines=context_lines)
    diff.find_similar()
    return diff


def texts(diff: pygit2.Diff, watch: Watch) -> Iterator[str]:
    """Every file's patch in turn, made when it is asked for."""
    total = len(diff)
    for at in range(total):
        watch()
        patch = diff[at]
        if patch is None:
            continue
        if patch.delta.status == DeltaStatus.CONFLICTED:
            yield f"* Unmerged path {quoted(patch.delta.old_file.raw_path or patch.delta.new_file.raw_path)}\n"
        else:
            yield text_of(patch.data)


def context(lines: int) -> int:
    """The number of unchanged lines around a change, if it can be that."""
    if not 0 <= lines <= limits.CONTEXT_LINES:
        raise Problem(f"context_lines is {lines}; it goes from 0 to {limits.CONTEXT_LINES:,}")
    return lines
