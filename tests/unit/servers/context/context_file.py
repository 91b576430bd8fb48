"""One principal's file in memory, with a clock of its own; for tests of the domain alone."""

from __future__ import annotations

import sqlite3
from typing import Any

from omnimind.servers.context import aging, entries, snapshots, store, texts
from omnimind.servers.context.entries import Entry, Level
from omnimind.servers.context.limits import Caps
from omnimind.servers.context.schema import MIGRATIONS

START_MS = 1_800_000_000_000
CAPS = Caps(working=60, session=100)


class ContextFile:
    """What a worker does with a file, one call after the other."""

    def __init__(self, caps: Caps = CAPS) -> None:
        self.data = sqlite3.connect(":memory:", isolation_level=None)
        self.data.execute("PRAGMA foreign_keys = ON")
        for migration in MIGRATIONS:
            for statement in migration:
                self.data.execute(statement)
        self.caps = caps
        self.now_ms = START_MS

    def sweep(self) -> list[aging.Move]:
        self.now_ms += 1
        return aging.sweep(self.data, self.now_ms)

    def store(self, content: str, level: Level = "working", **more: Any) -> Entry:
        return self.stored(content, level, **more)[0]

    def stored(self, content: str, level: Level = "working", **more: Any) -> tuple[Entry, list[aging.Move]]:
        self.sweep()
        return store.store(self.data, store.Wanted(content, level, **more), self.caps, self.now_ms)

    def update(self, name: str, **patch: Any) -> Entry:
        self.sweep()
        return store.update(self.data, name, store.Patch(**patch), self.caps, self.now_ms)[0]

    def move(self, name: str, level: Level, session: str | None = None) -> Entry:
        self.sweep()
        return store.move(self.data, [name], level, session, self.caps, self.now_ms)[0][0]

    def take(self, name: str, levels: tuple[Level, ...] = entries.LEVELS) -> None:
        self.sweep()
        snapshots.take(self.data, name, None, levels, self.now_ms)

    def restore(self, name: str, save_as: str | None = None) -> snapshots.Restored:
        self.sweep()
        return snapshots.restore(self.data, name, self.caps, self.now_ms, save_as=save_as, dry_run=False)

    def everything(self) -> list[tuple[Entry, str]]:
        """All entries with their texts."""
        found = entries.select(self.data, "ORDER BY e.id")
        return [(entry, texts.read(self.data, entry.handle)) for entry in found]

    def level_of(self, entry: Entry) -> str:
        return entries.find(self.data, entry.id).level

    def check(self) -> None:
        """What must hold after every change."""
        named = {handle for (handle,) in self.data.execute("SELECT handle FROM entries")}
        named |= {handle for (handle,) in self.data.execute("SELECT handle FROM snapshot_entries")}
        assert named == {handle for (handle,) in self.data.execute("SELECT handle FROM texts")}
        live = {
            handle for (handle,) in self.data.execute("SELECT handle FROM entries WHERE level <> 'archive'")
        }
        packed = {handle for (handle,) in self.data.execute("SELECT handle FROM texts WHERE packed")}
        assert not packed & live, "only what rests is packed"
        for level in ("working", "session"):
            held = next(one for one in store.held(self.data) if one.level == level)
            assert held.tokens <= (self.caps.of(level) or 0)
        for (session,) in self.data.execute(
            "SELECT session FROM entries WHERE level IN ('working', 'session') AND session IS NOT NULL"
        ):
            assert self.data.execute("SELECT 1 FROM sessions WHERE id = ?", (session,)).fetchone()
        self.data.execute("INSERT INTO words (words) VALUES ('integrity-check')")
        rows = {number for (number,) in self.data.execute("SELECT number FROM entries")}
        indexed = {number for (number,) in self.data.execute("SELECT id FROM words_docsize")}
        assert rows == indexed, "every entry is searched, and nothing else"
