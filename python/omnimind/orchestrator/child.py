"""The orchestrator's process: what happens before there is an event loop, and how it ends.

Order matters. First the ties: PDEATHSIG (SIGTERM, because a dead guard must still find somebody who ends the
tree), a second look at the parent, subreaper. Then the zygote, whose imports take longest. Only then the rest
is imported and the settings are read.
"""

from __future__ import annotations

import signal
import socket

from omnimind.linux import process
from omnimind.orchestrator import options as command_line


def main(argv: list[str]) -> int:
    """Run the orchestrator half; its exit code, which the guard passes on."""
    options = command_line.read(argv)
    process.become_subreaper()
    process.set_name("omnimind-orch")
    if not process.die_with_parent(options.guard_pid, signal.SIGTERM):
        return 1
    guard = socket.socket(fileno=options.guard_link)
    guard.set_inheritable(False)  # before anything is started: the zygote must not get it
    # With `-m`, a slow import is the longest step of a start: let it run beside ours.
    from omnimind.orchestrator import egg

    zygote = egg.lay()
    from omnimind.orchestrator import wiring

    return wiring.run(options, guard, zygote)
