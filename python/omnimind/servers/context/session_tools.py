"""The tools around sessions: begin, list, end."""

from __future__ import annotations

import sqlite3
from typing import Annotated, Any

from mcp.types import CallToolResult
from pydantic import Field

from omnimind.servers.context import aging, limits, sessions, shapes, wire
from omnimind.servers.context.shelf import Shelf
from omnimind.servers.depends import FILES
from omnimind.servers.tools import ADDS, READS, REPLACES, Toolbox, data_result


def add_session_tools(box: Toolbox, shelf: Shelf) -> None:
    """Register them all."""

    @box.tool("Start Session", ADDS)
    async def start_session(
        title: Annotated[str | None, Field(description="What the session is about")] = None,
        ttl_s: Annotated[
            int,
            Field(ge=60, le=limits.LONGEST_TTL_S, description="It ends when unused for so many seconds"),
        ] = limits.SESSION_TTL_S,
    ) -> Annotated[CallToolResult, shapes.Started]:
        """Begin a session. Its handle is what entries of it are stored and found with."""

        def work(data: sqlite3.Connection, now_ms: int) -> dict[str, Any]:
            handle = sessions.start(data, now_ms, limits.check_name(title, "title"), ttl_s)
            return {"session_id": handle, "ends_ms": now_ms + ttl_s * 1000}

        return data_result(await shelf.change(work))

    @box.tool("List Sessions", READS, FILES)
    async def list_sessions(
        limit: Annotated[int, Field(ge=1, le=limits.PAGE)] = 50,
        offset: Annotated[int, Field(ge=0)] = 0,
    ) -> Annotated[CallToolResult, shapes.Sessions]:
        """List the sessions that last, the latest used first."""
        found = await shelf.read(lambda data, _: sessions.every(data, limit + 1, offset))
        return data_result(page([wire.session(one) for one in found], limit, offset, "sessions"))

    @box.tool("End Session", REPLACES)
    async def end_session(
        session_id: Annotated[str, Field(description="The handle of a session")],
    ) -> Annotated[CallToolResult, shapes.Ended]:
        """End a session. Its entries go to the archive, where retrieval finds them without the handle."""

        def work(data: sqlite3.Connection, _: int) -> list[aging.Move]:
            sessions.check(data, session_id)
            return aging.end_session(data, session_id, "its session was ended")

        moves = await shelf.change(work, lambda moves: [move.entry.id for move in moves])
        return data_result({"archived": len(moves)})


def page(rows: list[dict[str, Any]], limit: int, offset: int, name: str) -> dict[str, Any]:
    """Rows of which one more than `limit` was asked for, and where to go on."""
    found: dict[str, Any] = {name: rows[:limit]}
    return {**found, "next_offset": offset + limit} if len(rows) > limit else found
