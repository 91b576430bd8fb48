"""The tools around snapshots: take, list, compare, go back, delete."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable
from typing import Annotated

from mcp.types import CallToolResult
from pydantic import Field

from omnimind.servers.context import limits, shapes, snapshots, wire
from omnimind.servers.context.entries import LEVELS
from omnimind.servers.context.retrieval_tools import Levels
from omnimind.servers.context.session_tools import page
from omnimind.servers.context.shelf import Shelf
from omnimind.servers.depends import FILES
from omnimind.servers.tools import ADDS, CHANGES, READS, REPLACES, Toolbox, data_result

SnapshotName = Annotated[str, Field(description="The name of a snapshot")]


def add_snapshot_tools(box: Toolbox, shelf: Shelf) -> None:
    """Register them all."""
    _add_keeping(box, shelf)
    _add_going_back(box, shelf)


def _add_keeping(box: Toolbox, shelf: Shelf) -> None:
    @box.tool("Snapshot Context", ADDS)
    async def snapshot_context(
        name: Annotated[str, Field(description="A new name")],
        note: Annotated[str | None, Field(description="Why it was taken")] = None,
        levels: Levels = None,
    ) -> Annotated[CallToolResult, shapes.Taken]:
        """Keep all entries of the levels (default: all) as they are now, under a name."""
        said = limits.check_name(note, "note")
        taken = await shelf.change(
            lambda data, now_ms: snapshots.take(data, name, said, levels or LEVELS, now_ms)
        )
        return data_result(wire.snapshot(taken))

    @box.tool("List Snapshots", READS, FILES)
    async def list_snapshots(
        limit: Annotated[int, Field(ge=1, le=limits.SNAPSHOTS)] = 50,
        offset: Annotated[int, Field(ge=0)] = 0,
    ) -> Annotated[CallToolResult, shapes.Snapshots]:
        """List snapshots, the latest first."""
        found = await shelf.read(lambda data, _: snapshots.every(data, limit + 1, offset))
        return data_result(page([wire.snapshot(one) for one in found], limit, offset, "snapshots"))

    @box.tool("Delete Snapshot", REPLACES)
    async def delete_snapshot(name: SnapshotName) -> Annotated[CallToolResult, shapes.Deleted]:
        """Delete a snapshot for good, and the texts that only it holds."""
        await shelf.change(lambda data, _: snapshots.delete(data, name))
        return data_result({"deleted": 1})


def _add_going_back(box: Toolbox, shelf: Shelf) -> None:
    @box.tool("Diff Snapshots", READS, FILES)
    async def diff_snapshots(
        before: SnapshotName,
        after: Annotated[str | None, Field(description="Another snapshot; without, the state now")] = None,
        limit: Annotated[int, Field(ge=1, le=limits.PAGE)] = 50,
    ) -> Annotated[CallToolResult, shapes.Difference]:
        """Which entries were added, removed or changed since a snapshot; expand their handles to compare texts."""
        found = await shelf.read(lambda data, _: snapshots.difference(data, before, after))
        return data_result(wire.difference(found, limit))

    @box.tool("Restore Context", CHANGES)
    async def restore_context(
        name: SnapshotName,
        dry_run: Annotated[bool, Field(description="Only say what would change")] = False,
        save_current: Annotated[bool, Field(description="Keep what is there now as a snapshot first")] = True,
        limit: Annotated[int, Field(ge=1, le=limits.PAGE, description="How many of each kind to name")] = 20,
    ) -> Annotated[CallToolResult, shapes.Restored]:
        """Put the levels of a snapshot back exactly as they were; entries stored there since are removed. What
        there is now is kept as another snapshot first, named in saved_as. Look with dry_run before."""
        save_as = f"before {name[:200]} {time.strftime('%Y-%m-%d %H:%M:%S')}.{time.time_ns() % 10**9:09d}"

        def touched(done: snapshots.Restored) -> Iterable[str]:
            found = done.difference
            yield from [entry.id for entry in (*found.added, *found.removed)]
            yield from [old.id for old, _, _ in found.changed]

        def work(data: sqlite3.Connection, now_ms: int) -> snapshots.Restored:
            return snapshots.restore(
                data,
                name,
                shelf.caps,
                now_ms,
                save_as=save_as if save_current else None,
                dry_run=dry_run,
            )

        done = await (shelf.read(work) if dry_run else shelf.change(work, touched))
        return data_result(wire.restored(done, limit, dry_run))
