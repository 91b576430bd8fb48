"""Unix socket addresses of any length.

`sockaddr_un` holds 108 bytes and state folders can be deeper. A longer path is reached through a descriptor
of its folder: `/proc/self/fd/<dirfd>/<name>` names the same socket within this process.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

_ROOM = 107


@contextlib.contextmanager
def address(path: str) -> Iterator[str]:
    """An address for bind or connect that means `path`; valid inside the block."""
    if len(os.fsencode(path)) <= _ROOM:
        yield path
        return
    folder, name = os.path.split(path)
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)
