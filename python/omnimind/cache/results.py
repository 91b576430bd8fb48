"""What the levels of a cache have counted."""

from __future__ import annotations

from typing import NamedTuple


class LevelStats(NamedTuple):
    """One level. Each look-up that reaches it is a hit or a miss."""

    off: str | None
    """Why the level is off, if it is."""
    hits: int
    """Look-ups that it answered, with a stale value too."""
    stale_hits: int
    misses: int
    entries: int
    bytes: int
    """Of the values, as they are weighed; of the files, on disk."""
    inserts: int
    evictions: int
    """Values that left to make room."""
    refused: int
    """Values that were too large, or more than may be written to the disk."""
    damaged: int
    """Values that were not as they had been written; each was a miss."""
