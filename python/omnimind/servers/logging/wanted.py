"""What a reader looks for: a time range, levels, words, a regular expression; and how much time it has.

Times are compared as texts of one form (UTC, milliseconds), because every record has one and most are never parsed.
Rule: whether a line is given out is decided on the line as it is given out, so that no question, not even one
that gets no answer, can tell what a secret was.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from omnimind._core import LineMatcher
from omnimind.logfiles import moments
from omnimind.servers import depends
from omnimind.servers.logging import levels, words
from omnimind.servers.problem import Problem

PATTERN_CHARS = 1000
_MS = len("2026-11-22T10:00:00.000")


def stamp_of(moment: datetime) -> str:
    """A moment in the form in which records are stamped."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for. `since` and `until` are stamps or empty; the range includes its begin, not its end."""

    since: str = ""
    until: str = ""
    least: int = 0
    unknown: bool = True
    query: words.Query | None = None
    pattern: LineMatcher | None = None

    origin: str | None = None
    event: str | None = None

    @property
    def by_level(self) -> bool:
        """True if only time and level decide."""
        return self.query is None and self.pattern is None and self.origin is None and self.event is None

    @property
    def levelled(self) -> bool:
        """True if the level decides."""
        return self.least > 0 or not self.unknown

    def in_time(self, stamp: str) -> bool:
        """True for a moment within the range."""
        return self.since <= stamp and (not self.until or stamp < self.until)

    def of_level(self, level: str) -> bool:
        """True for a level that is asked for."""
        rank = levels.RANKS[level]
        return rank >= self.least if rank else self.unknown

    def ranks(self) -> set[int]:
        """Every rank that is asked for."""
        return {rank for name, rank in levels.RANKS.items() if self.of_level(name)}

    def keeps(self, text: str, level: str) -> bool:
        """The last look at a record, as it would be given out."""
        return (
            self.of_level(level)
            and (self.query is None or self.query.keeps(text))
            and (self.pattern is None or self.pattern.search(text.encode("utf-8", "replace")))
        )


def made(
    now: datetime,
    *,
    since: str | None = None,
    until: str | None = None,
    level: str | None = None,
    unknown: bool = False,
    query: str | None = None,
    pattern: str | None = None,
    ignore_case: bool = False,
    origin: str | None = None,
    event: str | None = None,
) -> Wanted:
    """What the arguments of a tool ask for. Raises Problem."""
    return Wanted(
        since=moment(since, now, "since") if since else "",
        until=moment(until, now, "until") if until else "",
        least=levels.RANKS[level] if level else 0,
        unknown=unknown or level is None,
        query=words.parse(query) if query else None,
        pattern=_compiled(pattern, ignore_case) if pattern else None,
        origin=origin or None,
        event=event,
    )


def moment(text: str, now: datetime, name: str) -> str:
    """The stamp of `10m`, `2d`, or of an ISO date or time. Raises Problem."""
    depends.unsure()  # on when it is asked
    try:
        return stamp_of(moments.since(text, now))
    except (ValueError, OverflowError):
        raise Problem(
            f"{name}: {text[:40]!r} is neither a span such as 10m, 4h, 2d nor a time such as 10:00 or "
            "2026-11-22T10:00 (UTC)"
        ) from None


def _compiled(pattern: str, ignore_case: bool) -> LineMatcher:
    if len(pattern) > PATTERN_CHARS:
        raise Problem(f"a pattern may have {PATTERN_CHARS:,} characters, not {len(pattern):,}")
    try:
        return LineMatcher(pattern, ignore_case=ignore_case)
    except ValueError as fault:
        raise Problem(
            f"the pattern cannot be used: {' '.join(str(fault).split())}; it must be a regular expression of Rust's "
            "regex crate, without look-around and back-references"
        ) from fault


class Budget:
    """How long a reader may take, and whether it is still wanted. `looked` counts what it has read."""

    def __init__(
        self,
        seconds: float,
        check: Callable[[], None] = lambda: None,
        tell: Callable[[int], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self.check = check
        self._tell = tell
        self.end = clock() + seconds
        self.looked = 0
        self.cut = False

    @property
    def left_s(self) -> float:
        """What is left; 0 if nothing is, or if somebody has cut it."""
        return 0.0 if self.cut else max(0.0, self.end - self._clock())

    def spend(self, size: int) -> None:
        """So many bytes were read. Raises if the caller has gone away."""
        self.looked += size
        self.check()
        self._tell(self.looked)

    def over(self) -> bool:
        """True when no more may be read."""
        self.check()
        self.cut = self.cut or self._clock() >= self.end
        if self.cut:
            depends.unsure()
        return self.cut
