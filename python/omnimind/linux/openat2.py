"""Opening files beneath a directory, decided by the kernel and not by comparing strings.

`openat2(RESOLVE_BENEATH)` resolves a path in one step and refuses it if any component, link or `..`
would leave the directory, also while somebody swaps links during the call; checking a resolved path and
opening it afterwards cannot promise that. Links into `/proc` (magic links) are refused as well.
Where the kernel has no `openat2` (before 5.6, or a seccomp filter hides it) the path is walked component
by component with `O_NOFOLLOW`: equally tight, but every link is refused there, also harmless ones.

Two more calls that Python 3.11 does not offer live here, because they serve the same callers:
`renameat2` (move without replacing, exchange) and the birth time of a file.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import stat
import sys

_SYS_OPENAT2 = 437  # the same number on every architecture
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_BENEATH = 0x08
_RACE_RETRIES = 64  # EAGAIN: a rename elsewhere made the kernel unsure about a `..`

RENAME_NOREPLACE = 1
RENAME_EXCHANGE = 2

_AT_FDCWD = -100
_AT_EMPTY_PATH = 0x1000
_STATX_BTIME = 0x800
_STATX_SIZE_BYTES = 256
_STATX_BTIME_OFFSET = 80

_LIBC = ctypes.CDLL(None, use_errno=True)


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def open_beneath(directory: int, path: str, flags: int, mode: int = 0) -> int:
    """Open `path` relative to the descriptor `directory`; never anything outside of it.

    Raises OSError: EXDEV where the path would leave the directory, else what open(2) says. The descriptor
    is close-on-exec. `mode` counts only with O_CREAT or O_TMPFILE.
    """
    relative = path or "."
    if "\0" in relative:
        raise OSError(errno.EINVAL, "a path cannot contain NUL", path)
    if relative.startswith("/"):
        raise OSError(errno.EXDEV, "an absolute path is not beneath the directory", path)
    if has_openat2():
        return _openat2(directory, relative, flags | os.O_CLOEXEC, mode)
    return walk_beneath(directory, relative, flags | os.O_CLOEXEC, mode)


@functools.cache
def has_openat2() -> bool:
    """Whether this kernel, as this process sees it, answers openat2."""
    try:
        os.close(_openat2(_AT_FDCWD, ".", os.O_PATH | os.O_CLOEXEC, 0))
    except OSError as refusal:
        return refusal.errno not in (errno.ENOSYS, errno.EPERM)
    return True


def _openat2(directory: int, path: str, flags: int, mode: int) -> int:
    # Outside O_CREAT and O_TMPFILE the kernel insists on mode 0.
    kept_mode = mode if flags & (os.O_CREAT | (os.O_TMPFILE & ~os.O_DIRECTORY)) else 0
    how = _OpenHow(flags, kept_mode, _RESOLVE_BENEATH | _RESOLVE_NO_MAGICLINKS)
    name = os.fsencode(path)
    for _ in range(_RACE_RETRIES):
        descriptor = _LIBC.syscall(
            ctypes.c_long(_SYS_OPENAT2),
            ctypes.c_int(directory),
            ctypes.c_char_p(name),
            ctypes.byref(how),
            ctypes.c_size_t(ctypes.sizeof(how)),
        )
        if descriptor >= 0:
            return int(descriptor)
        code = ctypes.get_errno()
        if code not in (errno.EAGAIN, errno.EINTR):
            raise OSError(code, os.strerror(code), path)
    raise OSError(errno.EAGAIN, "the path kept changing while it was resolved", path)


def walk_beneath(directory: int, path: str, flags: int, mode: int = 0) -> int:
    """`open_beneath` without openat2: one component at a time, following no link at all."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise OSError(errno.EXDEV, "'..' is not resolved without openat2", path)
    if not parts:
        return os.open(".", flags | os.O_CLOEXEC, mode, dir_fd=directory)
    here = os.dup(directory)
    try:
        for part in parts[:-1]:
            below = os.open(part, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
            os.close(here)
            here = below
        opened = os.open(parts[-1], flags | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=here)
    finally:
        os.close(here)
    if stat.S_ISLNK(os.fstat(opened).st_mode):  # O_PATH|O_NOFOLLOW opens the link itself
        os.close(opened)
        raise OSError(errno.ELOOP, "links are not followed without openat2", path)
    return opened


def rename(
    source_directory: int, source: str, target_directory: int, target: str, flags: int = RENAME_NOREPLACE
) -> None:
    """`renameat2`: by default it never replaces what is already there (EEXIST)."""
    failed = _LIBC.renameat2(
        ctypes.c_int(source_directory),
        ctypes.c_char_p(os.fsencode(source)),
        ctypes.c_int(target_directory),
        ctypes.c_char_p(os.fsencode(target)),
        ctypes.c_uint(flags),
    )
    if failed:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), source, None, target)


def birth_time_ns(descriptor: int) -> int | None:
    """When the open file was created, in nanoseconds since 1970; None where the file system does not say."""
    buffer = ctypes.create_string_buffer(_STATX_SIZE_BYTES)
    if _LIBC.statx(
        ctypes.c_int(descriptor),
        ctypes.c_char_p(b""),
        ctypes.c_int(_AT_EMPTY_PATH),
        ctypes.c_uint(_STATX_BTIME),
        buffer,
    ):
        return None
    if not int.from_bytes(buffer.raw[0:4], sys.byteorder) & _STATX_BTIME:
        return None
    at = _STATX_BTIME_OFFSET
    seconds = int.from_bytes(buffer.raw[at : at + 8], sys.byteorder, signed=True)
    return seconds * 1_000_000_000 + int.from_bytes(buffer.raw[at + 8 : at + 12], sys.byteorder)
