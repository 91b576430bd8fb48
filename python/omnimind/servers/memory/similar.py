"""Near-duplicates: which texts say almost the same, and by how much.

The measure can be checked by hand: the words and the pairs of neighbouring words of both texts, how many of
them are shared, divided by how many there are (Jaccard). No text is compared with all others: two sets that
share the fraction t must share one of their rarest members, so only texts that do are compared
(prefix filtering; it misses nothing).
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_WORD = re.compile(r"\w+")
_CHECK_EVERY = 64

Feature = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two texts, by their places in the given order, and what they share."""

    first: int
    second: int
    similarity: float
    shared: int
    total: int


def features(text: str) -> frozenset[Feature]:
    """The words of a text and its pairs of neighbouring words, without regard to case."""
    words = [word.casefold() for word in _WORD.findall(text)]
    return frozenset([(word,) for word in words] + list(itertools.pairwise(words)))


def similarity(left: frozenset[Feature], right: frozenset[Feature]) -> float:
    """Shared features over all features; 0 where there are none."""
    union = len(left | right)
    return len(left & right) / union if union else 0.0


def pairs(texts: Sequence[str], threshold: float, check: Callable[[], None] = lambda: None) -> list[Pair]:
    """All pairs of texts at least this similar, most similar first. `threshold` is above 0."""
    sets = [features(text) for text in texts]
    frequency = Counter(feature for one in sets for feature in one)
    index: dict[Feature, list[int]] = {}
    found: list[Pair] = []
    for at, current in enumerate(sets):
        if at % _CHECK_EVERY == 0:
            check()
        rarest = sorted(current, key=lambda feature: (frequency[feature], feature))
        needed = len(rarest) - math.ceil(threshold * len(rarest)) + 1
        candidates: set[int] = set()
        for feature in rarest[:needed]:
            candidates.update(index.get(feature, ()))
            index.setdefault(feature, []).append(at)
        found.extend(
            _pair(other, at, sets) for other in candidates if similarity(sets[other], current) >= threshold
        )
    return sorted(found, key=lambda pair: (-pair.similarity, pair.first, pair.second))


def _pair(first: int, second: int, sets: Sequence[frozenset[Feature]]) -> Pair:
    shared = len(sets[first] & sets[second])
    total = len(sets[first] | sets[second])
    return Pair(first, second, round(shared / total, 4), shared, total)


def groups(found: Sequence[Pair]) -> list[list[int]]:
    """Texts that hang together by these pairs, largest group first."""
    leader: dict[int, int] = {}

    def lead(one: int) -> int:
        while leader.setdefault(one, one) != one:
            one = leader[one]
        return one

    for pair in found:
        leader[lead(pair.second)] = lead(pair.first)
    members: dict[int, list[int]] = {}
    for one in sorted(leader):
        members.setdefault(lead(one), []).append(one)
    return sorted(members.values(), key=lambda group: (-len(group), group))
