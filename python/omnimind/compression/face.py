"""`Compressor`: a text, or a value, in fewer tokens; what is left out is marked, what is critical is kept.

The work is done in Rust, without the interpreter: other threads go on meanwhile. The same data, target and query give
the same content, in every process.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from omnimind import _core
from omnimind.compression.tokens import TOKENIZER

Kind = Literal[
    "json",
    "jsonl",
    "log",
    "build",
    "trace",
    "diff",
    "code",
    "search",
    "table",
    "prose",
    "html",
    "tools",
    "text",
]

Critical = Literal[
    "id",
    "number",
    "date",
    "path",
    "url",
    "version",
    "address",
    "quoted",
    "limit",
    "error",
    "exit",
]


class Kept(NamedTuple):
    """Of the different critical values of one kind, how many stand in the content as they stood in the original."""

    kept: int
    total: int


class Missing(NamedTuple):
    """Something that had to be kept and found no room."""

    why: str
    """`error`, `template`, `rare`, `changed`, `signature`, `outlier`, `heading` or `edge`."""
    lines: tuple[int, int]
    """Of the original, from 1, both ends in."""
    text: str
    """How it begins."""


class Omission(NamedTuple):
    """A gap in the content."""

    lines: tuple[int, int]
    """Lines of the original, from 1, both ends in. Log lines are put in another order, so some of these may be kept."""
    bytes: tuple[int, int]
    """Of the original in UTF-8; the end is not in."""
    units: int
    """Lines, rows or sentences left out."""
    tokens: int
    """What they would have cost."""


class Block(NamedTuple):
    """A part of the original of one kind."""

    kind: Kind
    bytes: tuple[int, int]
    """Of the original in UTF-8; the end is not in."""
    printed: tuple[int, int]
    """Of the content in UTF-8; empty if nothing of the part stands there."""
    tokens_before: int
    tokens_after: int
    form: Literal["plain", "whole", "cut"]
    """As it was; all of it in a shorter form; or a choice of it."""


@dataclass(frozen=True, slots=True)
class Compressed:
    """What a model reads, and an account of it."""

    content: str
    tokens_before: int
    tokens_after: int
    """Of the content, with its marks."""
    tokenizer: str
    """The vocabulary that the counts are of."""
    exact: bool
    """The tokens are counted, not estimated."""
    critical_info_preserved: bool
    """All that had to be kept is there: errors, changed lines, signatures, rare lines, outliers, headings ..."""
    critical: Mapping[Critical, Kept]
    """Critical values by kind: ids, numbers with units, dates, paths, quoted words, limits ..."""
    missing: tuple[Missing, ...]
    """What had to be kept and is not; the first of them."""
    missing_count: int
    """How many there are."""
    handle: str
    """BLAKE3 of the original in UTF-8, as hexadecimal digits: the name that the first line of a cut content gives."""
    omissions: tuple[Omission, ...]
    blocks: tuple[Block, ...]


class Compressor:
    """Makes texts and values shorter, for readers that pay by the token."""

    __slots__ = ("_encoder",)

    def __init__(self, *, embeddings: bool = False) -> None:
        """With `embeddings`, sentences and lines that say the same in other words become one, with how many it stands
        for, and the few that are nearest to the query in meaning are looked at again. It needs the extra `semantic`:
        ImportError says what to install, OSError and ValueError what is wrong with its files.
        """
        self._encoder = _encoder() if embeddings else None

    def compress(
        self,
        data: str | bytes | dict[Any, Any] | list[Any],
        target_tokens: int | None,
        query: str | None = None,
        *,
        name: str = "",
        mime: str = "",
    ) -> Compressed:
        """The same facts in at most `target_tokens`; with None, in as few as there may be with nothing left out.

        First every part gets the shortest form from which it can be read back: rows without repeated names, log lines
        by their template. If that is above the target, a choice is made: errors, what answers `query`, one line of each
        template, changed lines, signatures, values that are nowhere else. Each gap leaves a mark that says which lines
        it stands for, and the first line names the original by its hash.

        The target is met whatever the data. If it is too small for what has to be kept, `critical_info_preserved` is
        false, and `missing` says what is not there. Without a query nobody knows which sentences of a text will be
        asked for: give one where you can.

        Bytes are read as UTF-8; a dict or a list as the JSON that it makes. `name` (of a file or a tool) and `mime`
        help where a text leaves open what it is.
        """
        if target_tokens is not None and target_tokens < 0:
            raise ValueError(f"target_tokens must not be negative, got {target_tokens}")
        told = _core.compress(_text(data), target_tokens, query or "", mime, name, self._encoder)
        content, handle, counts, preserved, critical, missing, more, omissions, blocks = told
        return Compressed(
            content=content,
            tokens_before=counts[0],
            tokens_after=counts[1],
            tokenizer=TOKENIZER,
            exact=True,
            critical_info_preserved=preserved,
            critical=MappingProxyType({kind: Kept(kept, total) for kind, kept, total in critical}),
            missing=tuple(Missing(*one) for one in missing),
            missing_count=len(missing) + more,
            handle=handle,
            omissions=tuple(Omission(*gap) for gap in omissions),
            blocks=tuple(
                Block(kind, span, printed, *counts, form) for kind, span, printed, counts, form in blocks
            ),
        )


class SemanticCompressor(Compressor):
    """A `Compressor` for a whole context: a dict in, a dict out."""

    __slots__ = ()

    def compress_context(
        self, data: dict[Any, Any], target_tokens: int = 25_000, query: str | None = None
    ) -> dict[str, Any]:
        """What `compress` makes of it, with the account as plain data: `content`, `tokens_before`, `tokens_after`,
        `critical_info_preserved`, `missing` (the first of what had to be kept and is not), `missing_count`, `handle`.
        """
        told = self.compress(data, target_tokens, query)
        return {
            "content": told.content,
            "tokens_before": told.tokens_before,
            "tokens_after": told.tokens_after,
            "critical_info_preserved": told.critical_info_preserved,
            "missing": [one._asdict() for one in told.missing],
            "missing_count": told.missing_count,
            "handle": told.handle,
        }


def decompress(compressed: Compressed) -> str:
    """The original of what was compressed with nothing left out: the same text; of JSON, the same value.

    Raises ValueError where a part was cut: the content does not hold it, its handle names the original.
    """
    if compressed.omissions or any(block.form == "cut" for block in compressed.blocks):
        raise ValueError(
            "parts of the original are left out of this content: compress with target_tokens=None to read all of it "
            f"back, or expand omnimind://context/{compressed.handle} where the original is kept"
        )
    return _core.decompress(
        compressed.content, [(block.kind, block.printed, block.form) for block in compressed.blocks]
    )


def _encoder() -> _core.Encoder:
    from omnimind.encoder import NoEncoder, find_encoder

    found = find_encoder()
    if isinstance(found, NoEncoder):
        raise ImportError(f"embeddings need an encoder: {found.reason}")
    return _core.Encoder(found.weights, found.tokenizer)


def _text(data: str | bytes | dict[Any, Any] | list[Any]) -> str:
    if isinstance(data, bytes):
        return data.decode("utf-8", "replace")
    if not isinstance(data, str):
        data = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    # A lone surrogate is no character, and no vocabulary knows it.
    return data.encode("utf-8", "replace").decode()
