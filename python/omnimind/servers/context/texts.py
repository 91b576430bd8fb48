"""Texts, each kept once under a handle made from its bytes.

Rule: what went in comes out byte for byte, whatever level it is on. A text that only the archive or snapshots name
is kept as an lz4 frame if that is smaller; one that nothing names any more is removed.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable

from omnimind.compression import tokens
from omnimind.servers.context import limits
from omnimind.servers.problem import Problem

_HANDLE_CHARACTERS = 32


def keep(connection: sqlite3.Connection, text: str) -> str:
    """Keep a text; its handle."""
    data = limits.check_text(text)
    handle = hashlib.sha256(data).hexdigest()[:_HANDLE_CHARACTERS]
    if not exists(connection, handle):
        (total,) = connection.execute("SELECT ifnull(sum(bytes), 0) FROM texts").fetchone()
        if total + len(data) > limits.TOTAL_BYTES:
            raise Problem(
                f"{total:,} bytes of text are kept and the limit is {limits.TOTAL_BYTES:,}; "
                "delete entries or snapshots first"
            )
        connection.execute(
            "INSERT INTO texts (handle, bytes, tokens, packed, data) VALUES (?, ?, ?, 0, ?)",
            (handle, len(data), tokens.count(text), data),
        )
    return handle


def read(connection: sqlite3.Connection, handle: str) -> str:
    """The whole text of a handle."""
    row = connection.execute("SELECT packed, data FROM texts WHERE handle = ?", (handle,)).fetchone()
    if row is None:
        raise Problem(f"there is no text {handle!r}; list_context shows handles")
    return (_unpacked(row[1]) if row[0] else bytes(row[1])).decode()


def exists(connection: sqlite3.Connection, handle: str) -> bool:
    """Whether a text is kept under this handle."""
    return connection.execute("SELECT 1 FROM texts WHERE handle = ?", (handle,)).fetchone() is not None


def settle(connection: sqlite3.Connection, handles: Iterable[str]) -> None:
    """Pack, unpack or remove texts, by who names them now."""
    for handle in set(handles):
        live, kept = connection.execute(
            """SELECT EXISTS (SELECT 1 FROM entries WHERE handle = :h AND level <> 'archive'),
                      EXISTS (SELECT 1 FROM entries WHERE handle = :h)
                      OR EXISTS (SELECT 1 FROM snapshot_entries WHERE handle = :h)""",
            {"h": handle},
        ).fetchone()
        if not kept:
            connection.execute("DELETE FROM texts WHERE handle = ?", (handle,))
            continue
        packed, data = connection.execute(
            "SELECT packed, data FROM texts WHERE handle = ?", (handle,)
        ).fetchone()
        if bool(packed) == bool(live):
            _rewrite(connection, handle, bytes(data), pack=not live)


def _rewrite(connection: sqlite3.Connection, handle: str, data: bytes, *, pack: bool) -> None:
    changed = _packed(data) if pack else _unpacked(data)
    if pack and len(changed) >= len(data):
        return
    connection.execute("UPDATE texts SET packed = ?, data = ? WHERE handle = ?", (int(pack), changed, handle))


def _packed(data: bytes) -> bytes:
    import lz4.frame  # type: ignore[import-untyped]

    return bytes(lz4.frame.compress(data, content_checksum=True))


def _unpacked(data: bytes) -> bytes:
    import lz4.frame

    return bytes(lz4.frame.decompress(data))
