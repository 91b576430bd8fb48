"""Unified diffs of lines, with the head that clients of the reference server expect.

The lines that stay are found by the greedy search for a shortest edit script (Myers, "An O(ND) difference
algorithm", 1986); of two scripts of the same length the one that removes first is taken, as there. It costs
the number of lines plus the square of the number of changed ones, so past `CHANGES` changed lines the middle of
the text, all that its beginning and end do not share, is shown as replaced: still a true diff.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

CHANGES: Final = 600
_CONTEXT = 4


class _Change(NamedTuple):
    """One removed or added line, and the changes before it. `at` counts in the text the line belongs to."""

    before: _Change | None
    removed: bool
    at: int


class _Path(NamedTuple):
    """How far along the old text a script has come, and what it has changed."""

    reached: int
    last: _Change | None


def unified(before: str, after: str, shown: str) -> str:
    """The diff between two texts whose lines end in a line feed."""
    old, new = _lines(before), _lines(after)
    out = [f"Index: {shown}", "=" * 67, f"--- {shown}\toriginal", f"+++ {shown}\tmodified"]
    for hunk in _hunks(_changes(old, new)):
        out.extend(_written(hunk, old, new))
    return "\n".join(out) + "\n"


def _lines(text: str) -> list[str]:
    """The lines with the line feed that ends each; the last may have none."""
    lines = [f"{line}\n" for line in text.split("\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]


def _changes(old: Sequence[str], new: Sequence[str]) -> list[_Change]:
    """A shortest script, in its order; a plain one if that is too long to look for."""
    found = _shortest(old, new)
    return _plain(old, new) if found is None else found


def _shortest(old: Sequence[str], new: Sequence[str]) -> list[_Change] | None:
    """A shortest script; None if it is longer than `CHANGES`."""
    reached = _run(old, new, 0, 0)
    if reached == len(old) == len(new):
        return []
    paths = {0: _Path(reached, None)}
    lowest, highest = -CHANGES, CHANGES
    for length in range(1, CHANGES + 1):
        for diagonal in range(max(lowest, -length), min(highest, length) + 1, 2):
            path = _step(paths, diagonal, len(old), len(new))
            if path is None:
                continue
            reached = _run(old, new, path.reached, path.reached - diagonal)
            if reached == len(old) and reached - diagonal == len(new):
                return _unrolled(path.last)
            paths[diagonal] = _Path(reached, path.last)
            if reached == len(old):
                highest = min(highest, diagonal - 1)
            if reached - diagonal == len(new):
                lowest = max(lowest, diagonal + 1)
    return None


def _unrolled(last: _Change | None) -> list[_Change]:
    found: list[_Change] = []
    while last is not None:
        found.append(last)
        last = last.before
    return found[::-1]


def _run(old: Sequence[str], new: Sequence[str], at: int, there: int) -> int:
    """How far old goes on like new."""
    while at < len(old) and there < len(new) and old[at] == new[there]:
        at, there = at + 1, there + 1
    return at


def _step(paths: dict[int, _Path], diagonal: int, olds: int, news: int) -> _Path | None:
    """One more change that leads to this diagonal: from the neighbour that has come farther, or none."""
    remove, add = paths.pop(diagonal - 1, None), paths.get(diagonal + 1)
    if remove is not None and remove.reached >= olds:
        remove = None
    if add is not None and not 0 < add.reached - diagonal <= news:
        add = None
    if remove is not None and (add is None or remove.reached >= add.reached):
        return _Path(remove.reached + 1, _Change(remove.last, True, remove.reached))
    if add is not None:
        return _Path(add.reached, _Change(add.last, False, add.reached - diagonal - 1))
    paths.pop(diagonal, None)
    return None


def _plain(old: Sequence[str], new: Sequence[str]) -> list[_Change]:
    """All that is not shared at both ends is replaced."""
    start = _run(old, new, 0, 0)
    rest = min(len(old), len(new)) - start
    end = next((at for at in range(rest) if old[-1 - at] != new[-1 - at]), rest)
    removed = [_Change(None, True, at) for at in range(start, len(old) - end)]
    return removed + [_Change(None, False, at) for at in range(start, len(new) - end)]


class _Placed(NamedTuple):
    """A change with the places, in the old and the new text, before which it happens."""

    place: int
    there: int
    change: _Change


def _hunks(changes: Sequence[_Change]) -> list[list[_Placed]]:
    """The changes in groups that share no context lines."""
    groups: list[list[_Placed]] = []
    shift = end = 0
    for change in changes:
        place = change.at if change.removed else change.at - shift
        there = place + shift
        shift += -1 if change.removed else 1
        if not groups or place - end > 2 * _CONTEXT:
            groups.append([])
        groups[-1].append(_Placed(place, there, change))
        end = place + 1 if change.removed else place
    return groups


def _written(hunk: Sequence[_Placed], old: Sequence[str], new: Sequence[str]) -> list[str]:
    first, last = hunk[0], hunk[-1]
    start = max(0, first.place - _CONTEXT)
    end = min(len(old), last.place + last.change.removed + _CONTEXT)
    new_start = start + first.there - first.place
    lines: list[str] = []
    at = start
    for place, _, change in hunk:
        lines.extend(f" {line}" for line in old[at:place])
        lines.append(f"-{old[change.at]}" if change.removed else f"+{new[change.at]}")
        at = place + change.removed
    lines.extend(f" {line}" for line in old[at:end])
    removed = sum(placed.change.removed for placed in hunk)
    olds = end - start
    news = olds + len(hunk) - 2 * removed
    head = f"@@ -{start + (olds > 0)},{olds} +{new_start + (news > 0)},{news} @@"
    return [head, *(part for line in lines for part in _ended(line))]


def _ended(line: str) -> tuple[str, ...]:
    return (line[:-1],) if line.endswith("\n") else (line, "\\ No newline at end of file")
