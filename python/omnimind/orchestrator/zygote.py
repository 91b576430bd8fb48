"""The zygote: one process that has imported the servers, and forks workers in milliseconds.

Rules. It is exec'd with a scrubbed environment and has one thread, so a fork is clean. It never sees a key, a
worker's environment or a socket: those go to the newborn over a link of its own. It forks twice and the
middle process ends, so that the worker falls to the orchestrator (a subreaper) as its own child: only then
does the worker set PDEATHSIG and look at its parent again. A dead zygote therefore kills nobody. A newborn
closes every descriptor but its own before it reads anything.
Cost: the imports once (about a second), then a fork of a few milliseconds, and shared pages.

Run as `python -m omnimind.orchestrator.zygote --link N --parent PID`. Orchestrator to zygote: `fork {}` with
the newborn's link. Zygote to orchestrator: `ready {}`. Newborn to orchestrator: `born {pid}`; back: `work
{name, args, env, state_dir, key, heartbeat_ms}` with [listener, output, pulse].
"""

from __future__ import annotations

import argparse
import gc
import importlib
import os
import signal
import socket
import sys
import time
from pathlib import Path

from omnimind.linux import packets, process

_ADOPTION_S = 2.0


def main(argv: list[str]) -> int:
    """Serve forks until the orchestrator is gone."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--link", type=int, required=True)
    parser.add_argument("--parent", type=int, required=True)
    options = parser.parse_args(argv)
    if not process.die_with_parent(options.parent):
        return 0
    process.set_name("omnimind-zygote")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    link = socket.socket(fileno=options.link)
    link.set_inheritable(False)
    importlib.import_module("omnimind.servers").preload()
    if len(os.listdir("/proc/self/task")) != 1:
        print("the servers' imports start threads; a fork would not be clean", file=sys.stderr)  # noqa: T201
        return 1
    gc.collect()
    gc.freeze()
    packets.send(link, {"t": "ready"})
    while (packet := packets.receive(link)) is not None:
        _, descriptors = packet
        if len(descriptors) == 1 and _fork_twice(descriptors[0], options.parent):
            link.detach()  # closed already, by number
            return _live(descriptors[0], options.parent)
        for descriptor in descriptors:
            os.close(descriptor)
    return 0


def _fork_twice(link: int, orchestrator: int) -> bool:
    """True in the newborn, False in the zygote; the process between them ends at once."""
    middle = os.fork()
    if middle:
        os.waitpid(middle, 0)
        return False
    if os.fork():
        os._exit(0)
    _close_all_but(link)
    until = time.monotonic() + _ADOPTION_S
    while os.getppid() != orchestrator:
        if time.monotonic() > until:
            os._exit(0)
        time.sleep(0.0005)
    if not process.die_with_parent(orchestrator):
        os._exit(0)
    os.setsid()
    return True


def _close_all_but(kept: int) -> None:
    highest = os.sysconf("SC_OPEN_MAX")
    os.closerange(3, kept)
    os.closerange(kept + 1, highest)


def _live(link: int, orchestrator: int) -> int:
    """Be the worker that the orchestrator describes."""
    with socket.socket(fileno=link) as told:
        packets.send(told, {"t": "born", "pid": os.getpid()})
        packet = packets.receive(told)
    if packet is None or len(packet[1]) != 3 or os.getppid() != orchestrator:
        return 0
    work, (listener, output, beats) = packet
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    os.environ.clear()
    os.environ.update(work["env"])
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    process.set_name(work["name"])
    process.hide_memory()
    worker = importlib.import_module("omnimind.servers.worker")
    pulse = importlib.import_module("omnimind.servers.pulse").Pulse(beats, work["heartbeat_ms"])
    with socket.socket(fileno=listener) as held:
        worker.run(work["name"], held, work["key"], Path(work["state_dir"]), list(work["args"]), pulse)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
