"""Several sources read as one, by time, a page at a time, and never further than a page needs.

Each source gives chunks with the times they may hold. The chunk or record that may come next is taken: a chunk is
read, a record is given. So of a hundred megabytes only what a page is made of is read. Within a source the order
of writing holds, also where a clock was set back. When time is over, the page says so, and its cursor goes on from
exactly there: each source at its own boundary.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from omnimind.servers.logging.record import Chunk, Record, Source
from omnimind.servers.logging.wanted import Budget, Wanted
from omnimind.servers.problem import Problem

PAGE_CHARS = 96 * 1024
_CURSOR = re.compile(r"([bf])([0-9a-f]{8})([0-9a-f]{1,12})((?:~[^~]*)*)")
CURSOR_CHARS = 64 * 1024

Direction = Literal["b", "f"]


class _Stream:
    """One source on its way."""

    def __init__(self, source: Source, place: str, wanted: Wanted, backward: bool, budget: Budget) -> None:
        self.source = source
        self.place = place
        self._wanted, self._backward, self._budget = wanted, backward, budget
        self._chunks = source.chunks(wanted, place, backward, budget)
        self._chunk: Chunk | None = None
        self._found: list[Record] = []

    def next_time(self) -> tuple[str, bool] | None:
        """The time of what comes next, and whether it is a record; None at the end."""
        if self._found:
            return self._found[-1].time, True
        if self._chunk is None:
            self._chunk = next(self._chunks, None)
        if self._chunk is None:
            return None
        return self._chunk.newest if self._backward else self._chunk.oldest, False

    def read(self) -> None:
        """Read the chunk that comes next."""
        assert self._chunk is not None
        chunk, self._chunk = self._chunk, None
        self._found = chunk.records(self._wanted, self._budget)[::-1]
        self._after = chunk.after
        if not self._found:
            self.place = self._after

    def take(self) -> Record:
        """The record that comes next."""
        record = self._found.pop()
        self.place = (record.start if self._backward else record.stop) if self._found else self._after
        return record


@dataclass(frozen=True, slots=True)
class Page:
    """Records in the order of reading, whether there are more, and the places to go on from."""

    records: list[Record]
    places: dict[str, str]
    more: bool
    cut: bool
    looked: int


def page(
    sources: Sequence[Source],
    wanted: Wanted,
    budget: Budget,
    *,
    limit: int,
    backward: bool = True,
    places: Mapping[str, str] | None = None,
) -> Page:
    """The next records of all sources. `places` of an earlier page; a source that is not in it is at its end if
    reading goes back, and new if it goes forward."""
    streams = []
    for source in sources:
        place = source.end() if places is None and backward else (places or {}).get(source.key, "")
        if place or not backward:
            streams.append(_Stream(source, place, wanted, backward, budget))
    records: list[Record] = []
    size, more, cut = 0, False, False
    while True:
        chosen = _next(streams, backward)
        if chosen is None:
            break
        stream, is_record = chosen
        if is_record:
            if len(records) >= limit or size > PAGE_CHARS:
                more = True
                break
            records.append(stream.take())
            size += len(records[-1].text)
        elif budget.over():
            more = cut = True
            break
        else:
            stream.read()
    return Page(records, _places(streams, backward), more, cut, budget.looked)


def _next(streams: Sequence[_Stream], backward: bool) -> tuple[_Stream, bool] | None:
    """The stream whose turn it is. Of the same moment a chunk is read before a record is given."""
    best: tuple[str, bool] | None = None
    turn: _Stream | None = None
    for stream in streams:
        now = stream.next_time()
        if now is None:
            continue
        if (
            best is None
            or (now[0] > best[0] if backward else now[0] < best[0])
            or (now[0] == best[0] and best[1] > now[1])
        ):
            best, turn = now, stream
    return None if best is None or turn is None else (turn, best[1])


def _places(streams: Sequence[_Stream], backward: bool) -> dict[str, str]:
    """Where to go on. A source that is exhausted is left out on the way back, and kept on the way forward."""
    return {
        stream.source.key: stream.place
        for stream in streams
        if not backward or stream.next_time() is not None
    }


def chunks(sources: Sequence[Source], wanted: Wanted, budget: Budget) -> Iterator[tuple[Source, Chunk]]:
    """Every chunk that may hold wanted records, newest first, until time is over."""
    waiting: list[tuple[Chunk, Source, Iterator[Chunk]]] = []
    for source in sources:
        later = source.chunks(wanted, source.end(), True, budget)
        if (first := next(later, None)) is not None:
            waiting.append((first, source, later))
    while waiting and not budget.over():
        at = max(range(len(waiting)), key=lambda index: waiting[index][0].newest)
        chunk, source, later = waiting[at]
        yield source, chunk
        if (following := next(later, None)) is not None:
            waiting[at] = (following, source, later)
        else:
            del waiting[at]


# --- cursors


def mark_of(*asked: object) -> str:
    """What a cursor belongs to."""
    return hashlib.blake2b(repr(asked).encode(), digest_size=4).hexdigest()


def written(direction: Direction, mark: str, now: datetime, places: Mapping[str, str]) -> str:
    """A cursor for these places. `now` goes with it: `10m` ago is the same moment on every page."""
    moment = f"{int(now.timestamp() * 1000):x}"
    return f"{direction}{mark}{moment}" + "".join(f"~{key}:{place}" for key, place in sorted(places.items()))


def read(cursor: str, direction: Direction, mark: str) -> tuple[datetime, dict[str, str]]:
    """The moment and the places of a cursor. Raises Problem for one of another question."""
    match = _CURSOR.fullmatch(cursor) if len(cursor) <= CURSOR_CHARS else None
    if match is None or match[1] != direction:
        raise Problem(
            "this is no cursor of this tool; pass the `cursor` of its earlier result as it is, or none"
        )
    if match[2] != mark:
        raise Problem("this cursor belongs to other arguments; repeat the call that gave it, or leave it out")
    pairs = (part.partition(":") for part in match[4].split("~")[1:])
    moment = datetime.fromtimestamp(int(match[3], 16) / 1000, UTC)
    return moment, {key: place for key, _, place in pairs}
