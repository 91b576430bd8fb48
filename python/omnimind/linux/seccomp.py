"""seccomp: system calls that this process will never make again; they fail with EPERM.

A deny list and not an allow list: what an interpreter and its libraries need differs from release to release,
while what takes a process out of its bounds is known. The filter is a small program for the kernel; with every
decision made by the call's number alone (but one) the kernel caches the answers, so ordinary calls cost
nothing. Calls of another architecture's numbering are refused as a whole.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterable, Sequence

from omnimind.linux import process

_SECCOMP = {"x86_64": 317, "aarch64": 277}
_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32_BIT = 0x40000000
_SET_MODE_FILTER, _ALL_THREADS = 1, 1
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000

_LOAD, _EQUAL, _SET, _AT_LEAST, _RETURN = 0x20, 0x15, 0x45, 0x35, 0x06
_NUMBER_AT, _ARCH_AT, _FIRST_ARGUMENT_AT = 0, 4, 16
_AND = 0x54
_CLONE_THREAD = 0x00010000
_AF_UNIX, _SOCK_STREAM, _SOCK_SEQPACKET, _KIND_OF_SOCKET = 1, 1, 5, 0xF

# name: (x86_64, aarch64); None where the architecture has no such call
_CALLS: dict[str, tuple[int | None, int]] = {
    "acct": (163, 89), "add_key": (248, 217), "adjtimex": (159, 171), "bind": (49, 200), "bpf": (321, 280),
    "chroot": (161, 51), "clock_adjtime": (305, 266), "clock_settime": (227, 112), "connect": (42, 203),
    "delete_module": (176, 106), "execve": (59, 221), "execveat": (322, 281), "finit_module": (313, 273),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fsopen": (430, 430), "fspick": (433, 433),
    "init_module": (175, 105), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425), "kcmp": (312, 272), "kexec_file_load": (320, 294), "kexec_load": (246, 104),
    "keyctl": (250, 219), "mount": (165, 40), "mount_setattr": (442, 442), "move_mount": (429, 429),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "open_tree": (428, 428),
    "perf_event_open": (298, 241), "personality": (135, 92), "pidfd_getfd": (438, 438), "pivot_root": (155, 41),
    "process_madvise": (440, 440), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "ptrace": (101, 117), "quotactl": (179, 60), "reboot": (169, 142), "request_key": (249, 218),
    "setdomainname": (171, 162), "sethostname": (170, 161), "setns": (308, 268), "settimeofday": (164, 170),
    "socket": (41, 198), "swapoff": (168, 225), "swapon": (167, 224), "syslog": (103, 116), "umount2": (166, 39),
    "unshare": (272, 97), "userfaultfd": (323, 282),
}  # fmt: skip
_X86_ONLY = {"fork": 57, "ioperm": 173, "iopl": 172, "modify_ldt": 154, "vfork": 58}
_CLONE = {"x86_64": 56, "aarch64": 220}
_SOCKETPAIR = {"x86_64": 53, "aarch64": 199}
_CLONE3 = 435

NETWORK = frozenset({"bind", "connect", "socket"})
"""Calls of one who talks to others; a socket that was inherited or accepted needs none of them."""
PROCESSES = frozenset({"execve", "execveat", "fork", "vfork"})
"""Calls of one who starts processes."""


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def available() -> bool:
    """Whether filters can be made for this machine, and this kernel takes them."""
    machine = platform.machine()
    if machine not in _SECCOMP:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    # With no program to read, a kernel that knows filters says EFAULT.
    asked = libc.syscall(_SECCOMP[machine], ctypes.c_uint(_SET_MODE_FILTER), ctypes.c_uint(0), None)
    return asked != 0 and ctypes.get_errno() == errno.EFAULT


def deny(*, network: bool, processes: bool) -> bool:
    """Give up what no server of ours needs, and also the network or starting processes unless these are True.

    False where there are no filters for this machine. Raises OSError.
    """
    machine = platform.machine()
    if machine not in _SECCOMP:
        return False
    kept = (NETWORK if network else frozenset()) | (PROCESSES if processes else frozenset())
    install(machine, program(machine, kept, threads_only=not processes))
    return True


def install(machine: str, instructions: bytes) -> None:
    """Bind this process and what it starts to a filter, for good. Raises OSError."""
    process.no_new_privileges()
    libc = ctypes.CDLL(None, use_errno=True)
    wanted = _Program(len(instructions) // 8, instructions)
    number, mode, flags = _SECCOMP[machine], ctypes.c_uint(_SET_MODE_FILTER), ctypes.c_uint(_ALL_THREADS)
    if libc.syscall(number, mode, flags, ctypes.byref(wanted)) != 0:
        code = ctypes.get_errno()
        raise OSError(code or errno.EBUSY, os.strerror(code or errno.EBUSY))


def program(machine: str, kept: Iterable[str], *, threads_only: bool, more: bytes = b"") -> bytes:
    """The filter for a machine, as the kernel reads it; `more` are `rule`s that come first. Pure."""
    column = 0 if machine == "x86_64" else 1
    denied = {name: numbers[column] for name, numbers in _CALLS.items()}
    if machine == "x86_64":
        denied |= _X86_ONLY
    refuse = refusal()
    steps = [
        _step(_LOAD, _ARCH_AT),
        _step(_EQUAL, _AUDIT_ARCH[machine], 1, 0),
        refuse,
        _step(_LOAD, _NUMBER_AT),
    ]
    if machine == "x86_64":
        steps += [_step(_AT_LEAST, _X32_BIT, 0, 1), refuse]
    steps.append(more)
    for name, number in sorted(denied.items()):
        if name not in kept and number is not None:
            steps += [_step(_EQUAL, number, 0, 1), refuse]
    if "socket" not in kept:
        # A datagram can be sent to any address without a connect; a stream of a pair leads nowhere else.
        kinds = (_SOCK_STREAM, _SOCK_SEQPACKET)
        steps.append(only_if(_SOCKETPAIR[machine], argument(0), (_AF_UNIX,)))
        steps.append(only_if(_SOCKETPAIR[machine], argument(1) + _step(_AND, _KIND_OF_SOCKET), kinds))
    if threads_only:
        # The flags of clone3 are out of reach; without it libc uses clone.
        steps += [_step(_EQUAL, _CLONE3, 0, 1), _step(_RETURN, _ERRNO | errno.ENOSYS)]
        steps += [_step(_EQUAL, _CLONE[machine], 0, 3), _step(_LOAD, _FIRST_ARGUMENT_AT)]
        steps += [_step(_SET, _CLONE_THREAD, 1, 0), refuse]
    steps.append(_step(_RETURN, _ALLOW))
    return b"".join(steps)


def refusal(code: int = errno.EPERM) -> bytes:
    """The decision that a call fails with `code`; with 0 it says that it worked and does nothing."""
    return _step(_RETURN, _ERRNO | code)


def rule(number: int | None, code: int = errno.EPERM) -> bytes:
    """Refuse this call, or nothing where there is no such call. With the number in the accumulator before and after."""
    return b"" if number is None else _step(_EQUAL, number, 0, 1) + refusal(code)


def at_least(number: int, code: int) -> bytes:
    """Refuse every call from this number on."""
    return _step(_AT_LEAST, number, 0, 1) + refusal(code)


def argument(index: int) -> bytes:
    """Take the lower half of an argument into the accumulator."""
    return _step(_LOAD, _FIRST_ARGUMENT_AT + 8 * index)


def only_if(number: int, value: bytes, allowed: Sequence[int]) -> bytes:
    """Refuse this call unless `value` (steps that compute it) is one of `allowed`."""
    tests = [_step(_EQUAL, one, len(allowed) - at, 0) for at, one in enumerate(allowed)]
    return _when(number, value + b"".join(tests) + refusal())


def unless(number: int, value: bytes, denied: Sequence[int]) -> bytes:
    """Refuse this call if `value` is one of `denied`."""
    tests = [
        _step(_EQUAL, one, len(denied) - 1 - at, int(at == len(denied) - 1)) for at, one in enumerate(denied)
    ]
    return _when(number, value + b"".join(tests) + refusal())


def _when(number: int, steps: bytes) -> bytes:
    return _step(_EQUAL, number, 0, len(steps) // 8 + 1) + steps + _step(_LOAD, _NUMBER_AT)


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
