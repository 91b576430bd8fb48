"""Snapshots: all entries of some levels under a name. Texts are shared with the entries, so one costs little."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from omnimind.servers.context import aging, entries, limits, sessions, texts
from omnimind.servers.context.entries import COLUMNS, Entry, Level
from omnimind.servers.problem import Problem

_SELECT: Final = (
    f"SELECT {', '.join('s.' + name for name in COLUMNS.split(', '))}, t.tokens, t.bytes "  # noqa: S608
    "FROM snapshot_entries s JOIN texts t USING (handle) WHERE s.snapshot = ?"
)
_COMPARED: Final = ("level", "session", "key", "title", "tags", "importance", "handle", "expires_ms")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One snapshot."""

    number: int
    name: str
    note: str | None
    levels: tuple[Level, ...]
    created_ms: int
    entries: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Difference:
    """What leads from one state to another. A change names the fields that differ."""

    added: list[Entry]
    removed: list[Entry]
    changed: list[tuple[Entry, Entry, tuple[str, ...]]]


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restoration did, or would do: `difference` leads from the state now to the one of the snapshot."""

    difference: Difference
    expired: int
    revived: list[str]
    saved_as: str | None
    moves: list[aging.Move]


def take(
    connection: sqlite3.Connection, name: str, note: str | None, levels: Sequence[Level], now_ms: int
) -> Snapshot:
    """Keep the entries of these levels as they are."""
    kept = limits.check_name(name, "name") or ""
    chosen = [level for level in entries.LEVELS if level in levels]
    if not chosen:
        raise Problem(f"no level was given; there are {', '.join(entries.LEVELS)}")
    count, rows = connection.execute(
        "SELECT (SELECT count(*) FROM snapshots), (SELECT count(*) FROM snapshot_entries)"
    ).fetchone()
    if count >= limits.SNAPSHOTS:
        raise Problem(f"there are {count} snapshots, which is the limit; delete one with delete_snapshot")
    found = _now(connection, chosen)
    if rows + len(found) > limits.SNAPSHOT_ROWS:
        raise Problem(
            f"the snapshots hold {rows:,} entries and this one has {len(found):,}; the limit is "
            f"{limits.SNAPSHOT_ROWS:,}, so delete one with delete_snapshot"
        )
    try:
        cursor = connection.execute(
            "INSERT INTO snapshots (name, note, levels, created_ms) VALUES (?, ?, ?, ?)",
            (kept, note, json.dumps(chosen), now_ms),
        )
    except sqlite3.IntegrityError:
        raise Problem(f"a snapshot {kept!r} exists; take another name, or delete it first") from None
    marks = ", ".join("?" * len(COLUMNS.split(", ")))
    connection.executemany(
        f"INSERT INTO snapshot_entries (snapshot, {COLUMNS}) VALUES (?, {marks})",  # noqa: S608
        [(cursor.lastrowid, *entry.row()) for entry in found],
    )
    return find(connection, kept)


def find(connection: sqlite3.Connection, name: str) -> Snapshot:
    """The snapshot of this name."""
    found = _rows(connection, "WHERE s.name = ?", (name,))
    if not found:
        raise Problem(f"there is no snapshot {name!r}; list_snapshots shows them")
    return found[0]


def every(connection: sqlite3.Connection, limit: int, offset: int) -> list[Snapshot]:
    """Snapshots, the latest first."""
    return _rows(connection, "", (), "ORDER BY s.number DESC LIMIT ? OFFSET ?", (limit, offset))


def delete(connection: sqlite3.Connection, name: str) -> None:
    """Remove a snapshot, and texts that nothing else names."""
    number = find(connection, name).number
    handles = connection.execute(
        "SELECT handle FROM snapshot_entries WHERE snapshot = ?", (number,)
    ).fetchall()
    connection.execute("DELETE FROM snapshots WHERE number = ?", (number,))
    texts.settle(connection, [handle for (handle,) in handles])


def difference(connection: sqlite3.Connection, before: str, after: str | None) -> Difference:
    """What leads from one snapshot to another, or to the entries as they are now."""
    old = find(connection, before)
    if after is None:
        return _difference(_held(connection, old), _now(connection, old.levels))
    return _difference(_held(connection, old), _held(connection, find(connection, after)))


def restore(
    connection: sqlite3.Connection,
    name: str,
    caps: limits.Caps,
    now_ms: int,
    *,
    save_as: str | None,
    dry_run: bool,
) -> Restored:
    """Put the levels of a snapshot back as they were, after keeping what is there under another name."""
    snapshot = find(connection, name)
    kept = _held(connection, snapshot)
    wanted = [entry for entry in kept if entry.expires_ms is None or entry.expires_ms > now_ms]
    # An entry may have gone to a level that the snapshot does not hold: there it would be twice.
    names = {entry.id for entry in wanted}
    here = {entry.id: entry for entry in _now(connection, entries.LEVELS)}
    replaced = [entry for entry in here.values() if entry.level in snapshot.levels or entry.id in names]
    found = _difference(replaced, wanted)
    expired = len(kept) - len(wanted)
    if dry_run:
        return Restored(found, expired, [], None, [])
    if save_as is not None:
        take(connection, save_as, f"what was there before {name!r} was restored", entries.LEVELS, now_ms)
    staying = set(replaced) & set(wanted)
    for entry in replaced:
        if entry not in staying:
            entries.remove(connection, entry)
    lasting = {entry.session for entry in wanted if entry.session and entry.level != "archive"}
    revived = [session for session in sorted(lasting) if sessions.revive(connection, session, now_ms)]
    for entry in wanted:
        if entry not in staying:
            entries.insert(connection, entry)
    return Restored(found, expired, revived, save_as, aging.balance(connection, caps, now_ms))


def _now(connection: sqlite3.Connection, levels: Sequence[Level]) -> list[Entry]:
    marks = ", ".join("?" * len(levels))
    return entries.select(connection, f"WHERE e.level IN ({marks}) ORDER BY e.number", levels)


def _held(connection: sqlite3.Connection, snapshot: Snapshot) -> list[Entry]:
    return [entries.entry_of(row) for row in connection.execute(_SELECT, (snapshot.number,))]


def _difference(before: Sequence[Entry], after: Sequence[Entry]) -> Difference:
    old, new = {entry.id: entry for entry in before}, {entry.id: entry for entry in after}
    changed = []
    for name in old.keys() & new.keys():
        fields = tuple(one for one in _COMPARED if getattr(old[name], one) != getattr(new[name], one))
        if fields:
            changed.append((old[name], new[name], fields))
    return Difference(
        [entry for entry in after if entry.id not in old],
        [entry for entry in before if entry.id not in new],
        sorted(changed, key=lambda pair: pair[0].id),
    )


def _rows(
    connection: sqlite3.Connection,
    where: str,
    values: Sequence[object],
    order: str = "",
    page: Sequence[object] = (),
) -> list[Snapshot]:
    found = connection.execute(
        f"""SELECT s.number, s.name, s.note, s.levels, s.created_ms, count(e.id), ifnull(sum(t.tokens), 0)
            FROM snapshots s LEFT JOIN snapshot_entries e ON e.snapshot = s.number
            LEFT JOIN texts t USING (handle) {where} GROUP BY s.number {order}""",  # noqa: S608
        (*values, *page),
    ).fetchall()
    return [
        Snapshot(number, name, note, tuple(json.loads(levels)), *rest)
        for number, name, note, levels, *rest in found
    ]
