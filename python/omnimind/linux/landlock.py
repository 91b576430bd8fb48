"""Landlock: what this process may open from now on, whoever it runs as; it can only get less.

A rule belongs to a folder as it is now, with all beneath it; what no rule names is refused with EACCES. No
privilege is needed. What the kernel does not know yet is left out and the rest still holds: `abi` says how much
there is (1: files, 3: truncate, 4: TCP, 6: signals and abstract sockets).
It binds this thread and those that it starts: call it while there is one thread.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
import struct
from collections.abc import Sequence

from omnimind.linux import process

_CREATE, _ADD, _RESTRICT = 444, 445, 446  # the same numbers on every architecture
_VERSION = 1
_PATH_BENEATH = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_MAKE_CHAR, _MAKE_BLOCK = 1 << 6, 1 << 11
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_FIRST = (1 << 13) - 1
_FOR_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_LATER = {2: _REFER, 3: _TRUNCATE, 5: _IOCTL_DEV}
_TCP_ABI, _TCP = 4, 0b11
_SCOPE_ABI, _SCOPES = 6, 0b11

_libc = ctypes.CDLL(None, use_errno=True)


def abi() -> int:
    """How much of Landlock this kernel has; 0 is none."""
    return max(0, int(_libc.syscall(_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint(_VERSION))))


def restrict(
    read: Sequence[str], write: Sequence[str], execute: Sequence[str] | None = None, *, tcp: bool = False
) -> bool:
    """From now on read and execute beneath `read`, do all but that beneath `write`, and nothing else.

    With `execute`, only these files may be executed; with `tcp`, TCP stays open.

    No TCP either, no signal to processes outside and no abstract socket of theirs, where the kernel knows that.
    A path that does not exist is passed over. False if there is no Landlock. Raises OSError.
    """
    version = abi()
    if version == 0:
        return False
    handled = _FIRST | sum(bit for since, bit in _LATER.items() if version >= since)
    may_write = handled & ~(_EXECUTE | _MAKE_CHAR | _MAKE_BLOCK | _IOCTL_DEV)
    attributes = struct.pack(
        "=QQQ",
        handled,
        _TCP if version >= _TCP_ABI and not tcp else 0,
        _SCOPES if version >= _SCOPE_ABI else 0,
    )
    size = 24 if version >= _SCOPE_ABI else 16 if version >= _TCP_ABI else 8
    ruleset = _checked(_libc.syscall(_CREATE, attributes, ctypes.c_size_t(size), ctypes.c_uint(0)))
    try:
        may_read = _READ_FILE | _READ_DIR | (_EXECUTE if execute is None else 0)
        for path in read:
            _allow(ruleset, path, may_read)
        for path in execute or ():
            _allow(ruleset, path, _EXECUTE | _READ_FILE)
        for path in write:
            _allow(ruleset, path, may_write)
        process.no_new_privileges()
        _checked(_libc.syscall(_RESTRICT, ctypes.c_int(ruleset), ctypes.c_uint(0)))
    finally:
        os.close(ruleset)
    return True


def _allow(ruleset: int, path: str, access: int) -> None:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
                access &= _FOR_FILES
            rule = struct.pack("=Qi", access, descriptor)
            _checked(
                _libc.syscall(
                    _ADD, ctypes.c_int(ruleset), ctypes.c_int(_PATH_BENEATH), rule, ctypes.c_uint(0)
                )
            )
        finally:
            os.close(descriptor)


def _checked(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return int(result)
