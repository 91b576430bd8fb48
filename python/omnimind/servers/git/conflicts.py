"""Paths of the index that a merge could not settle."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pygit2

from omnimind.servers.git import evidence

_KINDS = {
    (True, False, False): "both deleted",
    (False, True, False): "added by us",
    (True, True, False): "deleted by them",
    (False, False, True): "added by them",
    (True, False, True): "deleted by us",
    (False, True, True): "both added",
    (True, True, True): "both modified",
}


@dataclass(frozen=True, slots=True)
class Conflict:
    """One path, what happened to it, and the blobs of the three sides (None where a side has no file)."""

    path: bytes
    kind: str
    base: str | None
    ours: str | None
    theirs: str | None


def conflicts(repo: pygit2.Repository) -> Iterator[Conflict]:
    """Every unmerged path, in order."""
    evidence.file(repo, "index")
    for sides in repo.index.conflicts or ():
        there = next(side for side in sides if side is not None)
        ids = [None if side is None else str(side.id) for side in sides]
        kind = _KINDS[(sides[0] is not None, sides[1] is not None, sides[2] is not None)]
        yield Conflict(there.path.encode("utf-8", "surrogateescape"), kind, *ids)
