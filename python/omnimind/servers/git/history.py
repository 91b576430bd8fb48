"""Walking commits: the log, the history of one file, and the commits that add or remove a text.

A walk goes from a revision to its ancestors, newest first by commit date as in git, and ends with a problem at
`limits.WALK_COMMITS`.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import pygit2
from pygit2.enums import DeltaStatus, FileMode, ObjectType

from omnimind.servers import depends
from omnimind.servers.git import limits, revisions
from omnimind.servers.git.repository import message_of, text_of
from omnimind.servers.git.worktree import Watch
from omnimind.servers.problem import Problem


@dataclass(frozen=True, slots=True)
class Change:
    """A commit, and what it did to the file that is asked for."""

    commit: pygit2.Commit
    kind: str
    path: str


def when(signature: pygit2.Signature) -> datetime:
    """The moment of a signature, in its own zone."""
    return datetime.fromtimestamp(signature.time, timezone(timedelta(minutes=signature.offset)))


def name_of(signature: pygit2.Signature) -> str:
    """The name in a signature."""
    return text_of(signature.raw_name, getattr(signature, "_encoding", None))


def walk(repo: pygit2.Repository, start: pygit2.Commit, watch: Watch) -> Iterator[pygit2.Commit]:
    """The commit and its ancestors: always the youngest of those whose child was shown, as git does."""
    queue, known, seen = [(-start.commit_time, 0, start)], {start.id}, 0
    while queue:
        watch()
        commit = heapq.heappop(queue)[2]
        seen += 1
        if seen > limits.WALK_COMMITS:
            raise Problem(
                f"{limits.WALK_COMMITS:,} commits were looked at, the limit of one call; begin at an older revision"
            )
        yield commit
        for parent_id in commit.parent_ids:
            parent = repo.get(parent_id)
            if parent is None:  # a partial clone may be given it later
                depends.unsure()
            if parent_id not in known and isinstance(parent, pygit2.Commit):
                known.add(parent_id)
                heapq.heappush(queue, (-parent.commit_time, len(known), parent))


def log(
    repo: pygit2.Repository,
    start: pygit2.Commit,
    since: datetime | None,
    until: datetime | None,
    watch: Watch,
) -> Iterator[pygit2.Commit]:
    """Commits whose commit date is in the range; like git, it ends at the first that is too old."""
    earliest = None if since is None else since.timestamp()
    latest = None if until is None else until.timestamp()
    for commit in walk(repo, start, watch):
        if earliest is not None and commit.commit_time < earliest:
            return
        if latest is None or commit.commit_time <= latest:
            yield commit


def entry_text(commit: pygit2.Commit) -> str:
    """A commit as the reference server lists it."""
    return (
        f"Commit: {commit.id}\nAuthor: {name_of(commit.author)}\nDate: {when(commit.author)}\n"
        f"Message: {message_of(commit)}\n"
    )


def of_file(
    repo: pygit2.Repository, start: pygit2.Commit, path: str, follow: bool, watch: Watch
) -> Iterator[Change]:
    """The commits that changed a file; with `follow` past a rename, under its older name."""
    if entry_at(start.tree, path) is None and not any(
        entry_at(parent.tree, path) is not None for parent in start.parents
    ):
        followed = False  # it may have been there once; git log finds such files too
    else:
        followed = follow
    for commit in walk(repo, start, watch):
        own = entry_at(commit.tree, path)
        before = [entry_at(parent.tree, path) for parent in commit.parents]
        if own in before or (own is None and not any(before)):
            continue
        if own is not None and not any(before):
            older = _renamed_from(commit, path) if followed else None
            yield Change(commit, "added" if older is None else f"renamed from {older}", path)
            path = older or path
        else:
            yield Change(commit, "deleted" if own is None else "modified", path)


def entry_at(tree: pygit2.Tree, path: str) -> tuple[str, int] | None:
    """Id and mode of a path in a tree."""
    try:
        found = tree[path]
    except (KeyError, ValueError):
        return None
    return str(found.id), int(found.filemode)


def _renamed_from(commit: pygit2.Commit, path: str) -> str | None:
    """The name that a file had before this commit gave it its name."""
    for parent in commit.parents[:1]:
        diff = parent.tree.diff_to_tree(commit.tree)
        diff.find_similar()
        for delta in diff.deltas:
            if delta.status == DeltaStatus.RENAMED and text_of(delta.new_file.raw_path) == path:
                return text_of(delta.old_file.raw_path)
    return None


def changing_text(
    repo: pygit2.Repository, start: pygit2.Commit, text: str, path: str | None, watch: Watch
) -> Iterator[tuple[pygit2.Commit, list[tuple[str, int]]]]:
    """Commits after which a text occurs more or less often in some file, with those files and the difference.

    The same question as `git log -S`, answered without looking at merges.
    """
    wanted = text.encode()
    counts: dict[pygit2.Oid, int] = {}  # a file after one commit is the file before the next

    def count(file: pygit2.DiffFile) -> int:
        if file.id not in counts:
            counts[file.id] = _count(repo, file, wanted)
        return counts[file.id]

    for commit in walk(repo, start, watch):
        if len(commit.parents) > 1:
            continue
        found = []
        for delta in _differences(commit):
            watch()
            name = text_of(delta.new_file.raw_path)
            if path is not None and not (name == path or name.startswith(path.rstrip("/") + "/")):
                continue
            changed = count(delta.new_file) - count(delta.old_file)
            if changed:
                found.append((name, changed))
        if found:
            yield commit, found


def _differences(commit: pygit2.Commit) -> list[pygit2.DiffDelta]:
    tree = commit.tree
    diff = commit.parents[0].tree.diff_to_tree(tree) if commit.parents else tree.diff_to_tree(swap=True)
    return list(diff.deltas)


def _count(repo: pygit2.Repository, file: pygit2.DiffFile, wanted: bytes) -> int:
    if not any(file.id.raw) or file.mode == FileMode.COMMIT:
        return 0
    kind, size = repo.odb.read_header(file.id)
    if kind != ObjectType.BLOB or size > limits.BLOB_BYTES:
        return 0
    return repo[file.id].read_raw().count(wanted)


def path_in_tree(path: str) -> str:
    """A caller's path as trees have it: relative, with no `.` or `..`."""
    revisions.refuse_odd(path, "path")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if path.startswith("/") or ".." in parts or not parts:
        raise Problem(f"'{path}' is not a path in a repository; write it relative to its top, without '..'")
    return "/".join(parts)
