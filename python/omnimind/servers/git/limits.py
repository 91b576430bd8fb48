"""The numbers of the git server, in one place. The error that meets one names it."""

from __future__ import annotations

from typing import Final

TEXT_CHARS: Final = 200_000
"""Characters of one answer unless the caller says otherwise."""
MOST_TEXT_CHARS: Final = 2_000_000

BLOB_BYTES: Final = 32 * 1024 * 1024
"""The largest file that is read out of a repository."""
OBJECT_BYTES: Final = 512 * 1024 * 1024
"""The largest loose object that is read at all."""
CONFIG_BYTES: Final = 1024 * 1024
INCLUDE_DEPTH: Final = 10
ALTERNATE_DEPTH: Final = 5
POINTER_BYTES: Final = 64 * 1024
"""A `.git` file, a commondir or a list of alternates."""

REVISION_CHARS: Final = 1_000
NAME_CHARS: Final = 200
MESSAGE_CHARS: Final = 1_000_000
FILES: Final = 10_000
"""Paths in one call of git_add."""
CONTEXT_LINES: Final = 100_000

LOG_COMMITS: Final = 5_000
"""Commits in one answer of a history tool."""
WALK_COMMITS: Final = 200_000
"""Commits that one call looks at."""
BLAME_LINES: Final = 5_000
BLAME_BYTES: Final = 4 * 1024 * 1024
RANGE_COMMITS: Final = 200
"""Commits on either side of a range diff."""
LIST: Final = 1_000
"""Entries of a list in one answer."""
FIND_DEPTH: Final = 4
FIND_FOLDERS: Final = 20_000
