"""The filter of system calls for code of a stranger: what `seccomp` denies a server, and everything else that
reaches beyond the one process.

It closes what Landlock leaves open: Landlock says which files may be opened, but not whose mode, owner, times or
attributes may be changed, which socket a datagram goes to, which signal an owner of a descriptor sends, or what is
watched. So signals go only to this process itself (its number is in the filter), and nothing can be made that
outlives it or is counted for nobody (shared memory, queues, memfds). Changes of mode, owner and times are accepted
and do nothing, because ordinary libraries make them in passing and a refusal would end them. A call that is newer
than this table does not exist.
"""

from __future__ import annotations

import errno
import functools
import struct
from typing import Final

from omnimind.linux import seccomp

# name: (x86_64, aarch64); None where the architecture has no such call
_REFUSED: dict[str, tuple[int | None, int | None]] = {
    "accept": (43, 202), "accept4": (288, 242), "capset": (126, 91), "fanotify_init": (300, 262),
    "fanotify_mark": (301, 263), "file_setattr": (469, 469), "fremovexattr": (199, 16), "fsetxattr": (190, 7),
    "get_robust_list": (274, 100), "inotify_add_watch": (254, 27), "inotify_init": (253, None),
    "inotify_init1": (294, 26), "ioprio_set": (251, 30), "listen": (50, 201), "listmount": (458, 458),
    "lremovexattr": (198, 15), "lsetxattr": (189, 6), "memfd_create": (319, 279), "memfd_secret": (447, 447),
    "migrate_pages": (256, 238), "move_pages": (279, 239), "mq_open": (240, 180), "mq_unlink": (241, 181),
    "msgctl": (71, 187), "msgget": (68, 186), "msgrcv": (70, 188), "msgsnd": (69, 189),
    "open_tree_attr": (467, 467), "pidfd_open": (434, 434), "pidfd_send_signal": (424, 424),
    "process_mrelease": (448, 448), "quotactl_fd": (443, 443), "removexattr": (197, 14),
    "removexattrat": (466, 466), "rt_sigqueueinfo": (129, 138), "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274), "sched_setparam": (142, 118), "sched_setscheduler": (144, 119),
    "semctl": (66, 191), "semget": (64, 190), "semop": (65, 193), "semtimedop": (220, 192), "setfsgid": (123, 152),
    "setfsuid": (122, 151), "setgid": (106, 144), "setgroups": (116, 159), "setpriority": (141, 140),
    "setregid": (114, 143), "setresgid": (119, 149), "setresuid": (117, 147), "setreuid": (113, 145),
    "setuid": (105, 146), "setxattr": (188, 5), "setxattrat": (463, 463), "shmat": (30, 196), "shmctl": (31, 195),
    "shmget": (29, 194), "statmount": (457, 457), "sync": (162, 81), "syncfs": (306, 267), "tkill": (200, 130),
}  # fmt: skip
_IGNORED: dict[str, tuple[int | None, int | None]] = {
    "chmod": (90, None), "chown": (92, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
    "fchown": (93, 55), "fchownat": (260, 54), "futimesat": (261, None), "lchown": (94, None), "utime": (132, None),
    "utimensat": (280, 88), "utimes": (235, None),
}  # fmt: skip
_FALLOCATE = (285, 47)
_SIGNALS = {"kill": (62, 129), "tgkill": (234, 131), "rt_tgsigqueueinfo": (297, 240)}
_PRLIMIT, _PRCTL, _FCNTL, _IOCTL = (302, 261), (157, 167), (72, 25), (16, 29)
_FIRST_UNKNOWN = 470

_OF_PRCTL = (1, 4, 8, 28, 35, 36, 47, 0x59616D61)
"""PDEATHSIG, DUMPABLE, KEEPCAPS, SECUREBITS, MM, CHILD_SUBREAPER, CAP_AMBIENT, PTRACER."""
_OF_FCNTL = (8, 10, 15, 1024, 1026, 1031)
"""SETOWN, SETSIG, SETOWN_EX: signals to others; SETLEASE, NOTIFY: others' files; SETPIPE_SZ: kernel memory."""
_OF_IOCTL = (0x8901, 0x8902, 0x5412, 0x541C, 0x40086602, 0x401C5820)
"""FIOSETOWN, SIOCSPGRP: signals to others; TIOCSTI, TIOCLINUX: terminals; FS_IOC_SETFLAGS, FSSETXATTR."""


_PLACE: Final = 0x7E57AB1E
"""Stands for the process's own number while the filter is made; no process has it."""


def program(machine: str, pid: int, *, execute: bool = False, network: bool = False) -> bytes:
    """The filter for the process `pid`; with `execute` it may replace itself by a program that Landlock allows."""
    made = _template(machine, execute, network)
    number = struct.pack("=I", pid)
    parts = bytearray(made[0])
    for at in made[1]:
        parts[at : at + 4] = number
    return bytes(parts)


@functools.cache
def _template(machine: str, execute: bool, network: bool) -> tuple[bytes, tuple[int, ...]]:
    """The filter with places for the number, and where they are: made once, before the forks."""
    column = 0 if machine == "x86_64" else 1
    steps = [seccomp.at_least(_FIRST_UNKNOWN, errno.ENOSYS)]
    steps += [seccomp.rule(row[column]) for row in _REFUSED.values()]
    steps += [seccomp.rule(row[column], 0) for row in _IGNORED.values()]
    steps.append(seccomp.rule(_FALLOCATE[column], errno.EOPNOTSUPP))
    steps += [seccomp.only_if(row[column], seccomp.argument(0), (_PLACE,)) for row in _SIGNALS.values()]
    steps.append(seccomp.only_if(_PRLIMIT[column], seccomp.argument(0), (0, _PLACE)))
    for row, index, values in ((_PRCTL, 0, _OF_PRCTL), (_FCNTL, 1, _OF_FCNTL), (_IOCTL, 1, _OF_IOCTL)):
        steps.append(seccomp.unless(row[column], seccomp.argument(index), values))
    kept = {"execve"} if execute else set[str]()
    kept |= seccomp.NETWORK if network else set()
    made = seccomp.program(machine, kept, threads_only=True, more=b"".join(steps))
    place = struct.pack("=I", _PLACE)
    return made, tuple(at for at in range(4, len(made), 8) if made[at : at + 4] == place)
