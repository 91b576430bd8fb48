"""Differences as `git diff` prints them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pygit2
from pygit2.enums import DeltaStatus, DiffOption, FilterMode

from omnimind.servers import depends
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
    flags = IN_WORK_TREE | DiffOption.INCLUDE_TYPECHANGE
    diff = opened.repo.index.diff_to_workdir(flags=flags, context_lines=lines)
    yield from texts(diff, watch, WorkTree(opened, lines))


def staged(opened: Opened, context_lines: int, watch: Watch) -> Iterator[str]:
    """Index against HEAD, or against nothing before the first commit."""
    head, lines = revisions.head_tree(opened.repo), context(context_lines)
    diff = with_renames(lambda: head.diff_to_index(opened.repo.index, context_lines=lines))
    yield from texts(diff, watch)


def against(opened: Opened, target: str, context_lines: int, watch: Watch) -> Iterator[str]:
    """Work tree against a revision, or one revision against another (`A..B`; `A...B` from their merge base)."""
    repo, lines = opened.repo, context(context_lines)
    revisions.refuse_odd(target, "target")
    ends = revisions.split_range(target)
    if ends is not None:
        yield from texts(with_renames(lambda: between(repo, *ends, context_lines=lines)), watch)
        return
    tree = revisions.tree_of(repo, target)
    if opened.layout.work is None:
        raise Problem(f"{opened.shown} has no work tree; compare two revisions, as in HEAD~1..HEAD")
    worktree.check(opened, watch)

    def compared() -> pygit2.Diff:
        diff = tree.diff_to_index(repo.index)
        diff.merge(repo.index.diff_to_workdir(flags=IN_WORK_TREE | DiffOption.INCLUDE_TYPECHANGE))
        return diff

    yield from texts(with_renames(compared), watch, WorkTree(opened, lines, merged=True))


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
    depends.unsure()  # on the attributes of every folder beside what is compared

    def compared() -> pygit2.Diff:
        if commit.parents:
            return commit.parents[0].tree.diff_to_tree(commit.tree, context_lines=context_lines)
        return commit.tree.diff_to_tree(swap=True, context_lines=context_lines)

    return with_renames(compared)


def with_renames(compared: Callable[[], pygit2.Diff]) -> pygit2.Diff:
    """The difference with renames. libgit2 also takes a file that became a link for one that moved away, which git
    does not; then it is made again, without any."""
    diff = compared()
    typed = _of_two_kinds(diff)
    diff.find_similar()
    moved = {delta.old_file.raw_path for delta in diff.deltas if delta.status in _MOVED}
    return compared() if moved & typed else diff


_MOVED = (DeltaStatus.RENAMED, DeltaStatus.COPIED)


def _of_two_kinds(diff: pygit2.Diff) -> set[bytes]:
    """Paths that hold another kind of thing now: one change, or a removal and an addition."""
    found: dict[bytes, set[DeltaStatus]] = {}
    for delta in diff.deltas:
        found.setdefault(delta.new_file.raw_path, set()).add(delta.status)
    return {path for path, kinds in found.items() if len(kinds) > 1 or DeltaStatus.TYPECHANGE in kinds}


@dataclass(frozen=True, slots=True)
class WorkTree:
    """The work tree as one side of a difference, for what libgit2 leaves to its caller.

    A file that became a link has no patch there, and a `merged` difference is always printed with three lines
    around a change.
    """

    opened: Opened
    lines: int
    merged: bool = False

    def text(self, patch: pygit2.Patch) -> str:
        """The patch, completed."""
        delta = patch.delta
        if delta.status == DeltaStatus.TYPECHANGE:
            return "".join(self._type_change(delta))
        text = text_of(patch.data)
        head, found, _ = text.partition("\n@@ ")
        if not self.merged or self.lines == 3 or not found:
            return _as_git(text)
        old = self._stored(delta.old_file)
        again = pygit2.Patch.create_from(old, self._current(delta.new_file), context_lines=self.lines)
        hunks = text_of(again.data).partition("\n@@ ")[2]
        return _as_git(f"{head}\n@@ {hunks}")

    def _type_change(self, delta: pygit2.DiffDelta) -> Iterator[str]:
        path = text_of(delta.new_file.raw_path)
        old, new = self._stored(delta.old_file), self._current(delta.new_file)
        for before, after, mode in ((old, None, delta.old_file.mode), (None, new, delta.new_file.mode)):
            half = pygit2.Patch.create_from(before, after, path, path, context_lines=self.lines)
            yield _as_git(text_of(half.data).replace("file mode 100644", f"file mode {mode:o}", 1))

    def _stored(self, file: pygit2.DiffFile) -> bytes:
        blob = self.opened.repo.get(file.id)
        return blob.read_raw() if isinstance(blob, pygit2.Blob) else b""

    def _current(self, file: pygit2.DiffFile) -> bytes:
        path = os.path.join(os.fsencode(self.opened.work), file.raw_path)
        if os.path.islink(path):
            return os.readlink(path)
        if not os.path.isfile(path):
            return b""
        if os.path.getsize(path) > limits.BLOB_BYTES:
            raise Problem(
                f"a changed file has more than {limits.BLOB_BYTES:,} bytes; ask with context_lines 3"
            )
        name = os.fsdecode(file.raw_path)
        filters = self.opened.repo.load_filter_list(name, FilterMode.TO_ODB)
        with open(path, "rb") as content:
            read = content.read()
        return read if filters is None else bytes(filters.apply_to_buffer(read))


def texts(diff: pygit2.Diff, watch: Watch, work: WorkTree | None = None) -> Iterator[str]:
    """Every file's patch in turn, made when it is asked for."""
    depends.unsure()
    for at in _in_order(diff):
        watch()
        patch = diff[at]
        if patch is None:
            continue
        if patch.delta.status == DeltaStatus.CONFLICTED:
            yield f"* Unmerged path {quoted(patch.delta.old_file.raw_path or patch.delta.new_file.raw_path)}\n"
        else:
            yield _as_git(text_of(patch.data)) if work is None else work.text(patch)


def _in_order(diff: pygit2.Diff) -> list[int]:
    """Where a path is removed and added again, the removal comes first."""
    deltas = list(diff.deltas)
    removed = {
        delta.old_file.raw_path: at for at, delta in enumerate(deltas) if delta.status == DeltaStatus.DELETED
    }
    order: dict[int, None] = {}
    for at, delta in enumerate(deltas):
        before = removed.get(delta.new_file.raw_path) if delta.status == DeltaStatus.ADDED else None
        order |= dict.fromkeys((at,) if before is None else (before, at))
    return list(order)


def _as_git(text: str) -> str:
    """Two details: git names no files where no line differs, and ends a name that has a space with a tab."""
    head, found, rest = text.partition("\n--- ")
    if not found:
        return text
    old, new, hunks = rest.split("\n", 2)
    if not hunks:
        return head + "\n"
    ended = [f"{line}\t" if " " in line[4:] and '"' not in line else line for line in (f"--- {old}", new)]
    return "\n".join([head, *ended, hunks])


def context(lines: int) -> int:
    """The number of unchanged lines around a change, if it can be that."""
    if not 0 <= lines <= limits.CONTEXT_LINES:
        raise Problem(f"context_lines is {lines}; it goes from 0 to {limits.CONTEXT_LINES:,}")
    return lines
