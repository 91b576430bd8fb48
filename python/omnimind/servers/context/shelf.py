"""Where the tools meet a principal's entries: every look and every change, and who is told of it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from omnimind.servers import depends
from omnimind.servers.changes import Changes
from omnimind.servers.context import aging
from omnimind.servers.context.limits import Caps
from omnimind.servers.database import Databases
from omnimind.servers.desk import Desk
from omnimind.servers.tools import caller

INDEX_URI: Final = "context://index"
ENTRY_URI: Final = "context://entry/{id}"

T = TypeVar("T")


class _Due(Exception):
    """Some entry's or session's time is over: that is put in order before anybody looks."""


def nothing(_: object) -> Iterable[str]:
    """A change that no single entry's readers need to hear of."""
    return ()


class Shelf:
    """The entries of the principals, with the caps of their levels."""

    def __init__(self, databases: Databases, caps: Caps, changes: Changes) -> None:
        self.caps = caps
        self._changes = changes
        self._desk = Desk(databases)

    async def read(self, work: Callable[[sqlite3.Connection, int], T]) -> T:
        """Run a query for this caller, given the time in ms. What is over by now has gone before."""

        def when_nothing_is_due(connection: sqlite3.Connection) -> T:
            now_ms = time.time_ns() // 1_000_000
            if aging.is_due(connection, now_ms):
                raise _Due
            if depends.wanted() and aging.awaits(connection):
                depends.unsure()  # a day will come when the answer is another and no file has changed
            return work(connection, now_ms)

        try:
            return await self._desk.read(when_nothing_is_due)
        except _Due:
            depends.unsure()
            await self.change(lambda data, now_ms: None)
        return await self._desk.read(lambda data: work(data, time.time_ns() // 1_000_000))

    async def change(
        self,
        work: Callable[[sqlite3.Connection, int], T],
        touched: Callable[[T], Iterable[str]] = nothing,
    ) -> T:
        """Run a change for this caller, given the time in ms: all of it or nothing. What is over by now has gone
        before. Then those who watch the index, or an entry that `touched` finds in the result, are told."""
        gone: list[aging.Move] = []

        def swept(connection: sqlite3.Connection, now_ms: int) -> T:
            gone[:] = aging.sweep(connection, now_ms)
            return work(connection, now_ms)

        result = await self._desk.change(swept)
        owner = caller()
        await self._changes.publish(owner, INDEX_URI)
        for name in dict.fromkeys((*(move.entry.id for move in gone), *touched(result))):
            await self._changes.publish(owner, ENTRY_URI.format(id=name))
        return result
