"""What this kernel, and whoever confines this process, offers: asked by trying, not by its version.

A container or a seccomp filter can hide what the release promises. Every probe leaves nothing behind.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from omnimind.linux import openat2

_SYS_LANDLOCK_CREATE_RULESET = 444  # the same number on every architecture
_LANDLOCK_VERSION = 1
_CLONE_NEWUSER = 0x10000000
_BTF = Path("/sys/kernel/btf/vmlinux")
_TRACEFS = (Path("/sys/kernel/tracing"), Path("/sys/kernel/debug/tracing"))


def has_pidfd() -> bool:
    """Signals that cannot reach a stranger (5.3)."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        return False
    return True


def has_openat2() -> bool:
    """Paths resolved beneath a folder by the kernel (5.6)."""
    return openat2.has_openat2()


def landlock_abi() -> int:
    """The version of Landlock's interface; 0 without it (5.13, and it must be switched on)."""
    libc = ctypes.CDLL(None, use_errno=True)
    found = libc.syscall(
        _SYS_LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_LANDLOCK_VERSION)
    )
    return max(0, int(found))


def has_seccomp_filter() -> bool:
    """Filters for system calls."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return "\nSeccomp_filters:" in status or Path("/proc/sys/kernel/seccomp/actions_avail").exists()


def has_user_namespaces() -> bool:
    """True if this user may make one; tried in a child that ends at once."""
    libc = ctypes.CDLL(None, use_errno=True)
    child = os.fork()
    if child == 0:
        os._exit(0 if libc.unshare(_CLONE_NEWUSER) == 0 else 1)
    return os.waitpid(child, 0)[1] == 0


def has_btf() -> bool:
    """The kernel's types, which eBPF programs need."""
    return _BTF.exists()


def tracefs() -> Path | None:
    """Where the kernel's trace points are; the folder is there also for those who may not read it."""
    for folder in _TRACEFS:
        try:
            if any(folder.iterdir()):
                return folder
        except PermissionError:
            return folder
        except OSError:
            continue
    return None
