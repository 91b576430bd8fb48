"""Text in the columns of a terminal, as a terminal counts them: letters of some scripts are two wide, accents none.

What cannot be printed counts as the escape that is shown for it (`\\x1b`), so that lines keep their length when others
wrote what is in them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from unicodedata import combining, east_asian_width

WIDTH: Final = 80
LABEL: Final = 16
"""How far lines with a label are indented."""
_UNITS: Final = ((10**15, "P"), (10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k"))


def width(text: str) -> int:
    """How many columns a text takes."""
    return sum(map(_wide, text))


def _wide(letter: str) -> int:
    if not letter.isprintable():
        return len(f"\\x{ord(letter):02x}")
    if combining(letter):
        return 0
    return 2 if east_asian_width(letter) in "WF" else 1


def cut(text: str, room: int) -> str:
    """A name in one line, and no more of it than there is room for."""
    text = text.replace("\n", " ").replace("\t", " ")
    if width(text) <= room:
        return text
    kept, left = "", room - 1
    for letter in text:
        left -= _wide(letter)
        if left < 0:
            break
        kept += letter
    return f"{kept}…"


def row(cells: Sequence[str], widths: Sequence[int]) -> str:
    """A name to the left, cut to its column, and numbers to the right of theirs."""
    name, *numbers = cells
    name = cut(name, widths[0] - 1)
    padded = name + " " * (widths[0] - width(name))
    return padded + "".join(f"{cell:>{room}}" for cell, room in zip(numbers, widths[1:], strict=False))


def count(number: int, room: int) -> str:
    """A number with a blank before it in a column, in thousands or more of them if it is too long for that."""
    shown = f"{number:,}"
    for unit, letter in reversed(_UNITS):
        if len(shown) < room:
            break
        shown = f"{number // unit:,}{letter}"
    return shown


def rate(value: float, room: int) -> str:
    """A number with one digit after the point, or as a count if it is too long for its column so."""
    shown = f"{value:,.1f}"
    return shown if len(shown) < room else count(round(value), room)


def labelled(label: str, words: str) -> list[str]:
    """A label and its words, in as many lines as they need."""
    return wrapped(words, f"{label:<{LABEL}}", " " * LABEL)


def wrapped(words: str, first: str = "", rest: str = "") -> list[str]:
    """Words in lines that fit, the first line after `first`, the others after `rest`, which is as wide."""
    lines, line, room = [], "", WIDTH - width(rest)
    for word in words.split():
        while word:
            blank = " " if line else ""
            if width(line) + len(blank) + width(word) <= room:
                line += blank + word
                break
            if not line:  # longer than a line
                line = _first(word, room)
                word = word[len(line) :]
            lines.append(line)
            line = ""
    lines += [line] if line or not lines else []
    return [(first if at == 0 else rest) + one for at, one in enumerate(lines)]


def _first(word: str, room: int) -> str:
    at = 0
    for letter in word:
        room -= _wide(letter)
        if room < 0:
            break
        at += 1
    return word[: max(at, 1)]
