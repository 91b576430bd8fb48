"""How a tool reads: beside the event loop, for its caller, with a limit of time, progress and an end on request."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from omnimind.servers.logging import shown, walk
from omnimind.servers.logging.fleetlogs import FleetLog
from omnimind.servers.logging.record import Source
from omnimind.servers.logging.sources import Reader, Sources
from omnimind.servers.logging.wanted import Budget, Wanted

T = TypeVar("T")

SEARCH_S = 5.0
PATTERN_S = 2.0
SUM_S = 10.0


@dataclass(frozen=True, slots=True)
class Found:
    """A page as data, and what it was read from."""

    records: list[dict[str, Any]]
    places: dict[str, str]
    more: bool
    cut: bool
    looked: int
    sources: list[str]
    removed: list[str]


def search(
    sources: Sources,
    reader: Reader,
    names: Sequence[str],
    wanted: Wanted,
    budget: Budget,
    *,
    limit: int,
    backward: bool,
    places: Mapping[str, str] | None,
    indexed: bool = True,
) -> Found:
    """A page of these logs."""
    with sources.opened(reader, names) as opened:
        if indexed:
            grow = wanted.query is not None or wanted.levelled
            sources.look_up(opened, wanted, budget, grow=grow)
        page = walk.page(opened, wanted, budget, limit=limit, backward=backward, places=places)
        return _found(opened, page)


def tail(
    sources: Sources, reader: Reader, names: Sequence[str], wanted: Wanted, budget: Budget, limit: int
) -> tuple[Found, dict[str, str]]:
    """The last records of these logs, oldest first, and the places behind them."""
    with sources.opened(reader, names) as opened:
        ends = {source.key: source.end() for source in opened}
        there = {key: place for key, place in ends.items() if place}
        page = walk.page(opened, wanted, budget, limit=limit, places=there)
        page.records.reverse()
        return _found(opened, page), ends


def around(
    sources: Sources, reader: Reader, identity: str, before: int, after: int
) -> list[dict[str, Any]] | None:
    """A record with its neighbours, whole; None if it is not there."""
    key, place = shown.key_of(identity)
    names = [
        name for name in sources.names(reader) if name == key or (key.startswith(name.split("/")[0] + "/"))
    ]
    with sources.opened(reader, names) as opened:
        for source in opened:
            if source.key == key:
                budget = Budget(SEARCH_S)
                there = {key: place}
                on = walk.page(
                    [source], Wanted(), budget, limit=after + 1, backward=False, places=there
                ).records
                if not on or on[0].start != place:
                    return None
                back = (
                    walk.page([source], Wanted(), budget, limit=before, places=there).records
                    if before
                    else []
                )
                both = [*reversed(back), *on]
                return [shown.as_data(one, shown.record_id(source, one), whole=True) for one in both]
    return None


def over(
    sources: Sources,
    reader: Reader,
    names: Sequence[str],
    wanted: Wanted,
    budget: Budget,
    work: Callable[[Sequence[Source]], T],
    *,
    grow: bool,
) -> T:
    """Sum up these logs. `grow` where the index then knows what is asked."""
    with sources.opened(reader, names) as opened:
        sources.look_up(opened, wanted, budget, grow=grow)
        return work(opened)


def _found(opened: Sequence[Source], page: walk.Page) -> Found:
    by_name = {source.name: source for source in opened}
    records = [shown.as_data(one, shown.record_id(by_name[one.source], one)) for one in page.records]
    removed = [source.name for source in opened if isinstance(source, FleetLog) and source.gone]
    return Found(
        records, page.places, page.more, page.cut, page.looked, [source.name for source in opened], removed
    )
