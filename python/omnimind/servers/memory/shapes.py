"""What the tools for memories return, as the schemas that they list."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field


class WhyItem(BaseModel):
    """One word of a query."""

    word: str
    score: float
    inContent: int
    inTags: int


class MemoryItem(BaseModel):
    """A memory."""

    id: str
    content: str
    tags: list[str]
    metadata: dict[str, Any]
    createdMs: int
    updatedMs: int


class FoundItem(MemoryItem):
    """A memory that answers a query."""

    relevance: float | None = None
    why: list[WhyItem] | None = Field(None, description="What each word adds to the relevance")


class Found(BaseModel):
    """The result of retrieve_memories."""

    memories: list[FoundItem]
    nextOffset: int | None = Field(None, description="Where to go on, if there is more")


class Deleted(BaseModel):
    """The result of delete_memories."""

    deleted: int


class AssociationItem(BaseModel):
    """An association."""

    source: str
    target: str
    kind: str
    note: str


class Removed(BaseModel):
    """The result of dissociate_memories."""

    removed: int


class Neighbourhood(BaseModel):
    """The result of memory_neighbourhood."""

    memories: list[MemoryItem]
    associations: list[AssociationItem]


class Proposal(BaseModel):
    """One group of memories that say nearly the same."""

    keep: str
    drop: list[str]
    memories: list[MemoryItem]
    reasons: list[str]


class Proposals(BaseModel):
    """The result of propose_consolidation."""

    proposals: list[Proposal]
    compared: int
    threshold: float


class ImportedCounts(BaseModel):
    """The result of import_memory."""

    entities: int
    relations: int
    memories: int
    associations: int
