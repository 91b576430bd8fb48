"""The tools that give records: search, tail, one record with its neighbours, the history of the fleet."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import anyio
from mcp.server.mcpserver import Context
from mcp.types import CallToolResult
from pydantic import BaseModel, Field

from omnimind.servers import depends
from omnimind.servers.depends import FILES
from omnimind.servers.logging import asking, shown, walk
from omnimind.servers.logging.asking import Found
from omnimind.servers.logging.fleetlogs import EVENTS
from omnimind.servers.logging.levels import Level
from omnimind.servers.logging.sources import Reader, Sources
from omnimind.servers.logging.wanted import Budget, Wanted, made
from omnimind.servers.problem import Problem
from omnimind.servers.tools import READS, Toolbox, caller, data_result, in_thread, progress_of, role

PAGE = 500
WAIT_S = 20.0
_LOOK_S = 0.25
NEIGHBOURS = 50

AnyContext = Context[Any, Any]
Since = Annotated[
    str | None,
    Field(description="From this time on: 10m, 4h, 2d ago, 10:00, or an ISO time (UTC by default)"),
]
Until = Annotated[str | None, Field(description="Before this time, in the same forms")]
Names = Annotated[
    list[str] | None,
    Field(description="Names as log_sources lists them; default: all servers and all appended records"),
]
LeastLevel = Annotated[Level | None, Field(description="This level and those above it")]
WithUnknown = Annotated[bool, Field(description="With `level`: also lines that say no level")]
Limit = Annotated[int, Field(ge=1, le=PAGE)]
Cursor = Annotated[
    str | None, Field(description="The `cursor` of an earlier result, with the same other arguments")
]


class RecordItem(BaseModel):
    """A record on the wire."""

    time: str
    source: str
    level: str
    text: str
    characters: int | None = Field(None, description="The length of a text that is cut here")
    pid: int | None = None
    origin: str | None = None
    fields: dict[str, Any] | None = None
    id: str


class Records(BaseModel):
    """Records, and how to go on."""

    records: list[RecordItem]
    more: bool
    cursor: str | None = None
    sources: list[str] = Field(description="The logs that were looked at")
    bytesRead: int
    note: str


class Neighbours(BaseModel):
    """A record with those beside it."""

    records: list[RecordItem]


def reader() -> Reader:
    """Who asks."""
    return Reader(caller(), role() == "operator")


def budget(context: AnyContext, seconds: float) -> Budget:
    """How long a call may read; it ends when the caller goes away."""
    tell = progress_of(context, "bytes read")
    read = 0

    def check() -> None:
        tell(read)

    def told(size: int) -> None:
        nonlocal read
        read = size

    return Budget(seconds, check, told)


def utc_now() -> datetime:
    """Now."""
    return datetime.fromtimestamp(time.time(), UTC)


def answer(found: Found, cursor: str | None, more: bool, seconds: float) -> CallToolResult:
    """A page as a result."""
    note = _note(found, more, seconds)
    data = {
        "records": found.records,
        "more": more,
        "sources": found.sources,
        "bytesRead": found.looked,
        "note": note,
    }
    if cursor is not None:
        data["cursor"] = cursor
    told = f"{note}\ncursor: {cursor}" if cursor is not None else note
    return data_result(data, shown.as_text(found.records, told))


def _note(found: Found, more: bool, seconds: float) -> str:
    where = ", ".join(found.sources[:8]) + (
        f" and {len(found.sources) - 8} more" if len(found.sources) > 8 else ""
    )
    count = "1 record" if len(found.records) == 1 else f"{len(found.records)} records"
    said = f"{count} of {where or 'no log'}"
    if found.cut:
        return f"{said}; {seconds:.0f} s were over before all was looked at: go on with the cursor"
    if more:
        return f"{said}; there is more: go on with the cursor"
    gone = f"; removed since the cursor was given: {', '.join(found.removed)}" if found.removed else ""
    return f"{said}; nothing more{gone}"


def add_search_tools(box: Toolbox, logs: Sources) -> None:
    """Register them all."""
    _add_search(box, logs)
    _add_tail(box, logs)
    _add_record(box, logs)
    _add_history(box, logs)


def _add_search(box: Toolbox, logs: Sources) -> None:
    @box.tool("Search Logs", READS, FILES)
    async def search_logs(
        ctx: AnyContext,
        query: Annotated[
            str | None,
            Field(
                description='Words that a line must hold, in any case: timeout "connection refused" req* -debug'
            ),
        ] = None,
        pattern: Annotated[
            str | None, Field(description="A regular expression that a line must hold (Rust syntax)")
        ] = None,
        ignore_case: Annotated[bool, Field(description="For `pattern`")] = False,
        level: LeastLevel = None,
        with_unknown: WithUnknown = False,
        sources: Names = None,
        origin: Annotated[
            str | None,
            Field(description="Only of this unit (@journal), server (@events) or label (@records)"),
        ] = None,
        since: Since = None,
        until: Until = None,
        order: Annotated[Literal["newest", "oldest"], Field(description="Which come first")] = "newest",
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Annotated[CallToolResult, Records]:
        """Search the logs of the fleet's servers, of the gateway, of journald and of clients by words, regular
        expression, level and time. Answers a page; `cursor` gives the next one."""
        who = reader()
        backward = order == "newest"
        direction: walk.Direction = "b" if backward else "f"
        mark = walk.mark_of(query, pattern, ignore_case, level, with_unknown, sources, origin, since, until)
        now, places = walk.read(cursor, direction, mark) if cursor else (utc_now(), None)
        wanted = made(
            now,
            since=since,
            until=until,
            level=level,
            unknown=with_unknown,
            query=query,
            pattern=pattern,
            ignore_case=ignore_case,
            origin=origin,
        )
        seconds = asking.PATTERN_S if pattern else asking.SEARCH_S
        found = await in_thread(
            asking.search,
            logs,
            who,
            logs.chosen(who, sources),
            wanted,
            budget(ctx, seconds),
            limit=limit,
            backward=backward,
            places=places,
        )
        following = walk.written(direction, mark, now, found.places) if found.more else None
        return answer(found, following, found.more, seconds)


def _add_tail(box: Toolbox, logs: Sources) -> None:
    @box.tool("Tail Logs", READS, FILES)
    async def tail_logs(
        ctx: AnyContext,
        lines: Annotated[int, Field(ge=1, le=PAGE, description="At most so many")] = 50,
        sources: Names = None,
        level: LeastLevel = None,
        with_unknown: WithUnknown = False,
        cursor: Annotated[
            str | None, Field(description="The `cursor` of an earlier tail: what was written since")
        ] = None,
        wait_s: Annotated[
            float, Field(ge=0, le=WAIT_S, description="With `cursor`: wait so long for something new")
        ] = 0,
    ) -> Annotated[CallToolResult, Records]:
        """The last records of the logs, oldest first; with a cursor those that came since, each once."""
        who = reader()
        names = logs.chosen(who, sources)
        wanted = made(utc_now(), level=level, unknown=with_unknown)
        mark = walk.mark_of("tail", level, with_unknown, sources)
        if cursor is None:
            found, ends = await in_thread(
                asking.tail, logs, who, names, wanted, budget(ctx, asking.SEARCH_S), lines
            )
            return answer(found, walk.written("f", mark, utc_now(), ends), False, asking.SEARCH_S)
        depends.unsure()  # on what comes while it waits
        _, places = walk.read(cursor, "f", mark)
        end = anyio.current_time() + wait_s
        while True:
            found = await in_thread(
                _since, logs, who, names, wanted, budget(ctx, asking.SEARCH_S), lines, places
            )
            places = found.places or places
            if found.records or found.more or anyio.current_time() + _LOOK_S > end:
                return answer(found, walk.written("f", mark, utc_now(), places), found.more, asking.SEARCH_S)
            await anyio.sleep(_LOOK_S)
            names = logs.chosen(who, sources)


def _since(
    logs: Sources,
    who: Reader,
    names: list[str],
    wanted: Wanted,
    time_left: Budget,
    limit: int,
    places: dict[str, str],
) -> Found:
    return asking.search(
        logs, who, names, wanted, time_left, limit=limit, backward=False, places=places, indexed=False
    )


def _add_record(box: Toolbox, logs: Sources) -> None:
    @box.tool("Get Log Record", READS, FILES)
    async def get_log_record(
        id: Annotated[str, Field(description="The `id` of a record")],
        before: Annotated[int, Field(ge=0, le=NEIGHBOURS, description="So many records before it")] = 0,
        after: Annotated[int, Field(ge=0, le=NEIGHBOURS, description="So many records after it")] = 0,
    ) -> Annotated[CallToolResult, Neighbours]:
        """One record whole, and what the same log says before and after it."""
        found = await in_thread(asking.around, logs, reader(), id, before, after)
        if found is None:
            raise Problem(
                "there is no such record, or no more: logs are rotated and may be emptied; search for it again"
            )
        return data_result({"records": found}, shown.as_text(found, f"{len(found)} records"))


def _add_history(box: Toolbox, logs: Sources) -> None:
    @box.tool("Fleet History", READS, FILES)
    async def fleet_history(
        ctx: AnyContext,
        server: Annotated[str | None, Field(description="Only what happened to this server")] = None,
        event: Annotated[
            Literal["phase", "gateway", "fleet", "repeats", "stats"] | None,
            Field(
                description="phase: a server started, crashed, was parked; gateway; fleet: start, stop, reload"
            ),
        ] = None,
        since: Since = None,
        until: Until = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Annotated[CallToolResult, Records]:
        """What happened to the fleet, newest first: starts, crashes with their reasons, restarts, reloads. For
        operators."""
        who = reader()
        if not who.operator:
            raise Problem(
                "the history of the fleet is for its operators; search_logs shows what you appended"
            )
        mark = walk.mark_of("history", server, event, since, until)
        now, places = walk.read(cursor, "b", mark) if cursor else (utc_now(), None)
        wanted = made(now, since=since, until=until, origin=server, event=event)
        names = [EVENTS] if EVENTS in logs.names(who) else []
        found = await in_thread(
            asking.search,
            logs,
            who,
            names,
            wanted,
            budget(ctx, asking.SEARCH_S),
            limit=limit,
            backward=True,
            places=places,
        )
        following = walk.written("b", mark, now, found.places) if found.more else None
        return answer(found, following, found.more, asking.SEARCH_S)
