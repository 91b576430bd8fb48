"""Signals that cannot reach a stranger.

A pid is reused; a pidfd is not. `send` opens the pidfd first and only then compares the start time, so what
it signals is the process it compared, or nobody.
"""

from __future__ import annotations

import os
import signal

from omnimind.linux import proc


def open_verified(pid: int, start_time: int) -> int | None:
    """A pidfd for exactly this process, or None if it is gone; zombies count as here."""
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return None
    found = proc.read(pid)
    if found is None or found.start_time != start_time:
        os.close(descriptor)
        return None
    return descriptor


def send(pid: int, start_time: int, number: int) -> bool:
    """Send the signal if the process still is who it was; True if it was sent."""
    descriptor = open_verified(pid, start_time)
    if descriptor is None:
        return False
    try:
        signal.pidfd_send_signal(descriptor, number)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


_ROUNDS = 20


def kill_below(root: int) -> int:
    """SIGKILL every living descendant of `root`; how many were met. Callers repeat until nothing is left.

    What is found is stopped, again until a scan shows nothing that still runs, and only then killed: what is
    killed one by one makes room for what forks meanwhile.
    """
    stopped: dict[int, int] = {}
    for _ in range(_ROUNDS):
        living = {p.pid: p.start_time for p in proc.descendants(root, proc.scan()) if p.state != "Z"}
        fresh = [item for item in living.items() if item not in stopped.items()]
        for pid, start_time in fresh:
            send(pid, start_time, signal.SIGSTOP)
        stopped |= living
        if not fresh:
            break
    for pid, start_time in stopped.items():
        send(pid, start_time, signal.SIGKILL)
    return len(stopped)
