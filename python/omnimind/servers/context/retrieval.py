"""Finding entries, the best first, and fitting them into a budget of tokens.

Rule: the budget covers the whole text that a model reads, names and notes included, counted exactly; it is never
exceeded. Entries are taken whole, in the order of their score: one that does not fit is left out and a smaller
one after it may still go in. What was left out is counted, and the best of it is named as far as the budget allows.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from omnimind.compression import tokens
from omnimind.servers.context import entries, limits, ranking, sessions, texts
from omnimind.servers.context.entries import Entry, Level
from omnimind.servers.context.ranking import Ranked
from omnimind.servers.problem import Problem

_WORD: Final = re.compile(r"\w+")
_QUERY_WORDS: Final = 32
_NAMED: Final = 5


@dataclass(frozen=True, slots=True)
class Question:
    """What is looked for."""

    query: str | None = None
    levels: Sequence[Level] = entries.LEVELS
    tags: Sequence[str] = ()
    session: str | None = None


@dataclass
class Fitted:
    """What goes into the answer and what does not."""

    taken: list[tuple[Ranked, str]] = field(default_factory=list)
    left: list[Ranked] = field(default_factory=list)
    named: int = _NAMED

    @property
    def left_tokens(self) -> int:
        """The tokens of all that was left out."""
        return sum(one.entry.tokens for one in self.left)


Render = Callable[[Fitted], str]
"""The whole text of an answer."""


def rank(connection: sqlite3.Connection, question: Question, now_ms: int) -> list[Ranked]:
    """At most `limits.CONSIDERED` entries, the best first.

    An entry of a session is seen with that session's handle only, unless it is in the archive.
    """
    if question.session is not None:
        sessions.check(connection, question.session)
    words = _WORD.findall(question.query or "")[:_QUERY_WORDS]
    if question.query and not words:
        raise Problem("the query holds no word to look for")
    if not question.levels:
        raise Problem(f"no level was given; there are {', '.join(entries.LEVELS)}")
    where = [f"e.level IN ({', '.join('?' * len(question.levels))})"]
    where.append("(e.session IS NULL OR e.level = 'archive' OR e.session = ?)")
    where += ["EXISTS (SELECT 1 FROM json_each(e.tags) WHERE value = ?)"] * len(question.tags)
    values = [*question.levels, question.session, *question.tags]
    condition = " AND ".join(where)
    if words:
        return ranking.rank(list(_matching(connection, words, condition, values)), now_ms)
    rest = f"WHERE {condition} ORDER BY e.updated_ms DESC, e.number DESC LIMIT {limits.CONSIDERED}"
    return ranking.rank([(entry, None) for entry in entries.select(connection, rest, values)], now_ms)


def _matching(
    connection: sqlite3.Connection, words: list[str], condition: str, values: list[str | None]
) -> Iterator[tuple[Entry, float | None]]:
    rows = connection.execute(
        f"""SELECT {entries.FACTS}, -bm25(words, 4.0, 2.0, 1.0) AS relevance
            FROM words JOIN entries e ON e.number = words.rowid JOIN texts t USING (handle)
            WHERE words MATCH ? AND {condition}
            ORDER BY relevance DESC, e.number DESC LIMIT {limits.CONSIDERED}""",  # noqa: S608
        (" OR ".join(f'"{word}"*' for word in words), *values),
    )
    for *facts, relevance in rows:
        yield entries.entry_of(facts), relevance


def fit(
    connection: sqlite3.Connection,
    ranked: Sequence[Ranked],
    budget_tokens: int,
    limit: int,
    render: Render,
    stop_if_cancelled: Callable[[], None] = lambda: None,
) -> tuple[str, Fitted]:
    """The text of the best entries that fit, at most `limit` of them, and what was left out."""
    fitted = Fitted()
    frame = tokens.count(render(Fitted()))
    room = budget_tokens - tokens.count(render(Fitted(left=list(ranked), named=0)))
    for one in ranked:
        # Printed it takes about its own tokens or more: one that is larger than the room is not even read.
        stop_if_cancelled()
        if len(fitted.taken) < limit and one.entry.tokens <= room:
            content = texts.read(connection, one.entry.handle)
            cost = tokens.count(render(Fitted(taken=[(one, content)]))) - frame
            if cost <= room:
                fitted.taken.append((one, content))
                room -= cost
                continue
        fitted.left.append(one)
    return _within(fitted, budget_tokens, render), fitted


def _within(fitted: Fitted, budget_tokens: int, render: Render) -> str:
    """The text of what was chosen; names and then entries give way until the whole of it fits."""
    while True:
        text = render(fitted)
        if tokens.count(text) <= budget_tokens:
            return text
        if fitted.named:
            fitted.named -= 1
        elif fitted.taken:
            fitted.left.insert(0, fitted.taken.pop()[0])
        else:
            raise Problem(f"a budget of {budget_tokens:,} tokens is too small for any answer")
