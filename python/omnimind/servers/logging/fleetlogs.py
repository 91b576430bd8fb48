"""The logs of the fleet as sources: `<state>/logs/NAME.log` and its segments, and the events of the fleet.

A source is made for one question and holds its files until it is closed. Blocks that the index knows are skipped
by what it says of them; blocks that it does not know yet are cut off the files as they stand.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from omnimind.servers.logging import lines
from omnimind.servers.logging.lines import Block, place, read_place
from omnimind.servers.logging.parts import Heads, Part, Parts
from omnimind.servers.logging.record import Chunk
from omnimind.servers.logging.wanted import Budget, Wanted

EVENTS = "@events"


@dataclass(frozen=True, slots=True)
class Known:
    """What the index says of a block. `last` is true for the last one of a part that is complete."""

    id: int
    start: int
    stop: int
    oldest: str
    newest: str
    counts: tuple[int, ...]
    last: bool


@dataclass(slots=True)
class _Span:
    """A block that may be read. What is not known of it is as wide as can be."""

    start: int
    stop: int
    known: Known | None = None


@dataclass(slots=True)
class FleetLog:
    """One log. `known` are the blocks of the index by part, `hits` those that may hold the words looked for."""

    name: str
    parts: Parts
    events: bool = False
    known: dict[str, Sequence[Known]] = field(default_factory=dict)
    hits: frozenset[int] | None = None
    gone: bool = False
    """A place was given whose part is removed by now."""

    @classmethod
    def of(cls, folder: Path, name: str, spool: Path, heads: Heads) -> FleetLog:
        """The log of this name, held as it is now."""
        file = "events.jsonl" if name == EVENTS else f"{name}.log"
        return cls(name, Parts(folder / file, spool, heads), name == EVENTS)

    @property
    def key(self) -> str:
        """What places call it."""
        return self.name

    def close(self) -> None:
        """Let its files go."""
        self.parts.close()

    def begins(self) -> str:
        """The time of its first line."""
        return self.parts.list[0].begins if self.parts.list else ""

    def end(self) -> str:
        """Behind the last whole line."""
        if not self.parts.list:
            return ""
        last = self.parts.list[-1]
        return place(last.mark, last.whole_lines(0, last.size))

    def chunks(self, wanted: Wanted, where: str, backward: bool, budget: Budget) -> Iterator[Chunk]:
        """Its blocks from a boundary on, without those that cannot hold what is wanted."""
        parts = self.parts.list
        at, offset = self._found(where, backward)
        if at is None:
            return
        for part in parts[at::-1] if backward else parts[at:]:
            if wanted.since and self._ends_before(part, wanted.since):
                offset = None
                continue
            spans = self._spans(part, offset, backward)
            offset = None
            for span in spans:
                block = self._block(part, span, wanted, backward)
                if block is not None:
                    yield block
                else:
                    budget.spend(0)
            part.release()

    def _found(self, where: str, backward: bool) -> tuple[int | None, int | None]:
        """The part of a boundary, and the offset in it."""
        parts = self.parts.list
        boundary = read_place(where)
        marks = [part.mark for part in parts]
        if boundary is not None and boundary[0] in marks:
            return marks.index(boundary[0]), boundary[1]
        self.gone = bool(where)
        if backward or not parts:
            return None, None
        return 0, None  # removed meanwhile: what is there is all newer

    def _ends_before(self, part: Part, moment: str) -> bool:
        """True if the next part begins before a moment: then nothing in this one is later."""
        parts = self.parts.list
        following = parts.index(part) + 1
        return following < len(parts) and "" < parts[following].begins < moment

    def _spans(self, part: Part, offset: int | None, backward: bool) -> Iterator[_Span]:
        """The blocks of a part on this side of the boundary, in the direction of reading."""
        known = self.known.get(part.mark, ())
        indexed = known[-1].stop if known else 0
        size = max(part.size, indexed) if part.live else part.size if not self._whole(part) else indexed
        boundary = (size if backward else 0) if offset is None else min(offset, size)
        if backward:
            yield from reversed(list(_cut(part, indexed, max(indexed, boundary))))
            for span in reversed(known[: bisect.bisect_left([each.start for each in known], boundary)]):
                yield _Span(span.start, min(span.stop, boundary), span)
        else:
            for span in known[bisect.bisect_right([each.stop for each in known], boundary) :]:
                yield _Span(max(span.start, boundary), span.stop, span)
            yield from _cut(part, max(indexed, boundary), size)

    def _whole(self, part: Part) -> bool:
        known = self.known.get(part.mark, ())
        return bool(known) and known[-1].last

    def _block(self, part: Part, span: _Span, wanted: Wanted, backward: bool) -> Block | None:
        """The block, read; None if it cannot hold what is wanted."""
        known = span.known
        if known is not None and (
            (self.hits is not None and known.id not in self.hits)
            or (wanted.since and known.newest < wanted.since)
            or (wanted.until and known.oldest >= wanted.until)
            or not any(known.counts[rank] for rank in wanted.ranks())
        ):
            return None
        data = part.read(span.start, span.stop)
        oldest, newest = bounds(data) if known is None else (known.oldest, known.newest)
        if (wanted.since and newest < wanted.since) or (wanted.until and oldest >= wanted.until):
            return None
        block = Block(self.name, part.mark, span.start, data, newest, oldest, backward, self.events)
        if known is not None and (span.start, span.stop) == (known.start, known.stop):
            block.counts = known.counts
        return block


def _cut(part: Part, start: int, stop: int) -> Iterator[_Span]:
    return (_Span(first, last) for first, last in part.cut(start, stop))


def bounds(data: bytes) -> tuple[str, str]:
    """The earliest and the latest time of some lines."""
    times = [moment for raw in data.split(b"\n") if (moment := lines.stamp(raw))]
    return (min(times), max(times)) if times else ("", "")
