"""The tables of one principal's thinking file. A released migration is never edited; a new one is added."""

from __future__ import annotations

from typing import Final

MIGRATIONS: Final = (
    (
        """CREATE TABLE sessions (
            number INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            title TEXT NOT NULL,
            implicit INTEGER NOT NULL,
            created_ms INTEGER NOT NULL,
            updated_ms INTEGER NOT NULL)""",
        "CREATE INDEX sessions_by_use ON sessions (updated_ms)",
        """CREATE TABLE branches (
            session INTEGER NOT NULL REFERENCES sessions(number) ON DELETE CASCADE,
            id TEXT NOT NULL,
            from_thought INTEGER,
            merged_into TEXT,
            PRIMARY KEY (session, id)) WITHOUT ROWID""",
        # The main line is the branch ''.
        """CREATE TABLE steps (
            number INTEGER PRIMARY KEY,
            session INTEGER NOT NULL REFERENCES sessions(number) ON DELETE CASCADE,
            branch TEXT NOT NULL,
            thought TEXT NOT NULL,
            thought_number INTEGER NOT NULL,
            total_thoughts INTEGER NOT NULL,
            next_needed INTEGER NOT NULL,
            revises INTEGER,
            is_revision INTEGER NOT NULL,
            needs_more INTEGER NOT NULL,
            merged_from TEXT,
            created_ms INTEGER NOT NULL)""",
        "CREATE INDEX steps_by_session ON steps (session, number)",
    ),
)
