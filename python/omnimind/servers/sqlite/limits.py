"""The server's limits, each with the number that its message shows.

Two of them need a word. `VALUE_BYTES` bounds every text, blob and row that a statement handles. It is lower
in a statement that uses functions whose work grows faster than what they are given (instr, LIKE), because
SQLite looks at its deadline only between operations, so the size is what keeps one operation short.
`HEAP_BYTES` bounds the memory of SQLite in the whole process.
"""

from __future__ import annotations

import math
import sqlite3
from typing import Final

SECONDS: Final = 5.0  # how long one statement may run, if the caller does not say
SECONDS_MOST: Final = 60.0
TICK_OPERATIONS: Final = 10_000  # of SQLite's machine, between two looks at the clock

ROWS: Final = 1_000  # in one answer, if the caller does not say
ROWS_MOST: Final = 10_000
ANSWER_BYTES: Final = 1024 * 1024
VALUE_BYTES: Final = 8 * 1024 * 1024
SQL_BYTES: Final = 100_000
HEAP_BYTES: Final = 256 * 1024 * 1024

PRIVATE_FILE_BYTES: Final = 256 * 1024 * 1024
PRIVATE_FILES: Final = 32
SHARED_FILE_BYTES: Final = 4 * 1024 * 1024 * 1024
LISTED: Final = 1_000
VISITED: Final = 20_000  # entries of folders that one listing looks at
DEPTH: Final = 6
NAME_BYTES: Final = 1_024

IMPORT_BYTES: Final = 4 * 1024 * 1024
IMPORT_COLUMNS: Final = 500
INSIGHT_CHARACTERS: Final = 4_096
INSIGHTS: Final = 1_000

CALLS_TOGETHER: Final = 4  # of one principal; more wait

SLOW_FUNCTIONS: Final[dict[str, int]] = {
    "instr": 1,
    "replace": 1,
    "trim": 1,
    "ltrim": 1,
    "rtrim": 1,
    "json_patch": 16,
}
"""Functions whose work is quadratic in their arguments, and how much worse than the others each is."""

MATCHING_FUNCTIONS: Final = frozenset({"like", "glob"})
"""Functions whose work is the value times the pattern; the pattern is bounded."""

FORMATS_ELSEWHERE: Final = 4  # printf in views and triggers that a statement meets

_SLOW_BYTES: Final = 512 * 1024  # instr over so much, at its worst, takes about two seconds
_SLOW_LEAST: Final = 16 * 1024
_MATCHED_LEAST: Final = 512 * 1024

ENGINE: Final[dict[int, int]] = {
    sqlite3.SQLITE_LIMIT_LENGTH: VALUE_BYTES,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: SQL_BYTES,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 200,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 100,
    sqlite3.SQLITE_LIMIT_VDBE_OP: 200_000,
    sqlite3.SQLITE_LIMIT_FUNCTION_ARG: 100,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 200,
    sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER: 10_000,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 32,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}
"""SQLite's own limits on every connection that runs a caller's statement."""


def value_bytes(slow: int, matching: int) -> int:
    """How large a value may be in a statement that uses slow and matching functions so many times."""
    most = VALUE_BYTES if matching == 0 else max(_MATCHED_LEAST, VALUE_BYTES // matching)
    return most if slow == 0 else min(most, max(_SLOW_LEAST, int(_SLOW_BYTES / math.sqrt(slow))))
