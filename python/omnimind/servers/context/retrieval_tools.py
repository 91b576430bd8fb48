"""The tools that give context back: ranked and within a budget, whole by its handle, and counted."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Annotated, Any

from mcp.types import CallToolResult, TextContent
from pydantic import Field

from omnimind.compression import handles
from omnimind.servers.context import (
    entries,
    limits,
    measure,
    originals,
    pressing,
    retrieval,
    shapes,
    texts,
    wire,
)
from omnimind.servers.context.entries import LEVELS, Level
from omnimind.servers.context.keeping_tools import SessionId, text_and_data
from omnimind.servers.context.originals import Originals
from omnimind.servers.context.retrieval import Question
from omnimind.servers.context.shelf import Shelf
from omnimind.servers.depends import FILES, unsure
from omnimind.servers.problem import Problem
from omnimind.servers.tools import (
    READS,
    Toolbox,
    caller,
    content_result,
    data_result,
    in_thread,
    stop_if_cancelled,
    text_result,
)

Query = Annotated[str | None, Field(description="Words to look for; without, the worthiest entries")]
Levels = Annotated[list[Level] | None, Field(description="Only these levels")]
Tags = Annotated[list[str] | None, Field(description="Only those that have all these tags")]
Target = Annotated[int, Field(ge=1, le=limits.LARGEST_BUDGET, description="Of the text, at most")]
Work = Callable[[sqlite3.Connection, int], tuple[str, retrieval.Fitted]]
Budget = Annotated[
    int,
    Field(
        ge=limits.SMALLEST_BUDGET,
        le=limits.LARGEST_BUDGET,
        description="The whole answer has at most so many tokens",
    ),
]


def add_retrieval_tools(box: Toolbox, shelf: Shelf, kept: Originals) -> None:
    """Register them all."""
    _add_searching(box, shelf)
    _add_composing(box, shelf, kept)
    _add_whole(box, shelf, kept)


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


def _add_composing(box: Toolbox, shelf: Shelf, kept: Originals) -> None:
    def composed(question: Question, max_tokens: int) -> Work:
        def work(data: sqlite3.Connection, now_ms: int) -> tuple[str, retrieval.Fitted]:
            ranked = retrieval.rank(data, question, now_ms)
            return retrieval.fit(
                data, ranked, max_tokens, limits.CONSIDERED, wire.composed, stop_if_cancelled
            )

        return work

    @box.tool("Get Context", READS)
    async def get_context(
        query: Query = None,
        max_tokens: Budget = 100_000,
        target_tokens: Target = 25_000,
        levels: Levels = None,
        tags: Tags = None,
        session_id: SessionId = None,
    ) -> Annotated[CallToolResult, shapes.Composed]:
        """The best entries for a query, max_tokens of them, as one text in target_tokens. Says if all that is critical
        is there."""
        question = Question(query, tuple(levels or LEVELS), tags or [], session_id)
        text, fitted = await shelf.read(composed(question, max_tokens))
        found: dict[str, Any] = {
            "max_tokens": max_tokens,
            "target_tokens": target_tokens,
            "included": [one.entry.id for one, _ in fitted.taken],
            "left_out": {"entries": len(fitted.left), "tokens": fitted.left_tokens},
        }
        return composition(await told(kept, text, target_tokens, query), found)

    @box.tool("Compress Context", READS)
    async def compress_context(
        target_tokens: Target, query: Query = None, levels: Levels = None, session_id: SessionId = None
    ) -> Annotated[CallToolResult, shapes.Composed]:
        """All entries but the archive's in target_tokens, with all that is critical, or it fails and says why."""
        question = Question(None, tuple(levels or ("working", "session", "project")), session=session_id)
        text, fitted = await shelf.read(composed(question, limits.LARGEST_BUDGET))
        if fitted.left:
            raise Problem(
                f"there are more than {limits.LARGEST_BUDGET:,} tokens or {limits.CONSIDERED:,} entries: choose levels"
            )
        short = await told(kept, text, target_tokens, query)
        pressing.demand_all(short, target_tokens)
        included = [one.entry.id for one, _ in fitted.taken]
        return composition(short, {"target_tokens": target_tokens, "included": included})


async def told(kept: Originals, text: str, target_tokens: int, query: str | None) -> pressing.Told:
    """The text in at most so many tokens, for the caller."""
    return await in_thread(pressing.tell, kept, caller(), text, target_tokens, query)


def composition(told: pressing.Told, found: dict[str, Any]) -> CallToolResult:
    """A text that was composed and perhaps shortened, with what is to be said of it."""
    counted = {"tokens": told.tokens, **wire.COUNTED, "content": told.text}
    return text_and_data(told.text, {**found, **pressing.report(told), **counted})


async def whole_text(shelf: Shelf, kept: Originals, handle: str) -> str:
    """The text of a handle, an id or a key of the caller's; or the original of what was cut for this caller."""
    name = handles.name_of(handle)

    def own(data: sqlite3.Connection, _: int) -> str | None:
        if texts.exists(data, name):
            return texts.read(data, name)
        try:
            return texts.read(data, entries.find(data, name).handle)
        except Problem:
            if handles.is_name(name):
                return None
            raise

    text = await shelf.read(own)
    if text is not None:
        return text
    unsure()  # it goes when its day is over, and no file of the caller's tells
    return await in_thread(kept.text, caller(), name)


def _add_whole(box: Toolbox, shelf: Shelf, kept: Originals) -> None:
    @box.tool("Expand", READS, FILES)
    async def expand(
        handle: Annotated[str, Field(description="Handle, omnimind:// URI, id or key")],
        lines: Annotated[str, Field(description="3-9, 812-, bytes: B0-99")] = "",
        grep: Annotated[str, Field(description="Only lines it matches")] = "",
        context: Annotated[int, Field(ge=0, le=100, description="Lines around it")] = 0,
        json_path: Annotated[str, Field(description="RFC 9535, $.items[*].id")] = "",
        query: Annotated[str, Field(description="Only its best passages")] = "",
        max_tokens: Annotated[
            int, Field(ge=1, le=limits.LARGEST_BUDGET, description="At most")
        ] = limits.LARGEST_BUDGET,
    ) -> CallToolResult:
        """What was stored or cut, byte for byte, whole or a part of it."""
        text = await whole_text(shelf, kept, handle)
        lines = lines or handles.lines_of(handle) or ""
        found = await in_thread(originals.part, text, lines, grep, context, json_path, query, max_tokens)
        remark = originals.remark(found)
        if remark is None:
            return text_result(found.text)
        blocks = [TextContent(type="text", text=one) for one in (found.text, remark)]
        return content_result([*blocks], found.text, len(found.text))

    @box.tool("Context Stats", READS, FILES)
    async def context_stats() -> Annotated[CallToolResult, shapes.Stats]:
        """Entries, tokens and bytes of each level against its cap, and the limits of everything."""
        found = await shelf.read(lambda data, _: measure.stats(data, shelf.caps))
        return data_result({**found, **wire.COUNTED})
