"""prctl: who adopts orphans, who dies with whom, what others may read of a process.

`die_with_parent` must be called in the child itself. The kernel sends the signal when the *thread* that
created the child ends, so processes are only ever started from a thread that lives as long as the process.
The parent may die between fork and prctl; the second look at `getppid` closes that gap.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

if sys.platform != "linux":
    raise ImportError("this system has no prctl: OmniMind's orchestrator runs on Linux only")

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)
_libc.prctl.argtypes = (ctypes.c_int, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong)
_libc.prctl.restype = ctypes.c_int


def _prctl(option: int, argument: int) -> None:
    if _libc.prctl(option, argument, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def become_subreaper(wanted: bool = True) -> None:
    """Orphaned descendants become children of this process instead of init's; or no longer do."""
    _prctl(_PR_SET_CHILD_SUBREAPER, int(wanted))


def die_with_parent(parent: int, with_signal: int = signal.SIGKILL) -> bool:
    """Have the kernel send `with_signal` when the parent ends; False if `parent` is gone already."""
    _prctl(_PR_SET_PDEATHSIG, with_signal)
    return os.getppid() == parent


def hide_memory(wanted: bool = True) -> None:
    """No core dump, no ptrace and no `/proc/<pid>/environ` for other processes of this user; or all that again."""
    _prctl(_PR_SET_DUMPABLE, int(not wanted))


def no_new_privileges() -> None:
    """No program that this process executes gets more rights than it has, set-uid or not."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def drop_capabilities() -> None:
    """Give up what root may do beyond its own files; of root this thread is left with the name. Raises OSError.

    Beside writing to the files of others that is a look into other processes: since Linux 6.16 CAP_PERFMON opens
    `/proc/<pid>/environ` also to one whom Landlock has fenced.
    """
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    nothing = (ctypes.c_uint32 * 6)()
    if _libc.capset(header, nothing) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def set_name(name: str) -> None:
    """The name that `ps` and `top` show; the kernel keeps 15 bytes."""
    buffer = ctypes.create_string_buffer(name.encode()[:15])
    _prctl(_PR_SET_NAME, ctypes.addressof(buffer))


def has_terminal() -> bool:
    """True if this session has a controlling terminal."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC | os.O_NONBLOCK))
    except OSError:
        return False
    return True
