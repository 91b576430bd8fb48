"""The text of `git status`, made from two differences: HEAD against index, index against work tree."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field

import pygit2
from pygit2.enums import DeltaStatus, DiffOption

from omnimind.servers.git import heads, revisions, worktree
from omnimind.servers.git.conflicts import Conflict, conflicts
from omnimind.servers.git.patch import IN_WORK_TREE, with_renames
from omnimind.servers.git.quoting import quoted
from omnimind.servers.git.repository import Opened
from omnimind.servers.git.worktree import Watch

_LABELS = {
    DeltaStatus.ADDED: "new file:   ",
    DeltaStatus.COPIED: "copied:     ",
    DeltaStatus.DELETED: "deleted:    ",
    DeltaStatus.MODIFIED: "modified:   ",
    DeltaStatus.RENAMED: "renamed:    ",
    DeltaStatus.TYPECHANGE: "typechange: ",
}


@dataclass(slots=True)
class Changes:
    """What differs, as lines of the report."""

    staged: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    deleted: bool = False
    untracked: list[str] = field(default_factory=list)
    unmerged: list[Conflict] = field(default_factory=list)


def report(opened: Opened, watch: Watch) -> str:
    """The status of the work tree, as the git program words it."""
    worktree.check(opened, watch)
    changes = _changes(opened)
    state = _state(opened, bool(changes.unmerged))
    lines = [*_head(opened.repo), *state, *_sections(opened, changes, in_merge=_in_merge(opened))]
    return "\n".join([*lines, *_verdict(opened.repo, changes)])


def _changes(opened: Opened) -> Changes:
    repo, found = opened.repo, Changes()
    found.unmerged = list(conflicts(repo))
    high = opened.layout.setting("core.quotepath") not in ("false", "off", "no", "0")
    head, typed = revisions.head_tree(repo), DiffOption.INCLUDE_TYPECHANGE
    diff = with_renames(lambda: head.diff_to_index(repo.index, flags=typed))
    found.staged = list(_staged_lines(diff, high))
    flags = IN_WORK_TREE | typed | DiffOption.INCLUDE_UNTRACKED
    for delta in repo.index.diff_to_workdir(flags=flags).deltas:
        if delta.status == DeltaStatus.UNTRACKED:
            found.untracked.append(quoted(delta.new_file.raw_path, high=high))
        elif (line := _line(delta, high)) is not None:
            found.changed.append(line)
            found.deleted |= delta.status == DeltaStatus.DELETED
    return found


def _staged_lines(diff: pygit2.Diff, high: bool) -> Iterator[str]:
    """libgit2 splits a change of type in two when it looks for renames; here it is one again."""
    deltas = list(diff.deltas)
    added, removed = (
        {delta.new_file.raw_path for delta in deltas if delta.status == kind}
        for kind in (DeltaStatus.ADDED, DeltaStatus.DELETED)
    )
    for delta in deltas:
        if delta.new_file.raw_path in added & removed:
            if delta.status == DeltaStatus.ADDED:
                yield f"\t{_LABELS[DeltaStatus.TYPECHANGE]}{quoted(delta.new_file.raw_path, high=high)}"
        elif (line := _line(delta, high)) is not None:
            yield line


def _line(delta: pygit2.DiffDelta, high: bool) -> str | None:
    label = _LABELS.get(delta.status)
    if label is None:
        return None
    old, new = (quoted(file.raw_path, high=high) for file in (delta.old_file, delta.new_file))
    moved = delta.status in (DeltaStatus.RENAMED, DeltaStatus.COPIED)
    return f"\t{label}{old} -> {new}" if moved else f"\t{label}{new}"


def _head(repo: pygit2.Repository) -> Iterator[str]:
    branch = heads.branch(repo)
    if branch is not None:
        yield f"On branch {branch}"
        if repo.head_is_unborn:
            return
        yield from _tracking(repo, branch)
    else:
        found = heads.detached(repo)
        yield "Not currently on any branch." if found is None else found.words


def _tracking(repo: pygit2.Repository, branch: str) -> Iterator[str]:
    local = repo.lookup_branch(branch)
    name = None if local is None else _upstream_name(repo, branch)
    if local is None or name is None:
        return
    upstream = repo.references.get(name)
    shown = name.removeprefix("refs/remotes/").removeprefix("refs/heads/")
    if upstream is None:
        yield f"Your branch is based on '{shown}', but the upstream is gone."
        yield '  (use "git branch --unset-upstream" to fixup)'
    else:
        yield from _distance(repo, shown, *repo.ahead_behind(local.target, upstream.resolve().target))
    yield ""


def _upstream_name(repo: pygit2.Repository, branch: str) -> str | None:
    """The full name of what a branch follows, whether or not it is there."""
    try:
        remote = repo.config[f"branch.{branch}.remote"]
        merge = repo.config[f"branch.{branch}.merge"]
    except KeyError:
        return None
    if remote == ".":
        return str(merge)
    return str(merge).replace("refs/heads/", f"refs/remotes/{remote}/", 1)


def _distance(repo: pygit2.Repository, shown: str, ahead: int, behind: int) -> Iterator[str]:
    def commits(count: int) -> str:
        return f"{count} commit{'' if count == 1 else 's'}"

    if ahead and behind:
        yield f"Your branch and '{shown}' have diverged,"
        yield f"and have {ahead} and {behind} different commits each, respectively."
        yield '  (use "git pull" to merge the remote branch into yours)'
    elif ahead:
        yield f"Your branch is ahead of '{shown}' by {commits(ahead)}."
        yield '  (use "git push" to publish your local commits)'
    elif behind:
        yield f"Your branch is behind '{shown}' by {commits(behind)}, and can be fast-forwarded."
        yield '  (use "git pull" to update your local branch)'
    else:
        yield f"Your branch is up to date with '{shown}'."


def _in_merge(opened: Opened) -> bool:
    return any(_has(opened, name) for name in ("MERGE_HEAD", "CHERRY_PICK_HEAD"))


def _has(opened: Opened, name: str) -> bool:
    return os.path.exists(os.path.join(opened.layout.folder, name))


def _state(opened: Opened, unmerged: bool) -> Iterator[str]:
    """What is under way: a merge, a pick, a revert, a rebase, a bisection."""
    if _has(opened, "MERGE_HEAD"):
        if unmerged:
            yield "You have unmerged paths."
            yield '  (fix conflicts and run "git commit")'
            yield '  (use "git merge --abort" to abort the merge)'
        else:
            yield "All conflicts fixed but you are still merging."
            yield '  (use "git commit" to conclude merge)'
        yield ""
    if _has(opened, "rebase-merge") or _has(opened, "rebase-apply"):
        yield from (
            "You are currently rebasing.",
            '  (use "git rebase --continue" or "git rebase --abort")',
            "",
        )
    elif _has(opened, "CHERRY_PICK_HEAD"):
        yield from _picking(opened, "CHERRY_PICK_HEAD", "cherry-pick", "cherry-picking", unmerged)
    elif _has(opened, "REVERT_HEAD"):
        yield from _picking(opened, "REVERT_HEAD", "revert", "reverting", unmerged)
    if _has(opened, "BISECT_LOG"):
        yield from (
            "You are currently bisecting.",
            '  (use "git bisect reset" to get back to the original branch)',
            "",
        )


def _picking(opened: Opened, head: str, command: str, doing: str, unmerged: bool) -> Iterator[str]:
    commit = opened.repo.lookup_reference(head).peel(pygit2.Commit)
    yield f"You are currently {doing} commit {commit.short_id}."
    done = "fix conflicts and run" if unmerged else "all conflicts fixed: run"
    yield f'  ({done} "git {command} --continue")'
    yield f'  (use "git {command} --skip" to skip this patch)'
    yield f'  (use "git {command} --abort" to cancel the {command} operation)'
    yield ""


def _sections(opened: Opened, changes: Changes, in_merge: bool) -> Iterator[str]:
    initial = opened.repo.head_is_unborn
    if initial:
        yield from ("", "No commits yet", "")
    unstage = "rm --cached" if initial else "restore --staged"
    if changes.staged:
        yield "Changes to be committed:"
        if not in_merge:
            yield f'  (use "git {unstage} <file>..." to unstage)'
        yield from (*changes.staged, "")
    if changes.unmerged:
        yield "Unmerged paths:"
        if not in_merge:
            yield f'  (use "git {unstage} <file>..." to unstage)'
        yield _resolution(changes.unmerged)
        yield from (f"\t{one.kind + ':':<17}{quoted(one.path)}" for one in changes.unmerged)
        yield ""
    if changes.changed:
        yield "Changes not staged for commit:"
        yield f'  (use "git add{"/rm" if changes.deleted else ""} <file>..." to update what will be committed)'
        yield '  (use "git restore <file>..." to discard changes in working directory)'
        yield from (*changes.changed, "")
    if changes.untracked:
        yield "Untracked files:"
        yield '  (use "git add <file>..." to include in what will be committed)'
        yield from (*(f"\t{path}" for path in changes.untracked), "")


def _resolution(unmerged: list[Conflict]) -> str:
    kinds = {one.kind for one in unmerged}
    if kinds == {"both deleted"}:
        return '  (use "git rm <file>..." to mark resolution)'
    if kinds <= {"both added", "both modified", "added by us", "added by them"}:
        return '  (use "git add <file>..." to mark resolution)'
    return '  (use "git add/rm <file>..." as appropriate to mark resolution)'


def _verdict(repo: pygit2.Repository, changes: Changes) -> Iterator[str]:
    """The last line, when nothing is staged."""
    if changes.staged:
        return
    if changes.changed or changes.unmerged:
        yield 'no changes added to commit (use "git add" and/or "git commit -a")'
    elif changes.untracked:
        yield 'nothing added to commit but untracked files present (use "git add" to track)'
    elif repo.head_is_unborn:
        yield 'nothing to commit (create/copy files and use "git add" to track)'
    else:
        yield "nothing to commit, working tree clean"
