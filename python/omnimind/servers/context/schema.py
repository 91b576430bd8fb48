"""The tables of one principal's context file. A released migration is never edited; a new one is added.

A text is kept once, under a handle made from its content; entries and snapshots name it. The index of words holds
no text of its own (`content=''`), so that what the archive compresses is compressed once and for all.
"""

from __future__ import annotations

from typing import Final

_FACTS = """
    id TEXT NOT NULL,
    level TEXT NOT NULL,
    session TEXT,
    key TEXT,
    title TEXT,
    tags TEXT NOT NULL,
    importance REAL NOT NULL,
    handle TEXT NOT NULL REFERENCES texts(handle),
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    expires_ms INTEGER"""

MIGRATIONS: Final = (
    (
        """CREATE TABLE texts (
            handle TEXT PRIMARY KEY,
            bytes INTEGER NOT NULL,
            tokens INTEGER NOT NULL,
            packed INTEGER NOT NULL,
            data BLOB NOT NULL)""",
        """CREATE TABLE sessions (
            id TEXT PRIMARY KEY,
            title TEXT,
            ttl_s INTEGER NOT NULL,
            created_ms INTEGER NOT NULL,
            used_ms INTEGER NOT NULL)""",
        f"CREATE TABLE entries (number INTEGER PRIMARY KEY, {_FACTS})",
        "CREATE UNIQUE INDEX entries_by_id ON entries (id)",
        "CREATE INDEX entries_by_level ON entries (level, session)",
        "CREATE INDEX entries_by_handle ON entries (handle)",
        """CREATE UNIQUE INDEX entries_by_key ON entries (key, level, ifnull(session, ''))
            WHERE key IS NOT NULL AND level <> 'archive'""",
        "CREATE INDEX entries_by_end ON entries (expires_ms) WHERE expires_ms IS NOT NULL",
        """CREATE TABLE snapshots (
            number INTEGER PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            note TEXT,
            levels TEXT NOT NULL,
            created_ms INTEGER NOT NULL)""",
        f"""CREATE TABLE snapshot_entries (
            snapshot INTEGER NOT NULL REFERENCES snapshots(number) ON DELETE CASCADE, {_FACTS},
            PRIMARY KEY (snapshot, id)) WITHOUT ROWID""",
        "CREATE INDEX snapshot_entries_by_handle ON snapshot_entries (handle)",
        """CREATE INDEX snapshot_entries_by_end ON snapshot_entries (expires_ms)
            WHERE expires_ms IS NOT NULL""",
        """CREATE VIRTUAL TABLE words USING fts5(
            title, tags, content, content='', tokenize="unicode61")""",
    ),
)
