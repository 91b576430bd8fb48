"""How much there is: against a target of tokens, and against the limits."""

from __future__ import annotations

import sqlite3
from typing import Any

from omnimind.servers.context import entries, limits, ranking, store
from omnimind.servers.context.retrieval import Question

_NAMED = 20


def measure(
    connection: sqlite3.Connection, question: Question, target_tokens: int, now_ms: int
) -> dict[str, Any]:
    """Whether all entries of some levels fit, and which would have to go, the least valuable first."""
    marks = ", ".join("?" * len(question.levels))
    found = entries.select(
        connection,
        f"WHERE e.level IN ({marks}) AND (e.session IS NULL OR e.level = 'archive' OR e.session = ?)",
        (*question.levels, question.session),
    )
    total = sum(entry.tokens for entry in found)
    over, going = total - target_tokens, []
    for entry in sorted(found, key=lambda one: (ranking.staying_value(one, now_ms), one.updated_ms, one.id)):
        if over <= 0:
            break
        over -= entry.tokens
        going.append({"id": entry.id, "level": entry.level, "tokens": entry.tokens})
    return {
        "tokens": total,
        "target_tokens": target_tokens,
        "fits": total <= target_tokens,
        "over_tokens": max(0, total - target_tokens),
        "would_go": going[:_NAMED],
    }


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
