"""Which files any Python program must be able to read: the interpreter, what it imports from, what libc reads."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_SYSTEM: Final = (
    "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib", "/usr/share/zoneinfo", "/usr/share/fonts",
    "/usr/share/mime", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/etc/localtime", "/etc/timezone",
    "/etc/mime.types", "/etc/fonts",
)  # fmt: skip


def libraries() -> list[str]:
    """Real paths, none of them beneath another."""
    named = [
        *_SYSTEM,
        sys.prefix,
        sys.base_prefix,
        sys.exec_prefix,
        *sysconfig.get_paths().values(),
        *sys.path,
    ]
    named.append(str(Path(__file__).parents[3]))
    return outermost(path for path in named if os.path.isabs(path) and os.path.exists(path))


def outermost(paths: Iterable[str]) -> list[str]:
    """These paths, links resolved, without those that lie beneath another one."""
    found: list[str] = []
    for path in sorted({os.path.realpath(path) for path in paths}):
        if not any(beneath(path, outer) for outer in found):
            found.append(path)
    return found


def beneath(path: str, folder: str) -> bool:
    """Whether a real path is a folder or lies in it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")
