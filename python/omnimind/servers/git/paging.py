"""Long texts and long lists, a part at a time. What is not shown is not made: chunks are taken as needed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def part_of_text(chunks: Iterable[str], offset: int, limit: int, *, whole: bool = False) -> str:
    """`limit` characters of a text from `offset` on, cut at the end of a line; a note says how to go on.

    The reference server drops the end of the last line of what the git program prints; so does this, unless
    `whole` is said.
    """
    kept: list[str] = []
    at = 0
    for chunk in chunks:
        if at + len(chunk) > offset:
            kept.append(chunk[max(0, offset - at) :])
        at += len(chunk)
        if at > offset + limit:
            break
    text = "".join(kept)
    if len(text) <= limit:
        return text if whole else text.removesuffix("\n")
    end = text.rfind("\n", 0, limit) + 1 or limit
    return f"{text[:end]}[cut here: there is more; call again with offset={offset + end} to go on]"


def part_of_list(found: Iterable[T], offset: int, limit: int) -> tuple[list[T], int | None]:
    """`limit` entries from `offset` on, and the offset of the next part if there is one."""
    rest: Iterator[T] = islice(iter(found), offset, None)
    kept = list(islice(rest, limit))
    more = len(kept) == limit and next(rest, None) is not None
    return kept, offset + limit if more else None
