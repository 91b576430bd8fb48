"""What a terminal gets: colour only where it is wanted, tables that align, JSON on request.

Text that comes from servers is never trusted with the terminal: control characters are shown, not sent.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import Any, Final, TextIO

COLORS: Final[dict[str, str]] = {"red": "31", "green": "32", "yellow": "33", "dim": "2", "bold": "1"}


def has_color(stream: TextIO) -> bool:
    """True on a terminal that may show colour: NO_COLOR and TERM=dumb forbid it."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, color: str, stream: TextIO | None = None) -> str:
    """The text in a colour if the stream shows colour."""
    return f"\x1b[{COLORS[color]}m{text}\x1b[0m" if has_color(stream or sys.stdout) else text


def printable(text: str) -> str:
    """The text with every control character but newline and tab made visible."""
    return "".join(c if c.isprintable() or c in "\n\t" else f"\\x{ord(c):02x}" for c in text)


def table(
    header: Sequence[str], rows: Sequence[Sequence[object]], colors: dict[str, str] | None = None
) -> str:
    """Aligned columns; a cell whose text is a key of `colors` gets that colour."""
    texts = [
        [printable("-" if cell is None else str(cell)).replace("\n", " ") for cell in row] for row in rows
    ]
    widths = [max(len(row[column]) for row in [list(header), *texts]) for column in range(len(header))]
    lines = [
        paint(
            "  ".join(f"{word:<{width}}" for word, width in zip(header, widths, strict=True)).rstrip(), "dim"
        )
    ]
    for row in texts:
        cells = []
        for index, (text, width) in enumerate(zip(row, widths, strict=True)):
            padded = text if index == len(row) - 1 else f"{text:<{width}}"
            color = (colors or {}).get(text)
            cells.append(padded.replace(text, paint(text, color), 1) if color else padded)
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def print_json(value: Any) -> None:
    """A value as JSON on stdout."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def say(text: str) -> None:
    """A line for people, on stderr, so that stdout stays data."""
    print(text, file=sys.stderr, flush=True)
