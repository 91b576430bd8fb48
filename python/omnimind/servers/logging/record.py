"""One record of any source, the chunk it was read with, and what a source is.

A place in a source is a boundary between two records, written as a short text that only the source reads. Going
back from a boundary gives what is before it, going forward what is after it; so nothing is given twice or missed,
whatever is written, rotated and packed meanwhile.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from omnimind.servers.logging.wanted import Budget, Wanted


@dataclass(frozen=True, slots=True)
class Record:
    """What was said when by whom. `text` is plain; `start` and `stop` are its boundaries in its source."""

    time: str
    source: str
    level: str
    text: str
    start: str
    stop: str
    pid: int | None = None
    origin: str | None = None
    fields: dict[str, Any] | None = None
    beside: bool = False
    """True if the fields say more than the text."""


class Chunk(Protocol):
    """Some records that stand beside each other. `newest` and `oldest` bound their times."""

    newest: str
    oldest: str
    after: str
    """The boundary behind the chunk in the direction of reading; set nearer when it was read in part."""
    counts: tuple[int, ...] | None
    """How many of its lines have each rank, if that is known without reading."""

    def records(self, wanted: Wanted, budget: Budget) -> list[Record]:
        """What of it is wanted, in the direction of reading. Cuts the budget if it could not read on."""


def haystack(record: Record) -> str:
    """What of a record is looked through: its text, and fields that stand beside it."""
    return f"{record.text} {json.dumps(record.fields, ensure_ascii=False)}" if record.beside else record.text


def keeps(record: Record, wanted: Wanted) -> bool:
    """The last look at a record, as it would be given out."""
    if wanted.origin is not None and record.origin != wanted.origin:
        return False
    if wanted.event is not None and (record.fields or {}).get("event") != wanted.event:
        return False
    return wanted.keeps(haystack(record), record.level)


@dataclass(slots=True)
class Loaded:
    """A chunk whose records are there already."""

    newest: str
    oldest: str
    after: str
    backward: bool
    found: list[Record] = field(default_factory=list)
    counts: tuple[int, ...] | None = None

    def records(self, wanted: Wanted, budget: Budget) -> list[Record]:
        """What is wanted of it; when time is over, of a part of it."""
        kept: list[Record] = []
        for record in self.found:
            if keeps(record, wanted):
                kept.append(record)
            if wanted.pattern is not None and budget.over():
                self.after = record.start if self.backward else record.stop
                break
        return kept


class Source(Protocol):
    """A log, whatever it is kept in. `key` names it in places, `name` to people."""

    @property
    def name(self) -> str:
        """What people call it."""

    @property
    def key(self) -> str:
        """What places call it: of letters, digits, `@`, `_`, `-`, `/`."""

    def begins(self) -> str:
        """The time of its first record, where that is known at once; else nothing."""

    def end(self) -> str:
        """The boundary behind all that is there now; empty if there is nothing."""

    def chunks(self, wanted: Wanted, place: str, backward: bool, budget: Budget) -> Iterator[Chunk]:
        """What may hold wanted records, from a boundary on; "" is the beginning."""
