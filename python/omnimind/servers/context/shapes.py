"""The results of the tools, for their schemas."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

Rows = list[dict[str, Any]]


class Kept(BaseModel):
    """An entry without its text."""

    id: str
    level: str
    tokens: int
    handle: str
    session_id: str | None = None
    moved: Rows | None = None


class Whole(Kept):
    """The result of open_context."""

    content: str | None = None


class Listed(BaseModel):
    """The result of list_context."""

    entries: Rows
    total: int
    next_offset: int | None = None


class Retrieved(BaseModel):
    """The result of retrieve_context."""

    entries: Rows
    left_out: dict[str, Any]
    content_tokens: int
    tokenizer: str
    exact: bool


class Composed(BaseModel):
    """The result of get_context and compress_context."""

    tokens: int
    tokens_before: int
    target_tokens: int
    included: list[str]
    compressed: bool
    critical_info_preserved: bool
    content: str | None = None


class Moved(BaseModel):
    """The result of move_context."""

    entries: Rows
    moved: Rows


class Deleted(BaseModel):
    """The result of a deletion."""

    deleted: int
    in_snapshots: int | None = None


class Started(BaseModel):
    """The result of start_session."""

    session_id: str
    ends_ms: int


class Ended(BaseModel):
    """The result of end_session."""

    archived: int


class Sessions(BaseModel):
    """The result of list_sessions."""

    sessions: Rows
    next_offset: int | None = None


class Taken(BaseModel):
    """A snapshot."""

    name: str
    levels: list[str]
    entries: int
    tokens: int
    created_ms: int


class Snapshots(BaseModel):
    """The result of list_snapshots."""

    snapshots: Rows
    next_offset: int | None = None


class Difference(BaseModel):
    """The result of diff_snapshots."""

    added: Rows
    removed: Rows
    changed: Rows
    counts: dict[str, int]


class Restored(Difference):
    """The result of restore_context."""

    dry_run: bool
    saved_as: str | None = None
    moved: Rows


class Stats(BaseModel):
    """The result of context_stats."""

    levels: dict[str, dict[str, Any]]
    bytes: int
    stored_bytes: int
    limits: dict[str, int]
