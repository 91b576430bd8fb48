"""The kernel's clock for a process that is no longer root: a child that was forked before, and stays root.

The child does one thing: it runs bpftrace on the ports it is told, and hands out readings. It takes no path and no
command, and ends with bpftrace when the link ends, however its parent ended. It has a session of its own, so that
Ctrl-C reaches the parent only.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, Final, Self

from omnimind.linux import features
from omnimind.monitor.kernel import START_S, STOP_S, Maps, MonitorError, Probe
from omnimind.monitor.needs import Kernel
from omnimind.monitor.program import Watch

TRACEFS: Final = "/sys/kernel/tracing"
INTERVAL_S: Final = 1
_MOUNT_S: Final = 10


def mount_tracefs() -> bool:
    """Mount the kernel's tracepoints if they are not there and this is root; whether that was done."""
    if os.geteuid() != 0 or features.tracefs() is not None:
        return False
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        command = ["mount", "-t", "tracefs", "tracefs", TRACEFS]
        return subprocess.run(command, capture_output=True, timeout=_MOUNT_S).returncode == 0
    return False


class Watcher:
    """The child, seen from its parent. To be made while this process is root and has one thread; ended by `close`."""

    def __init__(self, kernel: Kernel) -> None:
        ours, its = socket.socketpair()
        sys.stdout.flush()
        sys.stderr.flush()
        self._pid = os.fork()
        if self._pid == 0:
            ours.close()
            _child(its, kernel)
        its.close()
        ours.settimeout(START_S + STOP_S)
        self._link = ours
        self._file = ours.makefile("rwb")

    def watch(self, ports: Sequence[int]) -> None:
        """Begin; returns when every probe is attached. Raises MonitorError."""
        self._ask(list(ports))

    def reading(self) -> Maps:
        """All that was counted until now, whatever happened before this call included. Raises MonitorError."""
        found: Maps = self._ask(None)
        return found

    def _ask(self, question: list[int] | None) -> Any:
        try:
            self._file.write(json.dumps(question).encode() + b"\n")
            self._file.flush()
            answer = json.loads(self._file.readline())
        except (OSError, ValueError) as error:
            raise MonitorError("OM0602", f"what watches the kernel is gone: {error}") from None
        if "error" in answer:
            raise MonitorError("OM0602", answer["error"], where=answer["where"], why=answer["why"])
        return answer["maps"]

    def close(self) -> None:
        """Have the child end, and bpftrace before it. Can be repeated."""
        if self._pid:
            with contextlib.suppress(OSError):
                self._file.close()
            self._link.close()
            os.waitpid(self._pid, 0)
            self._pid = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _child(link: socket.socket, kernel: Kernel) -> None:
    """Serve until the link ends; does not return."""
    code = 1
    try:
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, 0)
        os.dup2(nowhere, 1)
        with contextlib.suppress(OSError, ValueError):  # a link that ends is how this ends
            serve(link, kernel)
        code = 0
    finally:
        os._exit(code)


def serve(link: socket.socket, kernel: Kernel) -> None:
    """The first question is the ports; every other is for a reading."""
    with link.makefile("rwb") as file, contextlib.ExitStack() as running:
        probe: Probe | None = None
        for line in file:
            maps: Maps = {}
            try:
                if probe is None:
                    probe = running.enter_context(Probe(Watch(json.loads(line), (), INTERVAL_S), kernel))
                else:
                    maps = probe.fresh()
                answer: dict[str, Any] = {"maps": maps}
            except MonitorError as error:
                answer = {"error": error.what, "where": error.where, "why": error.why}
            file.write(json.dumps(answer).encode() + b"\n")
            file.flush()
