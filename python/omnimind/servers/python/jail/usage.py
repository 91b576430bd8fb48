"""How much the files beneath a folder take, counted without following anything out of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

ENTRIES: Final = 10_000
"""More files than this are as much too much as too many bytes."""
_BLOCK: Final = 512


def over(folder: Path, most_bytes: int) -> bool:
    """Whether the files beneath take more; stops counting as soon as that is clear."""
    used, entries = 0, 0
    waiting = [str(folder)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as listing:
                for entry in listing:
                    entries += 1
                    try:
                        used += entry.stat(follow_symlinks=False).st_blocks * _BLOCK
                    except FileNotFoundError:
                        continue
                    if used > most_bytes or entries > ENTRIES:
                        return True
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue
    return False
