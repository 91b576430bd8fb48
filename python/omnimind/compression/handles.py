"""Originals of what was cut, and parts of them.

`Originals` is the store of a state folder that gateway, context server and commands share; `expand` reads parts of any
text. Both run in Rust, without the interpreter.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from omnimind import _core

URI: Final = "omnimind://context/"
_LARGEST: Final = 2**53
_PLACE: Final = re.compile(r"([LB]?)(\d{1,15})(?:(-)(\d{1,15})?)?", re.ASCII | re.IGNORECASE)


class Place(NamedTuple):
    """Lines or bytes of a text, as marks in cut texts say them: `3-9`, `L3-9`, `812-`, `B1200-5300`."""

    is_bytes: bool
    first: int
    last: int
    """Lines count from 1 and the last one is in; bytes count from 0 and this one is not in."""


class Kept(NamedTuple):
    """An original as it was put."""

    handle: str
    """Its name in full."""
    data: bytes
    mime: str
    source: str
    """Server and tool, or the file."""
    put_ms: int
    until_ms: int
    """From then on it is not found; both since the epoch."""


@dataclass(frozen=True, slots=True)
class Expanded:
    """A part of a text, as it stands there."""

    text: str
    tokens: int
    found: int
    """Lines, values or passages that are in the part."""
    shown: int
    """How many of them are in the text, whole or begun."""
    next: str | None
    """The place where what is not shown begins; None if all is shown."""
    widened: tuple[int, int] | None
    """Bytes that were asked for cut characters: those that are given."""


class Originals:
    """The originals under one folder. Every principal has its own: a handle of another is not found.

    They last a day after they were last put, as long as there is room. Raises OSError where the disk is full, cannot
    be used or holds what was not put there, and ValueError for what cannot be a handle.
    """

    __slots__ = ("_store",)

    def __init__(self, folder: Path) -> None:
        self._store = _core.Originals(folder)

    def put(self, principal: str, data: str | bytes, *, mime: str = "", source: str = "") -> str:
        """Keep an original; its handle. It is on disk when this returns."""
        raw = data.encode("utf-8", "replace") if isinstance(data, str) else data
        return self._store.put(principal, raw, mime, source, _now_ms())

    def get(self, principal: str, handle: str) -> Kept | None:
        """The original of a handle: 64 hexadecimal digits, the first 16 or more of them, or a URI that ends so."""
        found = self._store.get(principal, name_of(handle), _now_ms())
        return Kept(*found) if found else None

    def key(self) -> bytes:
        """The key that marks are made with."""
        return self._store.key()

    def notices(self) -> list[str]:
        """What the operator should be told: each is given once."""
        return self._store.notices()


def folder_of(state: Path) -> Path:
    """Where the originals of a state folder are."""
    return state / "handles"


def name_of(handle: str) -> str:
    """The name in a handle, which may be a URI."""
    return handle.rpartition(URI)[2].partition("?")[0] if URI in handle else handle


def lines_of(handle: str) -> str | None:
    """The lines that a URI names."""
    return handle.rpartition("?lines=")[2] if URI in handle and "?lines=" in handle else None


def is_name(handle: str) -> bool:
    """Whether this can be the handle of an original."""
    return re.fullmatch(r"[0-9a-f]{16,64}", name_of(handle), re.ASCII | re.IGNORECASE) is not None


def place(text: str) -> Place:
    """Lines or bytes as they are written. Raises ValueError."""
    read = _PLACE.fullmatch(text.strip())
    if read is None:
        raise ValueError(f"{text!r} is no place: give lines as 3-9 or 812-, bytes as B1200-5300")
    kind, first, to, last = read.groups()
    is_bytes = kind in ("B", "b")
    end = int(last) if last else _LARGEST if to else int(first) + is_bytes
    return Place(is_bytes, int(first), end)


def expand(
    text: str,
    *,
    at: Place | None = None,
    grep: str | None = None,
    context: int = 0,
    json_path: str | None = None,
    query: str | None = None,
    max_tokens: int | None = None,
) -> Expanded:
    """A part of a text, in no more than `max_tokens`: nothing in it is made shorter, what does not fit is not there.

    At most one of `grep`, `json_path` and `query`; without, the lines or bytes at a place, or all. `grep` is a regular
    expression without look-around and back references, `context` how many lines are shown around each of its matches;
    it may be confined to lines. Values of a path (RFC 9535) stand as in the text, one a line. A query finds the
    passages that answer it best. Raises ValueError, which says what to ask for instead.
    """
    if sum(one is not None for one in (grep, json_path, query)) > 1:
        raise ValueError("give one of grep, json_path and query")
    if at is not None and (json_path is not None or query is not None or (grep is not None and at.is_bytes)):
        raise ValueError("lines go with grep or stand alone; bytes, json_path and query stand alone")
    told = _core.expand(
        text,
        max_tokens,
        lines=(at.first, at.last) if at is not None and not at.is_bytes else None,
        bytes=(at.first, at.last) if at is not None and at.is_bytes else None,
        grep=grep,
        context=context,
        json_path=json_path,
        query=query,
    )
    return Expanded(*told)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
