"""Counts by latency: what both clocks give, added, subtracted, read as percentiles. Pure.

A bucket is `[low, high)` in whole microseconds; `high` is None for the one without an end. Buckets need not be of
one size, so that a kernel's powers of two (or 32nds of them) and a gateway's bounds are the same kind of thing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Self

Bucket = tuple[int, int | None]


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many calls took how long."""

    counts: Mapping[Bucket, int] = field(default_factory=dict)

    @property
    def calls(self) -> int:
        """All of them."""
        return sum(self.counts.values())

    def __add__(self, other: Self) -> Self:
        summed = dict(self.counts)
        for bucket, count in other.counts.items():
            summed[bucket] = summed.get(bucket, 0) + count
        return type(self)(summed)

    def since(self, earlier: Self) -> Self:
        """What came after `earlier`, an older reading of the same counts; all, if they began anew meanwhile."""
        gone = {bucket: count for bucket, count in earlier.counts.items() if count}
        if any(self.counts.get(bucket, 0) < count for bucket, count in gone.items()):
            return self
        new = ((bucket, count - gone.get(bucket, 0)) for bucket, count in self.counts.items())
        return type(self)({bucket: count for bucket, count in new if count})

    def percentile_us(self, percent: float) -> float | None:
        """The latency that `percent` of the calls do not exceed, by interpolation within a bucket; None without calls.

        It is as exact as its bucket is narrow. In the bucket without an end it is that bucket's low bound.
        """
        for (low, high), count, share in self._reached(percent):
            return float(low) if high is None else low + (high - low) * share / count
        return None

    def bucket_at(self, percent: float) -> Bucket | None:
        """The bucket that this percentile lies in: what is certain of it."""
        return next((bucket for bucket, _, _ in self._reached(percent)), None)

    def _reached(self, percent: float) -> Iterator[tuple[Bucket, int, float]]:
        """The buckets from the one in which so many calls are reached: each, its count, and how far into it."""
        wanted, seen = self.calls * percent / 100, 0
        for bucket, count in self._ordered():
            if count and seen + count >= wanted:
                yield bucket, count, max(0.0, wanted - seen)
            seen += count

    def at_least(self, us: int) -> int:
        """Calls in the buckets that begin at `us` or later."""
        return sum(count for (low, _), count in self.counts.items() if low >= us)

    def powers(self) -> list[tuple[int, int]]:
        """`(n, count)` for every [2^(n-1), 2^n) from the first with a call to the last; n is 0 for [0, 1).

        A bucket that spans several powers counts in its last one, the one without an end in the power it begins.
        """
        found: dict[int, int] = {}
        for (low, high), count in self.counts.items():
            power = (low if high is None else high - 1).bit_length()
            found[power] = found.get(power, 0) + count
        used = [power for power, count in found.items() if count]
        return [(power, found.get(power, 0)) for power in range(min(used), max(used) + 1)] if used else []

    def rows(self) -> list[list[int | None]]:
        """`[low, high, count]` in order, for JSON."""
        return [[low, high, count] for (low, high), count in self._ordered() if count]

    def _ordered(self) -> Iterator[tuple[Bucket, int]]:
        yield from sorted(self.counts.items(), key=lambda item: item[0][0])
