"""What an entry is worth: for a query, and for staying on its level. Pure.

The score of a retrieval is a weighted mean of four parts between 0 and 1: how well the words match (BM25, as a share
of the best match), how lately it was written (halved every week), the importance that the writer gave it, and
its level. Without a query the part of the words is left out and the others share its weight.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from omnimind.servers.context.entries import Entry

WEIGHTS: Final = {"words": 0.55, "recency": 0.15, "importance": 0.2, "level": 0.1}
LEVEL_WORTH: Final = {"working": 1.0, "session": 0.75, "project": 0.5, "archive": 0.25}
HALF_LIFE_MS: Final = 7 * 86_400_000
STAYING_HALF_LIFE_MS: Final = 86_400_000
_STAYING_WEIGHTS: Final = (0.6, 0.4)


@dataclass(frozen=True, slots=True)
class Ranked:
    """An entry with its score and the parts of it: value and weight by name."""

    entry: Entry
    score: float
    parts: dict[str, tuple[float, float]]


def rank(found: list[tuple[Entry, float | None]], now_ms: int) -> list[Ranked]:
    """Entries with their BM25 (None without a query), the best first; of equals the latest."""
    best = max((relevance for _, relevance in found if relevance is not None), default=0.0)
    ranked = [_ranked(entry, relevance, best, now_ms) for entry, relevance in found]
    return sorted(ranked, key=lambda one: (-one.score, -one.entry.updated_ms, one.entry.id))


def staying_value(entry: Entry, now_ms: int) -> float:
    """How much an entry is worth where it is; the least goes first."""
    for_importance, for_recency = _STAYING_WEIGHTS
    return for_importance * entry.importance + for_recency * _recency(entry, now_ms, STAYING_HALF_LIFE_MS)


def _ranked(entry: Entry, relevance: float | None, best: float, now_ms: int) -> Ranked:
    values = {
        "recency": _recency(entry, now_ms, HALF_LIFE_MS),
        "importance": entry.importance,
        "level": LEVEL_WORTH[entry.level],
    }
    if relevance is not None:
        values = {"words": relevance / best if best > 0 else 1.0, **values}
    whole = sum(WEIGHTS[name] for name in values)
    parts = {name: (value, WEIGHTS[name] / whole) for name, value in values.items()}
    return Ranked(entry, sum(value * weight for value, weight in parts.values()), parts)


def _recency(entry: Entry, now_ms: int, half_life_ms: int) -> float:
    return float(0.5 ** (max(0, now_ms - entry.updated_ms) / half_life_ms))
