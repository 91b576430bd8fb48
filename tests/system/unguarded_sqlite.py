"""The sqlite worker with its inner fences taken away: what the fence of the process alone still holds.

`python unguarded_sqlite.py` takes the command line of `omnimind.servers`. The guard allows everything, and so do
the limits of the engine and the look at names.
"""

from __future__ import annotations

import sqlite3
import sys

from omnimind.servers import __main__ as command
from omnimind.servers.sqlite import guard, limits

if __name__ == "__main__":
    guard.Guard._refusal = lambda *_: None  # type: ignore[method-assign, assignment]
    limits.ENGINE[sqlite3.SQLITE_LIMIT_ATTACHED] = 10
    sys.exit(command.main())
