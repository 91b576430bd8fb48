"""The tools for memories: keep, find, change, connect, consolidate, export."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Annotated, Any

from mcp.server.mcpserver import Context
from mcp.types import CallToolResult
from pydantic import Field

from omnimind.servers.depends import FILES
from omnimind.servers.desk import Desk
from omnimind.servers.memory import limits, search, similar, store
from omnimind.servers.memory.export import Format, association_json, export, import_text, memory_json
from omnimind.servers.memory.shapes import (
    AssociationItem,
    Deleted,
    Found,
    ImportedCounts,
    MemoryItem,
    Neighbourhood,
    Proposals,
    Removed,
)
from omnimind.servers.tools import (
    ADDS,
    CHANGES,
    ENSURES,
    READS,
    REPLACES,
    Toolbox,
    data_result,
    progress_of,
    text_result,
)

MemoryId = Annotated[str, Field(description="The id of a memory")]
Tags = Annotated[list[str] | None, Field(description="Words to file it under")]
Metadata = Annotated[dict[str, Any] | None, Field(description="Any JSON object to keep with it")]


def add_recall_tools(box: Toolbox, desk: Desk) -> None:
    """Register them all."""
    _add_keeping(box, desk)
    _add_associations(box, desk)
    _add_consolidation(box, desk)
    _add_export(box, desk)


def _add_keeping(box: Toolbox, desk: Desk) -> None:
    @box.tool("Store Memory", ADDS)
    async def store_memory(
        content: Annotated[str, Field(description="What to remember, as text")],
        tags: Tags = None,
        metadata: Metadata = None,
    ) -> Annotated[CallToolResult, MemoryItem]:
        """Remember a text. Returns it with its id."""
        kept = await desk.change(lambda data, now: store.add(data, content, tags or [], metadata or {}, now))
        return data_result(memory_json(kept))

    @box.tool("Retrieve Memories", READS, FILES)
    async def retrieve_memories(
        query: Annotated[str | None, Field(description="Words to look for; the best matches first")] = None,
        tags: Annotated[list[str] | None, Field(description="Only those that have all these tags")] = None,
        explain: Annotated[bool, Field(description="Say what each word adds to the relevance")] = False,
        limit: Annotated[int, Field(ge=1, le=limits.PAGE)] = 20,
        offset: Annotated[int, Field(ge=0)] = 0,
    ) -> Annotated[CallToolResult, Found]:
        """Find memories by words (ranked by BM25), by tags or both. Without a query the latest come first."""
        found = await desk.read(
            lambda data: search.find(data, query, tags or [], limit + 1, offset, explain=explain)
        )
        answer: dict[str, Any] = {"memories": [memory_json(memory) for memory in found[:limit]]}
        return data_result({**answer, "nextOffset": offset + limit} if len(found) > limit else answer)

    @box.tool("Get Memory", READS, FILES)
    async def get_memory(id: MemoryId) -> Annotated[CallToolResult, MemoryItem]:
        """Get one memory by its id."""
        return data_result(memory_json(await desk.read(lambda data: store.get(data, id))))

    @box.tool("Update Memory", REPLACES)
    async def update_memory(
        id: MemoryId,
        content: Annotated[str | None, Field(description="The new text")] = None,
        tags: Annotated[list[str] | None, Field(description="The new tags, instead of the old")] = None,
        metadata: Annotated[dict[str, Any] | None, Field(description="Instead of the old metadata")] = None,
    ) -> Annotated[CallToolResult, MemoryItem]:
        """Change a memory. What is not given stays as it is."""
        changed = await desk.change(
            lambda data, now: store.update(data, id, now, content=content, tags=tags, metadata=metadata),
        )
        return data_result(memory_json(changed))

    @box.tool("Delete Memories", REPLACES)
    async def delete_memories(
        ids: Annotated[list[str], Field(description="The ids of the memories")],
    ) -> Annotated[CallToolResult, Deleted]:
        """Delete memories and their associations. Unknown ids are ignored."""
        return data_result({"deleted": await desk.change(lambda data, _: store.delete(data, ids))})


def _add_associations(box: Toolbox, desk: Desk) -> None:
    @box.tool("Associate Memories", ENSURES)
    async def associate_memories(
        source: MemoryId,
        target: MemoryId,
        kind: Annotated[str, Field(description="What the first is to the second")] = "related to",
        note: Annotated[str, Field(description="Why they belong together")] = "",
    ) -> Annotated[CallToolResult, AssociationItem]:
        """Connect two memories. The same connection again only changes its note."""
        association = store.Association(source, target, kind, note)
        await desk.change(lambda data, now: store.associate(data, association, now))
        return data_result(association_json(association))

    @box.tool("Dissociate Memories", REPLACES)
    async def dissociate_memories(
        source: MemoryId,
        target: MemoryId,
        kind: Annotated[str | None, Field(description="Only this kind of connection")] = None,
    ) -> Annotated[CallToolResult, Removed]:
        """Remove the connections from one memory to another."""
        removed = await desk.change(lambda data, _: store.dissociate(data, source, target, kind))
        return data_result({"removed": removed})

    @box.tool("Memory Neighbourhood", READS, FILES)
    async def memory_neighbourhood(
        id: MemoryId,
        hops: Annotated[int, Field(ge=1, le=limits.HOPS, description="How many connections away")] = 1,
        limit: Annotated[int, Field(ge=1, le=limits.PAGE)] = 50,
    ) -> Annotated[CallToolResult, Neighbourhood]:
        """The memories connected with one, directly or over others, and the associations among them."""
        near, among = await desk.read(lambda data: store.neighbourhood(data, id, hops, limit))
        return data_result(
            {
                "memories": [memory_json(memory) for memory in near],
                "associations": [association_json(one) for one in among],
            }
        )


def _add_consolidation(box: Toolbox, desk: Desk) -> None:
    @box.tool("Propose Consolidation", READS, FILES)
    async def propose_consolidation(
        ctx: Context,
        threshold: Annotated[
            float,
            Field(ge=0.3, le=1, description="Shared part of words and word pairs that counts as alike"),
        ] = 0.7,
        limit: Annotated[int, Field(ge=1, le=limits.PAGE)] = 50,
    ) -> Annotated[CallToolResult, Proposals]:
        """Find groups of memories that say nearly the same, with the reason, and propose which to keep.
        Changes nothing; consolidate_memories carries a proposal out."""
        check = progress_of(ctx, "memories compared")
        proposals = await desk.read(lambda data: _proposals(data, threshold, limit, check))
        return data_result(proposals)

    @box.tool("Consolidate Memories", CHANGES)
    async def consolidate_memories(
        keep: Annotated[str, Field(description="The id of the memory that stays")],
        drop: Annotated[list[str], Field(min_length=1, description="The ids that are folded into it")],
        content: Annotated[str | None, Field(description="A new text for the one that stays")] = None,
    ) -> Annotated[CallToolResult, MemoryItem]:
        """Fold memories into one, which takes over their tags, associations and the metadata it lacks."""
        merged = await desk.change(lambda data, now: store.merge(data, keep, drop, content, now))
        return data_result(memory_json(merged))


def _proposals(
    data: sqlite3.Connection, threshold: float, limit: int, check: Callable[[int], None]
) -> dict[str, Any]:
    memories = store.every(data, limits.COMPARED)
    found = similar.pairs([memory.content for memory in memories], threshold, check)
    groups = similar.groups(found.pairs)[:limit]
    group_of = {at: number for number, group in enumerate(groups) for at in group}
    reasons: list[list[str]] = [[] for _ in groups]
    for pair in found.pairs:
        number = group_of.get(pair.first)
        if number is not None and len(reasons[number]) < limits.REASONS:
            reasons[number].append(
                f"{memories[pair.first].id} and {memories[pair.second].id} share {pair.shared} of "
                f"{pair.total} words and word pairs ({pair.similarity:.0%})"
            )
    proposals: list[dict[str, Any]] = []
    for group, why in zip(groups, reasons, strict=True):
        # The fullest text loses least; of equals the latest.
        keep = max(group, key=lambda at: (len(memories[at].content), memories[at].updated_ms))
        proposals.append(
            {
                "keep": memories[keep].id,
                "drop": [memories[at].id for at in group if at != keep][: limits.BATCH],
                "memories": [memory_json(memories[at]) for at in group[: limits.PAGE]],
                "reasons": why,
            }
        )
    return {"proposals": proposals, "compared": found.compared, "threshold": threshold}


def _add_export(box: Toolbox, desk: Desk) -> None:
    @box.tool("Export Memory", READS, FILES)
    async def export_memory(
        format: Annotated[
            Format,
            Field(description="jsonl is the reference server's file; json and jsonl can be imported again"),
        ] = "json",
    ) -> CallToolResult:
        """Everything remembered, graph and memories, as one text."""
        return text_result(await desk.read(lambda data: export(data, format)))

    @box.tool("Import Memory", ADDS)
    async def import_memory(
        lines: Annotated[
            str, Field(description="An export as jsonl or json, or the file of the reference memory server")
        ],
    ) -> Annotated[CallToolResult, ImportedCounts]:
        """Add what an export holds to what is remembered. All of it or, if a line is wrong, nothing."""
        added = await desk.change(lambda data, now: import_text(data, lines, now))
        return data_result(
            {
                "entities": added.entities,
                "relations": added.relations,
                "memories": added.memories,
                "associations": added.associations,
            }
        )
