"""The tools that give context back: ranked and within a budget, whole by its handle, and counted."""

from __future__ import annotations

import sqlite3
from typing import Annotated, Any

from mcp.types import CallToolResult
from pydantic import Field

from omnimind.compression import tokens
from omnimind.servers.context import entries, limits, measure, retrieval, shapes, texts, wire
from omnimind.servers.context.entries import LEVELS, Level
from omnimind.servers.context.keeping_tools import SessionId, text_and_data
from omnimind.servers.context.retrieval import Question
from omnimind.servers.context.shelf import Shelf
from omnimind.servers.depends import FILES
from omnimind.servers.tools import READS, Toolbox, data_result, stop_if_cancelled, text_result

Query = Annotated[str | None, Field(description="Words to look for; without, the worthiest entries")]
Levels = Annotated[list[Level] | None, Field(description="Only these levels")]
Tags = Annotated[list[str] | None, Field(description="Only those that have all these tags")]
Budget = Annotated[
    int,
    Field(
        ge=limits.SMALLEST_BUDGET,
        le=limits.LARGEST_BUDGET,
        description="The whole answer has at most so many tokens",
    ),
]


def add_retrieval_tools(box: Toolbox, shelf: Shelf) -> None:
    """Register them all."""
    _add_searching(box, shelf)
    _add_whole(box, shelf)


def _add_searching(box: Toolbox, shelf: Shelf) -> None:
    @box.tool("Retrieve Context", READS)
    async def retrieve_context(
        query: Query = None,
        levels: Levels = None,
        tags: Tags = None,
        max_tokens: Budget = 8_000,
        limit: Annotated[int, Field(ge=1, le=limits.PAGE)] = 20,
        session_id: SessionId = None,
        explain: Annotated[bool, Field(description="Show the parts of each score")] = False,
    ) -> Annotated[CallToolResult, shapes.Retrieved]:
        """Find entries, ranked by words (BM25), recency, importance and level, whole texts within a token budget
        that is never exceeded. Says what was left out. Entries of a session need its session_id."""
        question = Question(query, tuple(levels or LEVELS), tags or [], session_id)

        def render(fitted: retrieval.Fitted) -> str:
            return wire.printed(wire.retrieved(fitted, max_tokens, explain))

        def work(data: sqlite3.Connection, now_ms: int) -> tuple[str, retrieval.Fitted]:
            ranked = retrieval.rank(data, question, now_ms)
            return retrieval.fit(data, ranked, max_tokens, limit, render, stop_if_cancelled)

        text, fitted = await shelf.read(work)
        return text_and_data(text, wire.retrieved(fitted, max_tokens, explain))

    @box.tool("Get Context", READS)
    async def get_context(
        query: Query = None,
        max_tokens: Budget = 100_000,
        levels: Levels = None,
        tags: Tags = None,
        session_id: SessionId = None,
    ) -> Annotated[CallToolResult, shapes.Composed]:
        """The best entries for a query as one text under headings, ready to read, within a token budget that is
        never exceeded. Texts are whole: nothing is compressed."""
        question = Question(query, tuple(levels or LEVELS), tags or [], session_id)

        def work(data: sqlite3.Connection, now_ms: int) -> tuple[str, retrieval.Fitted]:
            ranked = retrieval.rank(data, question, now_ms)
            return retrieval.fit(
                data, ranked, max_tokens, limits.CONSIDERED, wire.composed, stop_if_cancelled
            )

        text, fitted = await shelf.read(work)
        report: dict[str, Any] = {
            "tokens": tokens.count(text),
            "max_tokens": max_tokens,
            "included": [one.entry.id for one, _ in fitted.taken],
            "left_out": {"entries": len(fitted.left), "tokens": fitted.left_tokens},
            **wire.COUNTED,
            **wire.NOT_COMPRESSED,
            "content": text,
        }
        return text_and_data(text, report)


def _add_whole(box: Toolbox, shelf: Shelf) -> None:
    @box.tool("Expand", READS, FILES)
    async def expand(
        handle: Annotated[str, Field(description="The handle of a text, or the id or key of an entry")],
    ) -> CallToolResult:
        """The whole text of a handle, byte for byte as it was stored, on any level or in a snapshot."""

        def work(data: sqlite3.Connection, _: int) -> str:
            return texts.read(
                data, handle if texts.exists(data, handle) else entries.find(data, handle).handle
            )

        return text_result(await shelf.read(work))

    @box.tool("Compress Context", READS)
    async def compress_context(
        target_tokens: Annotated[int, Field(ge=1, le=limits.LARGEST_BUDGET, description="What should fit")],
        levels: Levels = None,
        session_id: SessionId = None,
    ) -> Annotated[CallToolResult, shapes.Measured]:
        """Say whether the context fits a number of tokens, counted exactly, and which entries would go first. This
        version compresses nothing and says so; move_context to the archive makes room."""
        question = Question(levels=tuple(levels or ("working", "session", "project")), session=session_id)
        measured = await shelf.read(
            lambda data, now_ms: measure.measure(data, question, target_tokens, now_ms)
        )
        return data_result({**wire.NOT_COMPRESSED, **measured, **wire.COUNTED})

    @box.tool("Context Stats", READS, FILES)
    async def context_stats() -> Annotated[CallToolResult, shapes.Stats]:
        """Entries, tokens and bytes of each level against its cap, and the limits of everything."""
        found = await shelf.read(lambda data, _: measure.stats(data, shelf.caps))
        return data_result({**found, **wire.COUNTED})
