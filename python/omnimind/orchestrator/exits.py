"""Why a start or a process failed, in words an operator can act on.

Pure but for one look-up, which is an argument: an exit status and the last lines of its own output go in, a
`Cause` comes out. What its last lines say weighs more than the number, the later line more than the earlier.
`hopeless` says that starting it again at once cannot help. The patterns stand in `lastwords`.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from omnimind.orchestrator import holders, lastwords
from omnimind.orchestrator.lastwords import Kind

EX_CONFIG = 78
"""sysexits.h: a configuration error."""
_USAGE = 2
_NOT_EXECUTABLE = 126
_NOT_FOUND = 127
_SHELL_SIGNAL = 128
"""A shell reports its child's signal as 128 and its number."""

PortHolder = Callable[[int], holders.Holder | None]
SocketHolder = Callable[[str], holders.Holder | None]


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a start or a process failed, what to do about it, and which kind of trouble it is."""

    reason: str
    hopeless: bool = False
    fix: str | None = None
    kind: Kind = Kind.OTHER

    def __str__(self) -> str:
        return f"{self.reason}; {self.fix}" if self.fix else self.reason


def missing_command(command: str) -> Cause:
    """There is no such program."""
    return Cause(f"command not found: {command}", True, "install it or give its full path", Kind.COMMAND)


def refused(fault: Exception, what: str = "it could not be started") -> Cause:
    """The system would not start it: trying again at once helps only where something may run out."""
    if isinstance(fault, OSError):
        if fault.errno in (errno.EACCES, errno.EPERM):
            where = f" ({fault.filename})" if fault.filename else ""
            fix = "make the file executable and its folders readable for the user of the fleet"
            return Cause(f"{what}: permission denied{where}", True, fix, Kind.PERMISSION)
        if fault.errno in (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE):
            return Cause(f"{what}: {fault.strerror}", False, _MORE_ROOM, Kind.LIMIT)
        if fault.errno == errno.ENOEXEC:
            fix = "begin the script with a line such as #!/bin/sh, or name its interpreter as the command"
            return Cause(f"{what}: it is not a program", True, fix, Kind.COMMAND)
    return Cause(f"{what}: {fault}", True, "correct the entry's command, cwd or user", Kind.CONFIG)


def no_process(fault: OSError) -> Cause:
    """The system has no process to give now."""
    return Cause(f"the system refused a process: {fault.strerror}", False, _MORE_ROOM, Kind.LIMIT)


def too_slow(start_timeout_s: float) -> Cause:
    """It did not answer in time after its start."""
    fix = "see its log; if it needs longer, raise orchestrator.start_timeout_ms"
    return Cause(f"did not become ready within {start_timeout_s:g} s", False, fix, Kind.SLOW)


def not_ready(why: str, *, silent: bool) -> Cause:
    """It was asked after its start, and kept silent or answered no MCP."""
    fix = "its command must start a server that speaks MCP over stdio, and nothing else on stdout"
    return Cause(why, False, fix, Kind.SLOW if silent else Kind.PROTOCOL)


def no_answer(why: str) -> Cause:
    """It was asked while it ran, and did not answer."""
    return Cause(why, False, "see its log", Kind.HANG)


def hangs(silent_s: float) -> Cause:
    """Its heartbeat stopped."""
    fix = "its threads' stacks are in its log"
    return Cause(f"hangs: no heartbeat for {silent_s:.1f} s", False, fix, Kind.HANG)


def stopped() -> Cause:
    """Somebody stopped it and did not continue it."""
    fix = "it was replaced; to look into a process, attach a debugger instead of sending SIGSTOP"
    return Cause("stopped by a signal (SIGSTOP) and not continued", False, fix, Kind.HANG)


def used_too_much(used_mb: int, allowed_mb: int) -> Cause:
    """It was ended because it used more memory than it may."""
    return Cause(f"used {used_mb} MB of the {allowed_mb} MB allowed", False, _MORE_MEMORY, Kind.MEMORY)


def internal(fault: Exception) -> Cause:
    """A fault of ours."""
    return Cause(f"internal error: {fault!r}", False, "report it with its log", Kind.INTERNAL)


def classify(
    status: int,
    last_lines: Sequence[str],
    *,
    short_of_memory: bool = False,
    port_holder: PortHolder = holders.of_port,
    socket_holder: SocketHolder = holders.of_socket,
) -> Cause:
    """The cause of an exit with this `waitpid` status.

    `last_lines` are those of this process alone. `short_of_memory` says that the kernel has killed something for
    want of memory while it ran.
    """
    code = os.waitstatus_to_exitcode(status)
    number = -code if code < 0 else code - _SHELL_SIGNAL if code > _SHELL_SIGNAL else 0
    if number == signal.SIGKILL and short_of_memory:
        return Cause("killed for memory by the kernel (SIGKILL)", False, _MORE_MEMORY, Kind.MEMORY)
    if code != 0 and number not in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
        said = lastwords.read(last_lines)
        if said is not None:
            return _of_words(said, code, port_holder, socket_holder)
    return _of_signal(number, code) if number else _of_code(code)


_MORE_ROOM = "free memory, processes or open files of this user, or raise their limits"
_MORE_MEMORY = "give it more (resources.memory_mb), recycle it earlier (recycle.memory_mb), or free memory"


def _of_words(said: lastwords.Said, code: int, port: PortHolder, socket: SocketHolder) -> Cause:
    if said.kind is Kind.PORT:
        return _held(said, port, socket)
    return Cause(said.reason, said.kind is Kind.CONFIG and code == EX_CONFIG, said.fix, said.kind)


def _held(said: lastwords.Said, port_holder: PortHolder, socket_holder: SocketHolder) -> Cause:
    """A port or socket that another process holds: named where it can be, never touched."""
    for path in said.paths:
        holder = socket_holder(path)
        by = f" by {holder}" if holder else ""
        fix = "stop that process or give this server another socket path"
        return Cause(f"socket {path} is held{by}", False, fix, Kind.PORT)
    for port in said.ports:
        found = port_holder(port)
        if found is not None:
            return Cause(f"port {port} is held by {found}", False, _fix_of(found), Kind.PORT)
    if said.ports:
        fix = "nobody listens there now: it may work at the next start"
        return Cause(f"port {said.ports[0]} was in use", False, fix, Kind.PORT)
    fix = "find the holder with `omnimind doctor`, or give this server another port"
    return Cause(f"a port it wants is in use ({said.reason})", False, fix, Kind.PORT)


def _fix_of(holder: holders.Holder) -> str:
    if holder.ours:
        return "that is this fleet's own endpoint: start the server with stdio, or give it another port"
    return "stop it or give this server another port"


def _of_signal(number: int, code: int) -> Cause:
    try:
        name = signal.Signals(number).name
    except ValueError:
        if code > 0:  # an exit code above 128 that is no shell's
            return _of_code(code, plain=True)
        name = f"signal {number}"
    through = " (told by its shell)" if code > 0 else ""
    return Cause(f"killed by {name}{through}", False, _SIGNAL_FIX.get(number), Kind.SIGNAL)


_SIGNAL_FIX: dict[int, str] = {
    signal.SIGKILL: "somebody killed it, or the system did for want of memory: see the kernel's log",
    signal.SIGSEGV: "a fault in native code: update it or its native packages",
    signal.SIGBUS: "a fault in native code, or a full /dev/shm",
    signal.SIGILL: "it is built for another processor: install the build for this one",
    signal.SIGABRT: "it gave itself up: see its last lines",
    signal.SIGXCPU: "it used up its CPU limit",
    signal.SIGXFSZ: "it wrote a file larger than its limit",
    signal.SIGSYS: "it made a system call that its sandbox forbids",
    signal.SIGPIPE: "it wrote to a closed pipe",
}


def _of_code(code: int, *, plain: bool = False) -> Cause:
    if code == EX_CONFIG:
        return Cause("configuration error (exit code 78)", True, "see its last lines", Kind.CONFIG)
    if code == 0:
        fix = "its command must start a server that speaks stdio until its input ends"
        return Cause("ended by itself (exit code 0)", False, fix, Kind.ENDED)
    if plain or code not in _CODES:
        return Cause(f"exit code {code}", False, "see its last lines", Kind.EXIT)
    return _CODES[code]


_CODES: dict[int, Cause] = {
    _NOT_FOUND: Cause(
        "command not found by its shell (exit code 127)", False, "install what it calls", Kind.COMMAND
    ),
    _NOT_EXECUTABLE: Cause(
        "its shell may not execute the command (exit code 126)", False, "chmod +x it", Kind.PERMISSION
    ),
    _USAGE: Cause("wrong usage (exit code 2)", False, "check its args", Kind.EXIT),
}
