"""Near-duplicates: which texts say almost the same, and by how much.

The measure can be checked by hand: the words and the pairs of neighbouring words of both texts, how many of
them are shared, divided by how many there are (Jaccard). No text is compared with all others: two sets that
share the fraction t must share one of their rarest members, so only texts that do are compared
(prefix filtering; it misses nothing). Texts that differ in a number only share almost all of them, so the
comparisons have a bound; how many texts came to their turn is part of the answer.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

_WORD = re.compile(r"\w+")
_CHECK_EVERY = 4096  # comparisons
COMPARISONS: Final = 2_000_000

Feature = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two texts, by their places in the given order, and what they share."""

    first: int
    second: int
    similarity: float
    shared: int
    total: int


@dataclass(frozen=True, slots=True)
class Found:
    """Pairs of similar texts, most similar first, among the first `compared` texts."""

    pairs: list[Pair]
    compared: int


def features(text: str) -> frozenset[Feature]:
    """The words of a text and its pairs of neighbouring words, without regard to case."""
    words = [word.casefold() for word in _WORD.findall(text)]
    return frozenset([(word,) for word in words] + list(itertools.pairwise(words)))


def similarity(left: frozenset[Feature], right: frozenset[Feature]) -> float:
    """Shared features over all features; 0 where there are none."""
    union = len(left | right)
    return len(left & right) / union if union else 0.0


def pairs(
    texts: Sequence[str],
    threshold: float,
    check: Callable[[int], None] = lambda _: None,
    most: int = COMPARISONS,
) -> Found:
    """The pairs of texts at least this similar; `threshold` is above 0. Of texts with the same features only
    the pairs with the first of them are among the answers. `check` is told how many texts are done."""
    sets = _numbered([features(text) for text in texts])
    first_with: dict[frozenset[int], int] = {}
    index: dict[int, list[int]] = {}
    found: list[Pair] = []
    comparisons = 0
    for at, current in enumerate(sets):
        check(at)
        twin = first_with.setdefault(current, at)
        if twin != at:
            if current:
                found.append(Pair(twin, at, 1.0, len(current), len(current)))
            continue
        rarest = sorted(current)
        needed = len(rarest) - math.ceil(threshold * len(rarest)) + 1
        candidates: set[int] = set()
        for feature in rarest[:needed]:
            candidates.update(index.get(feature, ()))
            index.setdefault(feature, []).append(at)
        for other in candidates:
            comparisons += 1
            if comparisons % _CHECK_EVERY == 0:
                check(at)
            shared = len(sets[other] & current)
            total = len(sets[other]) + len(current) - shared
            if shared >= threshold * total:
                found.append(Pair(other, at, round(shared / total, 4), shared, total))
        if comparisons >= most:
            break
    compared = at + 1 if texts else 0
    return Found(sorted(found, key=lambda pair: (-pair.similarity, pair.first, pair.second)), compared)


def _numbered(sets: Sequence[frozenset[Feature]]) -> list[frozenset[int]]:
    """The sets with a number for each feature, the rarest first: numbers compare and sort faster."""
    frequency = Counter(feature for one in sets for feature in one)
    numbers = {feature: at for at, (feature, _) in enumerate(reversed(frequency.most_common()))}
    return [frozenset(numbers[feature] for feature in one) for one in sets]


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
