"""What a child of the jail gives up before it touches anything of a stranger. It cannot be taken back.

In order: a session of its own, every descriptor but the job's, another user's number where we are root, limits,
Landlock, the filter of system calls. Anything that fails ends the child: there is no job with half a jail.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import platform
import resource
import struct
from collections.abc import Mapping, Sequence
from typing import Any, Final

from omnimind.linux import jailfilter, landlock, process, seccomp

_FIRST_USER: Final = 0x6F6D0000
"""Users that no system gives out: each folder of a job gets one where we are root, so no two jobs are the same user."""
_USERS: Final = 0x10000
_NOBODY: Final = 65534
_KEEPCAPS, _CAP_AMBIENT, _AMBIENT_RAISE, _DUMPABLE = 8, 47, 2, 4
_CAPABILITY_VERSION = 0x20080522
_DAC_OVERRIDE, _DAC_READ_SEARCH, _FOWNER = 1, 2, 3

_libc = ctypes.CDLL(None, use_errno=True)

DEVICES: Final = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")
LAST_WORDS: Final = 32 * 1024 * 1024
"""Memory beyond the limit, for telling how it was met."""
RESOLVER: Final = (
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/host.conf",
    "/etc/ssl",
    "/run/systemd/resolve",
)
_LOADERS = (
    "/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1", "/lib/ld-musl-x86_64.so.1",
    "/lib/ld-musl-aarch64.so.1",
)  # fmt: skip


def why_not() -> str | None:
    """Why this machine has no jail, or None."""
    if landlock.abi() == 0:
        return "the kernel has no Landlock (5.13 and later have it; `lsm=` at boot must name it)"
    if not seccomp.available():
        return "system calls cannot be filtered (seccomp is switched off, or the machine is neither x86_64 nor aarch64)"
    return None


def keep_descriptors(wanted: Sequence[int]) -> None:
    """Put these descriptors at 0, 1, 2, … and close all others."""
    above = max(*wanted, len(wanted)) + 1
    spare = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, above) for descriptor in wanted]
    for at, descriptor in enumerate(spare):
        os.dup2(descriptor, at, inheritable=at <= 2)
    os.closerange(len(wanted), os.sysconf("SC_OPEN_MAX"))


def confine(job: Mapping[str, Any], zygote: int, libraries: Sequence[str], tasks_of_user: int) -> None:
    """Give everything up for this job, and go to its folder. Raises OSError."""
    folder = str(job["folder"])
    write = [folder, *job["write"]]
    own_user = become_nobody(int(job["number"]), folder, keep_owner=bool(job["write"]))
    # Only now: the kernel forgets this signal when a process becomes another user.
    if not process.die_with_parent(zygote):
        raise OSError("the zygote is gone")
    # There is no secret in it, and the zygote has to see how much it writes. Other jobs are fenced off from it anyhow.
    process.hide_memory(False)
    os.chdir(folder)
    limit(job["limits"], 0 if own_user else tasks_of_user)
    program = job.get("program")
    execute = [program, *_LOADERS] if program else []
    network = bool(job.get("network"))
    read = [*libraries, *job["read"], *DEVICES, *(RESOLVER if network else ())]
    if not landlock.restrict(read, [*write, "/dev/null"], execute, tcp=network):
        raise OSError("no Landlock")
    if job["kind"] == "fast":
        seccomp.install(
            platform.machine(), seccomp.program(platform.machine(), seccomp.PROCESSES, threads_only=False)
        )
    else:
        filter_ = jailfilter.program(platform.machine(), os.getpid(), execute=bool(program), network=network)
        seccomp.install(platform.machine(), filter_)


def limit(limits: Mapping[str, Any], tasks_of_user: int) -> None:
    """Set what one process may use; nobody can raise it again."""
    wanted = {
        resource.RLIMIT_AS: int(limits["memory_bytes"]),
        resource.RLIMIT_FSIZE: max(1, int(limits["disk_bytes"]) // 4),
        resource.RLIMIT_NOFILE: int(limits["open_files"]),
        resource.RLIMIT_NPROC: tasks_of_user + int(limits["threads"]),
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_MSGQUEUE: 0,
    }
    if limits.get("cpu_s"):
        wanted[resource.RLIMIT_CPU] = int(limits["cpu_s"])
    for kind, value in wanted.items():
        _, most = resource.getrlimit(kind)
        least = value if most == resource.RLIM_INFINITY else min(value, most)
        spare = LAST_WORDS if kind == resource.RLIMIT_AS else 0
        resource.setrlimit(kind, (least, least + spare if most == resource.RLIM_INFINITY else least))


def become_nobody(number: int, folder: str, *, keep_owner: bool) -> bool:
    """Where we are root: become a user that owns nothing but the folder. True if that user is this job's alone.

    The right to read and to pass folders whoever owns them stays, because the interpreter may lie where only root
    may go: what is read is Landlock's business. The rights of owners stay if the job may write to others' folders.
    """
    if os.geteuid() != 0:
        return False
    kept = [_DAC_READ_SEARCH, *((_DAC_OVERRIDE, _FOWNER) if keep_owner else ())]
    owner = os.stat(folder).st_uid
    own = owner if 0 <= owner - _FIRST_USER < _USERS else _FIRST_USER + number % _USERS
    for user in (own, _NOBODY):
        try:
            os.chown(folder, user, user)
            _checked(_libc.prctl(_KEEPCAPS, 1, 0, 0, 0))
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
        except OSError:
            continue
        _keep_capabilities(kept)
        return user != _NOBODY
    raise OSError("root may not become another user here")


def _keep_capabilities(kept: Sequence[int]) -> None:
    bits = sum(1 << one for one in kept)
    header = struct.pack("=Ii", _CAPABILITY_VERSION, 0)
    _checked(_libc.capset(header, struct.pack("=IIIIII", bits, bits, bits, 0, 0, 0)))
    for one in kept:
        _checked(_libc.prctl(_CAP_AMBIENT, _AMBIENT_RAISE, one, 0, 0))


def _checked(result: int) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
