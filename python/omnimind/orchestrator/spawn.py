"""Starting a program so that it cannot outlive us: PDEATHSIG, its own session, no descriptor but its own.

Three doors. `spawn_command` runs a stranger's program (a stdio server): fork, PDEATHSIG and a second look at
the parent, then exec; it sees pipes on 0, 1 and 2 and a reduced environment. `spawn_module` runs a module of
our own (`python -m …`), which sets PDEATHSIG itself as its first act; it is cheaper and may inherit named
descriptors. `spawn_tied_module` is the same for a module that does not. Both must be called from the
orchestrator's only thread, because PDEATHSIG follows the thread.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from omnimind.linux import process, seqpacket
from omnimind.orchestrator import resources
from omnimind.orchestrator.guard import import_flags
from omnimind.orchestrator.resources import NO_ROOM, Room

KEPT_VARIABLES = ("HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER")
"""What a server gets of our environment; everything else must be named in its `env`."""

_OWN_VARIABLES = (
    *KEPT_VARIABLES,
    "LANG",
    "LC_ALL",
    "OMNIMIND_INSTANCE",
    "PYTHONPATH",
    "TMPDIR",
    "VIRTUAL_ENV",
)
"""What our own helper processes get."""


class CommandMissing(Exception):
    """There is no such program."""


@dataclass(frozen=True, slots=True)
class Spawned:
    """A started command: its pid and our ends of its pipes."""

    pid: int
    stdin: int
    stdout: int
    stderr: int


def reduced(environ: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """The environment of a server."""
    return {name: environ[name] for name in KEPT_VARIABLES if name in environ} | dict(more)


def spawn_command(
    command: str,
    args: Sequence[str],
    env: Mapping[str, str],
    *,
    cwd: str | None = None,
    user: str | None = None,
    room: Room = NO_ROOM,
) -> Spawned:
    """Start a stranger's program. Raises CommandMissing, or OSError if the system refuses."""
    path = shutil.which(command, path=env.get("PATH"))
    if path is None:
        raise CommandMissing(command)
    account = pwd.getpwnam(user) if user else None
    theirs_in, stdin = os.pipe()
    stdout, theirs_out = os.pipe()
    stderr, theirs_err = os.pipe()
    ends = (stdin, stdout, stderr)
    try:
        pid = _spawn_tied(
            [path, *args],
            env,
            (theirs_in, theirs_out, theirs_err),
            cwd=cwd,
            uid=account.pw_uid if account else None,
            gid=account.pw_gid if account else None,
            room=room,
        )
    except BaseException:
        seqpacket.close_all(ends)
        raise
    finally:
        seqpacket.close_all((theirs_in, theirs_out, theirs_err))
    return Spawned(pid, *ends)


def spawn_tied_module(
    module: str,
    args: Sequence[str],
    *,
    inherit: Sequence[int],
    output: int,
    environ: Mapping[str, str],
    env: Mapping[str, str],
) -> int:
    """Start a module that does not set PDEATHSIG itself, tied to us all the same; its pid."""
    env = {name: environ[name] for name in _OWN_VARIABLES if name in environ} | dict(env)
    command = [sys.executable, *import_flags(), "-m", module, *args]
    return _spawn_tied(command, env, (subprocess.DEVNULL, output, output), inherit=inherit)


def _spawn_tied(
    command: Sequence[str],
    env: Mapping[str, str],
    streams: tuple[int, int, int],
    *,
    inherit: Sequence[int] = (),
    cwd: str | None = None,
    uid: int | None = None,
    gid: int | None = None,
    room: Room = NO_ROOM,
) -> int:
    parent = os.getpid()
    door = room.door()

    def in_child() -> None:
        # By now it is the other user; the door was opened before and still counts as ours.
        resources.enter(door, room.limits)
        if not process.die_with_parent(parent):
            os._exit(0)

    try:
        return _popen(command, env, streams, inherit, cwd, uid, gid, in_child)
    finally:
        if door is not None:
            os.close(door)


def _popen(
    command: Sequence[str],
    env: Mapping[str, str],
    streams: tuple[int, int, int],
    inherit: Sequence[int],
    cwd: str | None,
    uid: int | None,
    gid: int | None,
    in_child: Callable[[], None],
) -> int:
    started = subprocess.Popen(
        command,
        stdin=streams[0],
        stdout=streams[1],
        stderr=streams[2],
        env=dict(env),
        cwd=cwd,
        user=uid,
        group=gid,
        extra_groups=None if uid is None else [],
        pass_fds=inherit,
        start_new_session=True,
        preexec_fn=in_child,  # safe: one thread only, see the module's rule
    )
    started.returncode = 0  # `processes.Family` reaps it; Popen must not try
    return started.pid


def spawn_module(
    module: str,
    args: Sequence[str],
    *,
    inherit: Sequence[int],
    output: int,
    environ: Mapping[str, str],
    also: str | None = None,
) -> int:
    """Start a module of our own with these descriptors kept open under their numbers; its pid.

    It gets what our helpers get of `environ`, and what begins with `also`.
    """
    actions: list[tuple[int, int, str, int, int] | tuple[int, int, int]] = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, output, 1),
        (os.POSIX_SPAWN_DUP2, output, 2),
    ]
    # dup2 onto itself clears close-on-exec in the child alone, so nothing of ours is ever inheritable here.
    actions += [(os.POSIX_SPAWN_DUP2, descriptor, descriptor) for descriptor in inherit]
    return os.posix_spawn(
        sys.executable,
        [sys.executable, *import_flags(), "-m", module, *args],
        {
            name: environ[name]
            for name in environ
            if name in _OWN_VARIABLES or (also and name.startswith(also))
        },
        file_actions=actions,
        setsid=True,
        setsigdef=[signal.SIGPIPE],
    )
