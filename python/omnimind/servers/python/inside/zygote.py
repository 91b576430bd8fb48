"""The interpreter zygote: forks a jailed child for each job, watches over it, and tells how it ended.

Rules. It is exec'd while its worker may still start processes, with an environment of its own and one link, and is
never forked from anything that has held a secret. It has one thread. It gives up everything that no job may ever
have before it reads its first job, so its children can only lose more. It never reads what a job sends: a job's
pipes belong to the worker, and a forged message on one of them reaches only the call that it forges.

Worker to zygote: `begin {home, read, write}`, then `run {number, kind, folder, read, write, limits, …}` with [stdin,
stdout, stderr, request, reply, status], `kill {number}`, `stop {number}`, `go {number}`, `zygote {warm, env}` with
[link]. Zygote to worker: `ready {}` or `refused {why}`; and for each job one frame on its status pipe:
`{status, why, cpu_s, peak_kb}`.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import resource
import select
import signal
import socket
import sys
import time
from dataclasses import dataclass
from typing import Any, Final

from omnimind.linux import landlock, packets, process, seqpacket, usage
from omnimind.servers.python.inside import confine, frames, jobs, spare
from omnimind.servers.python.inside.libraries import beneath, libraries

_PRELOADED: Final = (
    "ast", "bisect", "collections", "dataclasses", "datetime", "decimal", "functools", "itertools", "json", "linecache",
    "math", "random", "re", "string", "statistics", "textwrap", "traceback", "types", "typing", "encodings.idna",
)  # fmt: skip
_WATCH_S: Final = 0.1
_TASKS_S: Final = 5.0
_OWN_LAYER: Final = ("/proc", "/bin", "/usr/bin")


@dataclass(slots=True)
class _Child:
    """A job that runs: its process, where its end is told, and how much it may write."""

    number: int
    pid: int
    status: int
    disk_bytes: int
    written_before: int = 0
    stopped: bool = False
    why: str = ""


class Zygote:
    """The loop and the children of one zygote."""

    def __init__(self, link: socket.socket, read: list[str]) -> None:
        self._link = link
        self._libraries = read
        self._children: dict[int, _Child] = {}
        self._helpers: set[int] = set()
        self._tasks = (0.0, 0)
        self._spare: spare.Spare | None = None
        self._pid = os.getpid()

    def serve(self) -> None:
        """Take orders until the worker is gone. Its children end with this process."""
        wake, woken = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(woken, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
        poll = select.poll()
        poll.register(self._link, select.POLLIN)
        poll.register(wake, select.POLLIN)
        while True:
            busy = any(not child.stopped for child in self._children.values())
            if self._spare is None and not busy:
                self._spare = spare.fork(self._pid, self._libraries)  # while nobody waits for anything else
            ready = {descriptor for descriptor, _ in poll.poll(_WATCH_S * 1000 if busy else None)}
            if wake in ready:
                os.read(wake, 4096)
            self._reap()
            if self._link.fileno() in ready:
                packet = packets.receive(self._link)
                if packet is None:
                    for child in self._children.values():
                        self._kill(child)  # the kernel would, but not what is beneath them
                    return
                self._obey(*packet)
            if busy and not ready:
                self._watch()

    def _obey(self, order: dict[str, Any], descriptors: list[int]) -> None:
        kind = order["t"]
        if kind == "run":
            self._run(order, descriptors)
        elif kind == "zygote":
            self._bear_zygote(order, descriptors)
        else:
            child = self._children.get(order["number"])
            if child is not None:
                self._signal(child, kind)
        seqpacket.close_all(descriptors)

    def _signal(self, child: _Child, kind: str) -> None:
        if kind == "kill":
            child.why = child.why or "asked"
            self._kill(child)
        elif kind == "interrupt":
            os.kill(child.pid, signal.SIGINT)
        elif kind == "stop":
            child.stopped = True
            os.kill(child.pid, signal.SIGSTOP)
        elif kind == "go":
            child.stopped = False
            child.written_before = _written_bytes(child.pid)
            os.kill(child.pid, signal.SIGCONT)

    def _kill(self, child: _Child) -> None:
        for send in (os.kill, os.killpg):  # the group holds the helpers of an interpreter that has some
            with contextlib.suppress(ProcessLookupError, PermissionError):
                send(child.pid, signal.SIGKILL)

    def _run(self, job: dict[str, Any], descriptors: list[int]) -> None:
        status = os.dup(descriptors[jobs.DESCRIPTORS])
        theirs = descriptors[: jobs.DESCRIPTORS]
        tasks = self._tasks_of_user()
        ready, self._spare = self._spare, None
        if ready is not None and ready.take(job, theirs, tasks):
            pid = ready.pid
        else:
            try:
                pid = os.fork()
            except OSError as refusal:
                _tell(status, {"status": -1, "why": f"no process can be started: {refusal.strerror}"})
                return
            if pid == 0:
                jobs.live(job, theirs, self._pid, self._libraries, tasks)
        child = _Child(int(job["number"]), pid, status, int(job["limits"]["disk_bytes"]))
        self._children[child.number] = child

    def _tasks_of_user(self) -> int:
        """How many threads our user has; a limit on processes counts them all. Asked now and then."""
        at, count = self._tasks
        if os.geteuid() == 0:
            return 0
        if time.monotonic() - at > _TASKS_S or at == 0.0:
            count = usage.tasks_of_user(os.geteuid())
            self._tasks = (time.monotonic(), count)
        return count

    def _reap(self) -> None:
        by_pid = {child.pid: child for child in self._children.values()}
        while True:
            try:
                pid, status, used = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._helpers.discard(pid)
            if self._spare is not None and self._spare.pid == pid:
                self._spare = None
            child = by_pid.get(pid)
            if child is not None:
                del self._children[child.number]
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(pid, signal.SIGKILL)
                _tell(child.status, _report(child, status, used))

    def _watch(self) -> None:
        """End what writes more than its folder may hold: also what was unlinked and is still open."""
        for child in self._children.values():
            if not child.stopped and _written_bytes(child.pid) - child.written_before > 2 * child.disk_bytes:
                child.why = "disk"
                self._kill(child)

    def _bear_zygote(self, order: dict[str, Any], descriptors: list[int]) -> None:
        pid = os.fork()
        if pid:
            self._helpers.add(pid)
            return
        signal.set_wakeup_fd(-1)
        _close_all_but(descriptors[0])
        if not process.die_with_parent(self._pid):
            os._exit(0)
        _serve_warm(
            socket.socket(fileno=descriptors[0]), list(order["warm"]), dict(order["env"]), self._libraries
        )


def _report(child: _Child, status: int, used: resource.struct_rusage) -> dict[str, Any]:
    cpu = round(used.ru_utime + used.ru_stime, 4)
    return {"status": status, "why": child.why, "cpu_s": cpu, "peak_kb": used.ru_maxrss}


def _tell(descriptor: int, report: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):
        frames.write(descriptor, report)
    os.close(descriptor)


def _written_bytes(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/io", "rb") as file:
            return next((int(line.split()[1]) for line in file if line.startswith(b"write_bytes:")), 0)
    except OSError:
        return 0


def _serve_warm(link: socket.socket, modules: list[str], env: dict[str, str], read: list[str]) -> None:
    """Be another zygote, one that has imported what is slow to import."""
    try:
        process.set_name("omnimind-warm")
        os.environ.update(env)
        for module in modules:
            importlib.import_module(module)
        _settle(link, read)
    except BaseException as fault:
        with contextlib.suppress(OSError):
            packets.send(link, {"t": "refused", "why": f"{type(fault).__name__}: {fault}"})
    os._exit(0)


def _settle(link: socket.socket, read: list[str]) -> None:
    """Serve, once there is one thread and the memory is in order."""
    if len(os.listdir("/proc/self/task")) != 1:
        raise RuntimeError("imports have started threads; a fork would not be clean")
    gc.collect()
    gc.freeze()
    packets.send(link, {"t": "ready"})
    Zygote(link, read).serve()


def _fence(begin: dict[str, Any]) -> list[str]:
    """Give up what no job may have; the libraries. Raises RuntimeError where that cannot be."""
    why = confine.why_not()
    if why is not None:
        raise RuntimeError(why)
    read = libraries()
    home = str(begin["home"])
    within = next((path for path in read if beneath(home, path)), None)
    if within is not None:
        raise RuntimeError(f"the state folder lies in {within}, which all code must be able to read; move it")
    for module in _PRELOADED:
        importlib.import_module(module)
    os.umask(0o077)
    os.chdir("/")
    network = bool(begin.get("network"))
    allowed = [*read, *_OWN_LAYER, *begin["read"], *confine.DEVICES, *(confine.RESOLVER if network else ())]
    landlock.restrict(allowed, [home, *begin["write"], "/dev/null"], tcp=network)
    return read


def _close_all_but(link: int) -> None:
    os.closerange(3, link)
    os.closerange(link + 1, os.sysconf("SC_OPEN_MAX"))


def main(argv: list[str]) -> int:
    """Serve until the worker is gone."""
    link, parent = int(argv[0]), int(argv[1])
    _close_all_but(link)
    if os.getppid() != parent:
        return 0
    process.set_name("omnimind-jail")
    process.hide_memory()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ours = socket.socket(fileno=link)
    ours.set_inheritable(False)
    packet = packets.receive(ours)
    if packet is None:
        return 0
    try:
        _settle(ours, _fence(packet[0]))
    except (OSError, RuntimeError) as fault:
        with contextlib.suppress(OSError):
            packets.send(ours, {"t": "refused", "why": str(fault)})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
