"""Memories found by words: ranked by BM25 over their text and tags, and why each stands where it does.

A word of the query matches words that begin with it; a word in the tags counts twice. BM25 is a sum over the
words of a query, so asking for one word alone gives exactly what that word adds: the explanation is not an
estimate, its scores add up to the relevance.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from omnimind.servers.memory import limits
from omnimind.servers.memory.store import COLUMNS, Memory, Reason, from_row
from omnimind.servers.problem import Problem

_WORD = re.compile(r"\w+")
_QUERY_WORDS = 32
_SCORE: Final = "-bm25(memory_words, 1.0, 2.0)"
_MARK: Final = "\1"


def find(
    connection: sqlite3.Connection,
    query: str | None,
    tags: Sequence[str],
    limit: int,
    offset: int,
    *,
    explain: bool = False,
) -> list[Memory]:
    """Memories that have all these tags: by relevance to the query, or the latest first without one."""
    words = list(dict.fromkeys(word.casefold() for word in _WORD.findall(query or "")))[:_QUERY_WORDS]
    if query and not words:
        raise Problem("the query holds no word to look for")
    if explain and not words:
        raise Problem("there is nothing to explain without a query; the latest memories come first")
    tagged = " AND ".join("EXISTS (SELECT 1 FROM json_each(memories.tags) WHERE value = ?)" for _ in tags)
    page = (limit, offset)
    if not words:
        rows = connection.execute(
            f"""SELECT {COLUMNS} FROM memories {"WHERE " + tagged if tags else ""}
                ORDER BY updated_ms DESC, number DESC LIMIT ? OFFSET ?""",  # noqa: S608
            (*tags, *page),
        )
        return [from_row(row) for row in rows]
    rows = connection.execute(
        f"""SELECT {COLUMNS}, {_SCORE} AS relevance
            FROM memory_words JOIN memories ON memories.number = memory_words.rowid
            WHERE memory_words MATCH ? {"AND " + tagged if tags else ""}
            ORDER BY relevance DESC, memories.number DESC LIMIT ? OFFSET ?""",  # noqa: S608
        (" OR ".join(map(_beginning, words)), *tags, *page),
    )
    found = [from_row(row) for row in rows]
    return _explained(connection, words, found) if explain else found


def _beginning(word: str) -> str:
    return f'"{word}"*'


def _explained(connection: sqlite3.Connection, words: Sequence[str], found: list[Memory]) -> list[Memory]:
    """The same memories, each with what every word of the query adds to its relevance."""
    reasons: dict[str, list[Reason]] = {memory.id: [] for memory in found}
    marks = ", ".join("?" * len(found))
    for word in words:
        rows = connection.execute(
            f"""SELECT id, {_SCORE}, highlight(memory_words, 0, ?, ''), highlight(memory_words, 1, ?, ''),
                       memories.content, memories.tags
                FROM memory_words JOIN memories ON memories.number = memory_words.rowid
                WHERE memory_words MATCH ? AND memories.id IN ({marks})""",  # noqa: S608
            (_MARK, _MARK, _beginning(word), *reasons),
        )
        for memory_id, score, content, tags, plain_content, plain_tags in rows:
            in_content = content.count(_MARK) - plain_content.count(_MARK)
            in_tags = tags.count(_MARK) - plain_tags.count(_MARK)
            reasons[memory_id].append(Reason(word, round(score, limits.DIGITS), in_content, in_tags))
    return [
        replace(memory, why=tuple(sorted(reasons[memory.id], key=lambda reason: -reason.score)))
        for memory in found
    ]
