"""The memo: what was learned from the data, in the order it was learned, one list a principal."""

from __future__ import annotations

import sqlite3
from typing import Final

from omnimind.servers.database import Migration
from omnimind.servers.problem import Problem
from omnimind.servers.sqlite import limits

URI: Final = "memo://insights"

MIGRATIONS: Final[tuple[Migration, ...]] = (
    ("CREATE TABLE insights (number INTEGER PRIMARY KEY, text TEXT NOT NULL, created_ms INTEGER NOT NULL)",),
)

DEMO: Final = """Show me what a database server can do, with {topic} as the subject. Work through these steps \
with the tools of the sqlite server, and tell me in a sentence or two what you do at each.

1. Look at what is there: list_databases, list_tables.
2. Think of two or three tables that a small organisation dealing with {topic} would keep, with keys between \
them, and make them with create_table.
3. Fill them with a few dozen plausible rows. import_rows takes them as CSV in one call.
4. Ask me for a question about these data, offering three to choose from. Answer it with read_query; use explain \
if the query is not a simple one.
5. Keep each thing that the data show with append_insight, and go on until I have had enough questions.
6. At the end read the resource memo://insights and give me the memo, and what you would look at next.

The rows are invented: say so in the memo. Do not change tables that were there before."""


def append(connection: sqlite3.Connection, insight: str, now_ms: int) -> int:
    """Add to the memo; returns how many insights it has now."""
    if not insight.strip():
        raise Problem("the insight is empty")
    if len(insight) > limits.INSIGHT_CHARACTERS:
        raise Problem(
            f"the insight has {len(insight):,} characters; the limit is {limits.INSIGHT_CHARACTERS:,}"
        )
    try:
        insight.encode()
    except UnicodeEncodeError:
        raise Problem("the insight is not valid Unicode text") from None
    (count,) = connection.execute("SELECT count(*) FROM insights").fetchone()
    if count >= limits.INSIGHTS:
        raise Problem(f"the memo has {limits.INSIGHTS:,} insights, which is the limit")
    connection.execute("INSERT INTO insights (text, created_ms) VALUES (?, ?)", (insight, now_ms))
    return int(count) + 1


def memo(connection: sqlite3.Connection) -> str:
    """The memo as a text."""
    found = [text for (text,) in connection.execute("SELECT text FROM insights ORDER BY number")]
    if not found:
        return "The memo is empty: no insights were kept yet. append_insight adds one."
    head = f"Memo of insights ({len(found)})"
    return "\n".join([head, "", *(f"- {text}" for text in found)])
