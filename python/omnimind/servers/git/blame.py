"""Which commit each line of a file comes from.

Lines are handed from a commit to its parents as far as they are unchanged there, newest commit first, so that work
can be watched and stopped, and a renamed file is followed; libgit2's own blame does neither. A merge hands lines to
its first parent that has them.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field

import pygit2
from pygit2.enums import DeltaStatus

from omnimind.servers.git import history, limits, show
from omnimind.servers.git.repository import text_of
from omnimind.servers.git.worktree import Watch
from omnimind.servers.problem import Problem


@dataclass(frozen=True, slots=True)
class Line:
    """One line: its number now and then, the commit that it comes from, and the file's name there."""

    number: int
    commit: pygit2.Commit
    then: int
    path: str
    text: str


@dataclass(slots=True)
class _Suspect:
    """A file in a commit, with lines nobody has claimed yet: number there → number now."""

    commit: pygit2.Commit
    path: str
    blob: pygit2.Oid
    lines: dict[int, int] = field(default_factory=dict)


def blame(
    repo: pygit2.Repository, start: pygit2.Commit, path: str, first: int, count: int, watch: Watch
) -> tuple[list[Line], int]:
    """`count` lines from line `first` on, and how many lines the file has."""
    found = history.entry_at(start.tree, path)
    if found is None or not isinstance(repo[found[0]], pygit2.Blob):
        raise Problem(
            f"'{path}' is not a file in {start.short_id}; git_file_history finds one that was deleted"
        )
    data = show.blob_bytes(repo, pygit2.Oid(hex=found[0]))
    if len(data) > limits.BLAME_BYTES:
        raise Problem(f"'{path}' has {len(data):,} bytes; blame takes {limits.BLAME_BYTES:,}")
    texts = data.split(b"\n")
    if texts and not texts[-1]:
        texts.pop()
    if texts and first > len(texts):
        raise Problem(f"'{path}' has {len(texts)} lines; begin at one of them, not at {first}")
    wanted = {number: number for number in range(first, min(first + count, len(texts) + 1))}
    work = _Work(repo, watch, len(wanted))
    work.push(_Suspect(start, path, pygit2.Oid(hex=found[0]), wanted))
    origins = work.done()
    lines = [Line(number, *origins[number], text_of(texts[number - 1])) for number in sorted(origins)]
    return lines, len(texts)


@dataclass(slots=True)
class _Work:
    repo: pygit2.Repository
    watch: Watch
    total: int
    _queue: list[tuple[int, int, pygit2.Oid, str]] = field(default_factory=list)
    _suspects: dict[tuple[pygit2.Oid, str], _Suspect] = field(default_factory=dict)
    _origins: dict[int, tuple[pygit2.Commit, int, str]] = field(default_factory=dict)
    _pushed: int = 0

    def push(self, suspect: _Suspect) -> None:
        if not suspect.lines:
            return
        key = (suspect.commit.id, suspect.path)
        known = self._suspects.get(key)
        if known is not None:
            # Two numbers now may come from one line then: merges can bring a line twice.
            clashing = {then: now for then, now in suspect.lines.items() if then in known.lines}
            for then, now in clashing.items():
                self._origins[now] = (suspect.commit, then, suspect.path)
            known.lines.update({a: b for a, b in suspect.lines.items() if a not in clashing})
            return
        self._suspects[key] = suspect
        self._pushed += 1
        heapq.heappush(self._queue, (-suspect.commit.commit_time, self._pushed, *key))

    def done(self) -> dict[int, tuple[pygit2.Commit, int, str]]:
        looked_at = 0
        while self._queue:
            self.watch()
            looked_at += 1
            if looked_at > limits.WALK_COMMITS:
                raise Problem(
                    f"{looked_at:,} commits were looked at, the limit of one call; ask for fewer lines"
                )
            _, _, commit, path = heapq.heappop(self._queue)
            self._judge(self._suspects.pop((commit, path)))
        return self._origins

    def _judge(self, suspect: _Suspect) -> None:
        parents = [(parent, *self._before(suspect, parent)) for parent in suspect.commit.parents]
        for parent, path, blob in parents:
            if blob == suspect.blob:
                self.push(_Suspect(parent, path, suspect.blob, suspect.lines))
                return
        for parent, path, blob in parents:
            if blob is not None:
                kept = self._unchanged(blob, suspect.blob, suspect.lines)
                self.push(
                    _Suspect(parent, path, blob, {then: now for now_there, (then, now) in kept.items()})
                )
                suspect.lines = {at: now for at, now in suspect.lines.items() if at not in kept}
        for then, now in suspect.lines.items():
            self._origins[now] = (suspect.commit, then, suspect.path)

    def _before(self, suspect: _Suspect, parent: pygit2.Commit) -> tuple[str, pygit2.Oid | None]:
        """The file in a parent, under this name or the one it had."""
        entry = history.entry_at(parent.tree, suspect.path)
        if entry is not None:
            return suspect.path, pygit2.Oid(hex=entry[0])
        diff = parent.tree.diff_to_tree(suspect.commit.tree)
        diff.find_similar()
        for delta in diff.deltas:
            if delta.status == DeltaStatus.RENAMED and text_of(delta.new_file.raw_path) == suspect.path:
                return text_of(delta.old_file.raw_path), delta.old_file.id
        return suspect.path, None

    def _unchanged(
        self, old: pygit2.Oid, new: pygit2.Oid, lines: dict[int, int]
    ) -> dict[int, tuple[int, int]]:
        """Lines of `new` that stand in `old` too: number in new → (number in old, number now)."""
        kept: dict[int, tuple[int, int]] = {}
        before, after = self.repo[old], self.repo[new]
        if not isinstance(before, pygit2.Blob) or not isinstance(after, pygit2.Blob):
            return kept
        hunks = list(_hunks(before.diff(after, context_lines=0)))  # type: ignore[call-arg]
        at, shift = 0, 0
        for number in sorted(lines):
            while at < len(hunks) and hunks[at][1] <= number:
                shift = hunks[at][2]
                at += 1
            inside = at > 0 and hunks[at - 1][0] <= number < hunks[at - 1][1]
            changed = inside or (at < len(hunks) and hunks[at][0] <= number < hunks[at][1])
            if not changed:
                kept[number] = (number - shift, lines[number])
        return kept


def _hunks(patch: pygit2.Patch) -> Iterator[tuple[int, int, int]]:
    """For every hunk: its first line in the new file, the line after its last, and the shift from there on."""
    shift = 0
    for hunk in patch.hunks:
        shift += hunk.new_lines - hunk.old_lines
        start = hunk.new_start if hunk.new_lines else hunk.new_start + 1
        yield start, start + hunk.new_lines, shift
