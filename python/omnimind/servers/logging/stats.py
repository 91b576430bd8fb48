"""Counts of records by log, level and time; by what the index knows of a block where that is enough."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from omnimind.servers.logging import levels, walk
from omnimind.servers.logging.record import Chunk, Source
from omnimind.servers.logging.wanted import Budget, Wanted, stamp_of
from omnimind.servers.problem import Problem

BUCKETS = 60
_SIZES_S = (10, 60, 300, 900, 3600, 6 * 3600, 86400, 7 * 86400)
_SPANS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
BUCKETS_MOST = 1000


@dataclass(slots=True)
class Stats:
    """What was counted. `back_to` is the time down to which all was looked at."""

    by_source: dict[str, Counter[str]] = field(default_factory=dict)
    by_time: dict[str, Counter[str]] = field(default_factory=dict)
    back_to: str = ""
    cut: bool = False

    @property
    def total(self) -> int:
        """All that was counted."""
        return sum(counts.total() for counts in self.by_source.values())


def seconds_of(text: str) -> int:
    """The length of a bucket such as 10m. Raises Problem."""
    number, unit = text[:-1], text[-1:]
    if number.isascii() and number.isdigit() and 0 < len(number) < 7 and unit in _SPANS and int(number):
        return int(number) * _SPANS[unit]
    raise Problem(f"bucket: {text[:20]!r} is no span such as 30s, 10m, 1h, 1d")


def bucket_of(oldest: str, newest: str) -> int:
    """The shortest usual length that needs no more than BUCKETS."""
    length_s = (
        (datetime.fromisoformat(newest) - datetime.fromisoformat(oldest)).total_seconds() if oldest else 0.0
    )
    return next((size for size in _SIZES_S if length_s / size < BUCKETS), _SIZES_S[-1])


def _begin(stamp: str, size_s: int) -> str:
    """The begin of the bucket of a moment."""
    try:
        moment = datetime.fromisoformat(stamp)
    except ValueError:
        return ""
    return stamp_of(datetime.fromtimestamp(moment.timestamp() // size_s * size_s, UTC))


def count(sources: Sequence[Source], wanted: Wanted, budget: Budget, bucket_s: int) -> Stats:
    """Count what is wanted, newest first, until time is over. Raises Problem for too many buckets."""
    stats = Stats()
    for source, chunk in walk.chunks(sources, wanted, budget):
        stats.back_to = chunk.newest
        counts = stats.by_source.setdefault(source.name, Counter())
        for moment, level, number in _counted(chunk, wanted, budget, bucket_s):
            counts[level] += number
            stats.by_time.setdefault(_begin(moment, bucket_s), Counter())[level] += number
        if len(stats.by_time) > BUCKETS_MOST:
            raise Problem(
                f"more than {BUCKETS_MOST:,} buckets of {bucket_s} s; take longer ones, or a shorter time"
            )
    stats.cut = budget.cut
    stats.by_source = {name: counts for name, counts in stats.by_source.items() if counts}
    stats.by_time = dict(sorted(stats.by_time.items()))
    return stats


def _counted(chunk: Chunk, wanted: Wanted, budget: Budget, bucket_s: int) -> list[tuple[str, str, int]]:
    """The lines of a chunk by time and level; all at once where it lies in one bucket."""
    known = chunk.counts
    if (
        known is not None
        and wanted.by_level
        and wanted.in_time(chunk.oldest)
        and wanted.in_time(chunk.newest)
        and _begin(chunk.oldest, bucket_s) == _begin(chunk.newest, bucket_s)
    ):
        levelled = zip(levels.BY_RANK, known, strict=True)
        return [
            (chunk.oldest, level, number) for level, number in levelled if number and wanted.of_level(level)
        ]
    each = Counter((record.time, record.level) for record in chunk.records(wanted, budget))
    return [(moment, level, number) for (moment, level), number in each.items() if moment]
