"""The tools that keep entries: store, change, move, delete, list, open."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Annotated, Any

from mcp.types import CallToolResult, ContentBlock, TextContent
from pydantic import Field

from omnimind.servers.context import entries, limits, shapes, store, texts, wire
from omnimind.servers.context.aging import Move
from omnimind.servers.context.entries import Entry, Level
from omnimind.servers.context.shelf import Shelf
from omnimind.servers.depends import FILES
from omnimind.servers.tools import ADDS, ENSURES, READS, REPLACES, STRUCTURED_BYTES, Toolbox, data_result

Name = Annotated[str, Field(description="The id of an entry, or its key")]
Names = Annotated[list[str], Field(min_length=1, description="Ids or keys of entries")]
OneLevel = Annotated[Level, Field(description="working, session, project or archive")]
SessionId = Annotated[str | None, Field(description="The handle of a session")]
Importance = Annotated[float, Field(ge=0, le=1, description="How much it matters; counts when ranked")]
Ttl = Annotated[
    int | None,
    Field(ge=1, le=limits.LONGEST_TTL_S, description="Delete it for good after so many seconds"),
]


def add_keeping_tools(box: Toolbox, shelf: Shelf) -> None:
    """Register them all."""
    _add_writing(box, shelf)
    _add_moving(box, shelf)
    _add_reading(box, shelf)


def text_and_data(text: str, data: dict[str, Any]) -> CallToolResult:
    """What a model reads, and the same as data; a large text is sent once, so the data are then without texts."""
    content: list[ContentBlock] = [TextContent(type="text", text=text)]
    if len(text) <= STRUCTURED_BYTES:
        return CallToolResult(content=content, structured_content=data)
    note = f"texts omitted: more than {STRUCTURED_BYTES:,} bytes; all of it is in content"
    bare = wire.without_texts(data)
    return CallToolResult(
        content=content, structured_content=bare, _meta={"omnimind/structuredContent": note}
    )


def _touched(result: tuple[Entry | list[Entry], list[Move]]) -> Iterable[str]:
    first, moves = result
    yield from [one.id for one in (first if isinstance(first, list) else [first])]
    yield from [move.entry.id for move in moves]


def _add_writing(box: Toolbox, shelf: Shelf) -> None:
    @box.tool("Store Context", ADDS)
    async def store_context(
        content: Annotated[str, Field(description="The text to keep")],
        level: OneLevel = "working",
        key: Annotated[str | None, Field(description="A name of its own, one an entry and level")] = None,
        title: Annotated[str | None, Field(description="A heading, searched too")] = None,
        tags: Annotated[list[str] | None, Field(description="Words to file it under")] = None,
        importance: Importance = 0.5,
        session_id: SessionId = None,
        ttl_s: Ttl = None,
    ) -> Annotated[CallToolResult, shapes.Kept]:
        """Keep a text on a level. Returns its id, exact tokens, and what moved on because the level was full.
        On level session without session_id a session begins and its handle is returned."""
        wanted = store.Wanted(content, level, key, title, tuple(tags or ()), importance, session_id, ttl_s)
        entry, moves = await shelf.change(
            lambda data, now_ms: store.store(data, wanted, shelf.caps, now_ms), _touched
        )
        return data_result(wire.stored(entry, moves))

    @box.tool("Update Context", REPLACES)
    async def update_context(
        id: Name,
        content: Annotated[str | None, Field(description="The new text")] = None,
        title: Annotated[str | None, Field(description="The new heading")] = None,
        tags: Annotated[list[str] | None, Field(description="The new tags, instead of the old")] = None,
        importance: Annotated[float | None, Field(ge=0, le=1, description="The new importance")] = None,
        ttl_s: Ttl = None,
    ) -> Annotated[CallToolResult, shapes.Kept]:
        """Change an entry. What is not given stays as it is; the old text lives on in snapshots only."""
        patch = store.Patch(content, title, tags, importance, ttl_s)
        entry, moves = await shelf.change(
            lambda data, now_ms: store.update(data, id, patch, shelf.caps, now_ms), _touched
        )
        return data_result(wire.stored(entry, moves))


def _add_moving(box: Toolbox, shelf: Shelf) -> None:
    @box.tool("Move Context", ENSURES)
    async def move_context(
        ids: Names, level: OneLevel, session_id: SessionId = None
    ) -> Annotated[CallToolResult, shapes.Moved]:
        """Promote or demote entries to a level, all or none. The archive keeps texts compressed at rest."""
        found, moves = await shelf.change(
            lambda data, now_ms: store.move(data, ids, level, session_id, shelf.caps, now_ms), _touched
        )
        return data_result({"entries": [wire.entry(one) for one in found], "moved": wire.moves(moves)})

    @box.tool("Delete Context", REPLACES)
    async def delete_context(ids: Names) -> Annotated[CallToolResult, shapes.Deleted]:
        """Delete entries for good, all or none; in_snapshots says how many of them a snapshot still holds."""
        gone, still = await shelf.change(
            lambda data, _: store.delete(data, ids), lambda result: [entry.id for entry in result[0]]
        )
        return data_result({"deleted": len(gone), "in_snapshots": still})


def _add_reading(box: Toolbox, shelf: Shelf) -> None:
    @box.tool("List Context", READS, FILES)
    async def list_context(
        level: Annotated[Level | None, Field(description="Only this level")] = None,
        session_id: SessionId = None,
        tags: Annotated[list[str] | None, Field(description="Only those that have all these tags")] = None,
        limit: Annotated[int, Field(ge=1, le=limits.PAGE)] = 50,
        offset: Annotated[int, Field(ge=0)] = 0,
    ) -> Annotated[CallToolResult, shapes.Listed]:
        """List entries without their texts, the latest first, with tokens and handles."""
        found, total = await shelf.read(
            lambda data, _: store.listed(data, level, session_id, tags or [], limit, offset)
        )
        listed: dict[str, Any] = {"entries": [wire.entry(one) for one in found], "total": total}
        if offset + len(found) < total and found:
            listed["next_offset"] = offset + len(found)
        return data_result(listed)

    @box.tool("Open Context", READS, FILES)
    async def open_context(id: Name) -> Annotated[CallToolResult, shapes.Whole]:
        """Get one entry with its whole text."""

        def work(data: sqlite3.Connection, _: int) -> dict[str, Any]:
            entry = entries.find(data, id)
            return {**wire.entry(entry), "content": texts.read(data, entry.handle)}

        whole = await shelf.read(work)
        return text_and_data(wire.printed(whole), whole)
