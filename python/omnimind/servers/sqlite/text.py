"""The text of a statement, cut into words. SQLite judges what it means; this only helps to say things well.

Rule: every pattern takes time proportional to the text, whatever the text is, because the interpreter stands
still meanwhile.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice, pairwise
from typing import Final

_TOKEN: Final = re.compile(
    r"(--[^\n]*|/\*.*?(?:\*/|\Z)|\s+)"  # what separates
    r"|'(?:[^']++|'')*+'?"
    r'|"(?:[^"]++|"")*+"?'
    r"|`(?:[^`]++|``)*+`?"
    r"|\[[^\]]*\]?"
    r"|\w+"
    r"|.",
    re.DOTALL,
)


def tokens(statement: str) -> Iterator[str]:
    """The words, literals and signs of a statement, without comments and blanks."""
    return (found[0] for found in _TOKEN.finditer(statement) if found[1] is None)


def words(statement: str, count: int = 2) -> list[str]:
    """The first tokens of a statement in capitals."""
    return [token.upper() for token in islice(tokens(statement), count)]


def is_ordered(statement: str) -> bool:
    """Whether ORDER BY stands anywhere in it."""
    lower = statement.lower()
    return "order" in lower and any(pair == ("order", "by") for pair in pairwise(tokens(lower)))
