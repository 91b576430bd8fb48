"""Where tools meet stored data: domain code runs beside the event loop, on the calling principal's file."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from omnimind.servers.database import Databases
from omnimind.servers.tools import caller, in_thread

T = TypeVar("T")


async def _nobody_to_tell(_: str) -> None:
    return


class Desk:
    """Reads and changes one server's data. `changed` is told whose data changed, after they are on disk."""

    def __init__(
        self, databases: Databases, changed: Callable[[str], Awaitable[None]] = _nobody_to_tell
    ) -> None:
        self._databases = databases
        self._changed = changed

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run a query for this caller."""
        owner = caller()

        def run() -> T:
            with self._databases.reading(owner) as connection:
                return work(connection)

        return await in_thread(run)

    async def change(self, work: Callable[[sqlite3.Connection, int], T]) -> T:
        """Run a change for this caller, given the time in ms: all of it, on disk when done, or nothing."""
        owner = caller()

        def timed(connection: sqlite3.Connection) -> T:
            return work(connection, time.time_ns() // 1_000_000)

        result = await in_thread(self._databases.change, owner, timed)
        await self._changed(owner)
        return result
