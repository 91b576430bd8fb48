"""Which file systems move a file's times with every change, at once, whoever makes it.

On these a file whose inode, size, mtime and ctime are what they were has the bytes it had. Left out is what another
machine or a program stands behind (NFS, SMB, 9p, FUSE: attributes may be remembered for a minute) and what has no
bytes of its own (proc, sysfs). An unknown one is not among them.
"""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Final

if sys.platform != "linux":
    raise ImportError("file systems are told apart by their numbers, which only Linux has")

_EXT: Final = 0xEF53
_XFS: Final = 0x58465342
_BTRFS: Final = 0x9123683E
_TMPFS: Final = 0x01021994
_OVERLAY: Final = 0x794C7630
_F2FS: Final = 0xF2F52010
_ZFS: Final = 0x2FC12FC1
_BCACHEFS: Final = 0xCA451A4E
_PUNCTUAL: Final = frozenset({_EXT, _XFS, _BTRFS, _TMPFS, _OVERLAY, _F2FS, _ZFS, _BCACHEFS})

_STATFS_BYTES: Final = (
    256  # more than the structure has anywhere; its first word is the number of the file system
)

_libc = ctypes.CDLL(None, use_errno=True)
_libc.fstatfs.argtypes = (ctypes.c_int, ctypes.c_void_p)
_libc.fstatfs.restype = ctypes.c_int


def has_punctual_times(descriptor: int) -> bool:
    """Whether the file of this descriptor is on such a file system. Raises OSError."""
    buffer = (ctypes.c_ulong * (_STATFS_BYTES // ctypes.sizeof(ctypes.c_ulong)))()
    if _libc.fstatfs(descriptor, buffer) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return buffer[0] & 0xFFFFFFFF in _PUNCTUAL
