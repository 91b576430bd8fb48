"""Two versions of a series of commits, compared.

`git range-diff` asks for the git program; this is our own answer to the same question, over libgit2. Commits of the
old and the new range are paired when their patches are equal, then when they are most alike (share of equal patch
lines, at least 40 %, a little more for an equal subject), the most alike first. git solves an assignment problem
over a cost instead, so a doubtful pair may come out differently. Merges are left out, as in git.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pygit2
from pygit2.enums import SortMode

from omnimind.servers.git import limits, patch, revisions, show
from omnimind.servers.git.repository import message_of, text_of
from omnimind.servers.git.worktree import Watch
from omnimind.servers.problem import Problem

_ALIKE = 0.4
_SAME_SUBJECT = 0.2


@dataclass(frozen=True, slots=True)
class Pair:
    """An old and a new commit (one of them may be missing), and how they differ."""

    old: pygit2.Commit | None
    old_number: int | None
    new: pygit2.Commit | None
    new_number: int | None
    verdict: str
    likeness: float
    difference: str


@dataclass(frozen=True, slots=True)
class _Version:
    number: int
    commit: pygit2.Commit
    lines: tuple[str, ...]
    counts: Counter[str]

    @property
    def subject(self) -> str:
        return message_of(self.commit).partition("\n")[0]


def compare(repo: pygit2.Repository, old: str, new: str, watch: Watch) -> list[Pair]:
    """Pairs in the order of the new range; what fell away stands before what came after it."""
    before, after = _versions(repo, old, watch), _versions(repo, new, watch)
    pairs = _paired(before, after, watch)
    return list(_in_order(before, after, pairs))


def _versions(repo: pygit2.Repository, text: str, watch: Watch) -> list[_Version]:
    ends = revisions.split_range(text)
    if ends is None or ends[2]:
        raise Problem(f"'{text}' is not a range; write BASE..TIP, as in main..topic")
    base, tip = (revisions.commit_of(repo, end) for end in ends[:2])
    walker = repo.walk(tip.id, SortMode.TOPOLOGICAL | SortMode.REVERSE)
    walker.hide(base.id)
    found: list[_Version] = []
    for commit in walker:
        watch()
        if len(commit.parents) > 1:
            continue
        if len(found) == limits.RANGE_COMMITS:
            raise Problem(f"{text} has more than {limits.RANGE_COMMITS} commits; compare a shorter range")
        lines = tuple(_lines(commit))
        found.append(_Version(len(found) + 1, commit, lines, Counter(lines)))
    return found


def _lines(commit: pygit2.Commit) -> Iterator[str]:
    """The commit's message and patch without what changes by itself: ids and line numbers."""
    yield from message_of(commit).rstrip("\n").split("\n")
    for one in patch.of_commit(commit):
        if one is None:
            continue
        yield f"## {text_of(one.delta.old_file.raw_path)} -> {text_of(one.delta.new_file.raw_path)} ##"
        for line in show.hunks_text(one).splitlines():
            yield "@@" + line.split("@@", 2)[-1] if line.startswith("@@") else line


def _paired(before: list[_Version], after: list[_Version], watch: Watch) -> dict[int, tuple[int, float]]:
    """New number → (old number, likeness)."""
    pairs: dict[int, tuple[int, float]] = {}
    taken: set[int] = set()
    candidates: list[tuple[float, int, int, int]] = []
    for one in after:
        watch()
        candidates.extend(
            (-_likeness(other, one), abs(other.number - one.number), other.number, one.number)
            for other in before
        )
    for unlikeness, _, old, new in sorted(candidates):
        if -unlikeness >= _ALIKE and old not in taken and new not in pairs:
            pairs[new] = (old, -unlikeness)
            taken.add(old)
    return pairs


def _likeness(one: _Version, other: _Version) -> float:
    if one.lines == other.lines:
        return 1.0
    shared = sum((one.counts & other.counts).values())
    share = 2 * shared / (len(one.lines) + len(other.lines))
    return min(0.99, share + (_SAME_SUBJECT if one.subject == other.subject else 0))


def _in_order(
    before: list[_Version], after: list[_Version], pairs: dict[int, tuple[int, float]]
) -> Iterator[Pair]:
    kept = {old for old, _ in pairs.values()}
    waiting = [one for one in before if one.number not in kept]
    for new in after:
        found = pairs.get(new.number)
        if found is None:
            yield Pair(None, None, new.commit, new.number, "added", 0.0, "")
            continue
        while waiting and waiting[0].number < found[0]:
            gone = waiting.pop(0)
            yield Pair(gone.commit, gone.number, None, None, "dropped", 0.0, "")
        old = before[found[0] - 1]
        same = old.lines == new.lines
        difference = "" if same else "\n".join(_difference(old, new))
        verdict = "equal" if same else "changed"
        yield Pair(old.commit, old.number, new.commit, new.number, verdict, round(found[1], 2), difference)
    for gone in waiting:
        yield Pair(gone.commit, gone.number, None, None, "dropped", 0.0, "")


def _difference(old: _Version, new: _Version) -> Iterator[str]:
    yield from list(difflib.unified_diff(old.lines, new.lines, lineterm="", n=3))[2:]


def text(pairs: list[Pair]) -> Iterator[str]:
    """As `git range-diff` writes it: a line a pair, and beneath it the difference of the two patches."""
    signs = {"equal": "=", "changed": "!", "dropped": "<", "added": ">"}
    for pair in pairs:
        commit = pair.new or pair.old
        subject = "" if commit is None else message_of(commit).partition("\n")[0]
        yield (
            f"{_end(pair.old, pair.old_number)} {signs[pair.verdict]} {_end(pair.new, pair.new_number)} {subject}\n"
        )
        for line in pair.difference.splitlines():
            yield f"    {line}\n"


def _end(commit: pygit2.Commit | None, number: int | None) -> str:
    return "-:  -------" if commit is None else f"{number}:  {commit.short_id}"
