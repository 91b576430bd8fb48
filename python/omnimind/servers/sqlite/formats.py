"""Formats of printf, looked at before the statement runs.

SQLite's `printf('%.2000000000c', 'x')` counts to two thousand million within one operation, where no deadline
reaches it. So a caller's statement may use printf and format only with a literal that holds no such precision.
"""

from __future__ import annotations

import re
from typing import Final

from omnimind.servers.problem import Problem
from omnimind.servers.sqlite.text import tokens

REFUSAL: Final = (
    "printf and format are allowed only with a plain literal as their format, and %c there with a precision "
    "below 10,000; put the values into the arguments"
)

_NAMES: Final = frozenset({"printf", "format"})
_CONVERSION: Final = re.compile(r"%([^%a-zA-Z]*)l{0,2}([a-zA-Z])")
_LARGE: Final = re.compile(r"\*|\d{5}")


def check(statement: str) -> bool:
    """Whether the statement calls printf or format; refuses it where a format is not a harmless literal."""
    lower = statement.lower()
    if not any(name in lower for name in _NAMES):
        return False
    found = list(tokens(lower))
    called = False
    for at, token in enumerate(found):
        if token.strip('"`[]') in _NAMES and found[at + 1 : at + 2] == ["("]:
            literal, behind = (*found[at + 2 : at + 4], "", "")[:2]
            if not literal.startswith("'") or behind not in (",", ")") or _counts(literal):
                raise Problem(REFUSAL)
            called = True
    return called


def _counts(literal: str) -> bool:
    return any(kind == "c" and _LARGE.search(width) for width, kind in _CONVERSION.findall(literal))
