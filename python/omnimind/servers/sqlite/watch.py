"""The end of a statement: its deadline, or the caller going away.

SQLite asks `_tick` every some thousand operations, and `stop` interrupts from another thread what does not
ask. Either way the statement ends with SQLITE_INTERRUPT, and `why` says which it was.
"""

from __future__ import annotations

import sqlite3
import threading
import time

from omnimind.servers.problem import Problem
from omnimind.servers.sqlite import limits


class Watch:
    """Watches one call. Made for the thread that works; `stop` may be called from any."""

    def __init__(self, seconds: float = limits.SECONDS) -> None:
        self.seconds = seconds
        self._ends = time.monotonic() + seconds
        self._stopped = False
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def attach(self, connection: sqlite3.Connection) -> None:
        """From now on this connection ends with the watch."""
        connection.set_progress_handler(self._tick, limits.TICK_OPERATIONS)
        with self._lock:
            self._connection = connection

    def detach(self) -> None:
        """The connection is about to be closed, and must not be touched from outside any more."""
        with self._lock:
            self._connection = None

    def stop(self) -> None:
        """The caller has gone away."""
        self._stopped = True
        self.interrupt()

    def interrupt(self) -> None:
        """End what runs, also within an operation that never looks at the clock."""
        with self._lock:
            if self._connection is not None:
                self._connection.interrupt()

    def left(self) -> float:
        """Seconds until the deadline; 0 when it is over."""
        return 0.0 if self._stopped else max(0.0, self._ends - time.monotonic())

    def check(self) -> None:
        """For loops of ours: raises when the time is up."""
        if self.left() == 0:
            raise self.why()

    def why(self) -> Problem:
        """What to tell a caller whose statement was cut off."""
        if self._stopped:
            return Problem("the call was cancelled; nothing of it was kept")
        return Problem(
            f"stopped after {self.seconds:g} s, and nothing was changed; narrow it (WHERE, LIMIT, an index: "
            f"explain shows the plan), or give timeout_s, up to {limits.SECONDS_MOST:g}"
        )

    def _tick(self) -> int:
        return int(self.left() == 0)
