"""The tables of one principal's memory file. A released migration is never edited; a new one is added."""

from __future__ import annotations

from typing import Final

MIGRATIONS: Final = (
    (
        """CREATE TABLE entities (
            id INTEGER PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            type TEXT NOT NULL,
            created_ms INTEGER NOT NULL)""",
        """CREATE TABLE observations (
            id INTEGER PRIMARY KEY,
            entity INTEGER NOT NULL REFERENCES entities(id) ON DELETE CASCADE,
            content TEXT NOT NULL,
            created_ms INTEGER NOT NULL,
            UNIQUE (entity, content))""",
        # By name, because a relation may be written down before its entities are.
        """CREATE TABLE relations (
            id INTEGER PRIMARY KEY,
            source TEXT NOT NULL,
            target TEXT NOT NULL,
            type TEXT NOT NULL,
            created_ms INTEGER NOT NULL,
            UNIQUE (source, target, type))""",
        "CREATE INDEX relations_by_target ON relations (target)",
        """CREATE TABLE memories (
            number INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            content TEXT NOT NULL,
            tags TEXT NOT NULL,
            metadata TEXT NOT NULL,
            created_ms INTEGER NOT NULL,
            updated_ms INTEGER NOT NULL)""",
        """CREATE TABLE associations (
            source INTEGER NOT NULL REFERENCES memories(number) ON DELETE CASCADE,
            target INTEGER NOT NULL REFERENCES memories(number) ON DELETE CASCADE,
            kind TEXT NOT NULL,
            note TEXT NOT NULL,
            created_ms INTEGER NOT NULL,
            PRIMARY KEY (source, target, kind)) WITHOUT ROWID""",
        "CREATE INDEX associations_by_target ON associations (target)",
        """CREATE VIRTUAL TABLE memory_words USING fts5(
            content, tags, content='memories', content_rowid='number', tokenize="unicode61")""",
        """CREATE TRIGGER memories_added AFTER INSERT ON memories BEGIN
            INSERT INTO memory_words (rowid, content, tags) VALUES (new.number, new.content, new.tags);
        END""",
        """CREATE TRIGGER memories_removed AFTER DELETE ON memories BEGIN
            INSERT INTO memory_words (memory_words, rowid, content, tags)
            VALUES ('delete', old.number, old.content, old.tags);
        END""",
        """CREATE TRIGGER memories_changed AFTER UPDATE OF content, tags ON memories BEGIN
            INSERT INTO memory_words (memory_words, rowid, content, tags)
            VALUES ('delete', old.number, old.content, old.tags);
            INSERT INTO memory_words (rowid, content, tags) VALUES (new.number, new.content, new.tags);
        END""",
    ),
)
