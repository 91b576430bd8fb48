"""How much there is, against the limits."""

from __future__ import annotations

import sqlite3
from typing import Any

from omnimind.servers.context import limits, store


def stats(connection: sqlite3.Connection, caps: limits.Caps) -> dict[str, Any]:
    """What is held, by level and in all, and the limits."""
    sessions, snapshots, size, stored = connection.execute(
        """SELECT (SELECT count(*) FROM sessions), (SELECT count(*) FROM snapshots),
                  ifnull(sum(bytes), 0), ifnull(sum(length(data)), 0) FROM texts"""
    ).fetchone()
    return {
        "levels": {
            held.level: {
                "entries": held.entries,
                "tokens": held.tokens,
                "cap_tokens": caps.of(held.level),
                "bytes": held.bytes,
                "stored_bytes": held.stored_bytes,
            }
            for held in store.held(connection)
        },
        "sessions": sessions,
        "snapshots": snapshots,
        "bytes": size,
        "stored_bytes": stored,
        "limits": {
            "entries": limits.ENTRIES,
            "bytes": limits.TOTAL_BYTES,
            "text_bytes": limits.TEXT_BYTES,
            "sessions": limits.SESSIONS,
            "snapshots": limits.SNAPSHOTS,
        },
    }
