"""The server's limits, each with the number that its message shows.

They follow from one fact: an answer is one JSON line of at most 16 MiB, and text can double in JSON.
"""

from __future__ import annotations

from typing import Final

READ_BYTES: Final = 4 * 1024 * 1024  # text in one answer, also of read_multiple_files together
MEDIA_BYTES: Final = 8 * 1024 * 1024
WRITE_BYTES: Final = 8 * 1024 * 1024
EDIT_BYTES: Final = 4 * 1024 * 1024
EDITS: Final = 1_000
FILES: Final = 100  # paths in one read_multiple_files
ENTRIES: Final = 10_000  # lines of one directory listing
TREE_ENTRIES: Final = 20_000
MATCHES: Final = 1_000  # of a search that names no limit
MOST_MATCHES: Final = 10_000
VISITED: Final = 200_000  # entries one search looks at
DEPTH: Final = 64
PATH_BYTES: Final = 4_096
PATTERN_CHARACTERS: Final = 1_024
PATTERNS: Final = 100
