"""A zygote that was started before there was an event loop, or anything else worth importing.

Apart from `forks` for one reason: this is imported before anyio, so that the zygote's imports and the
orchestrator's run side by side.
"""

from __future__ import annotations

import os
import socket
from typing import NamedTuple

from omnimind.linux import seqpacket
from omnimind.orchestrator import spawn

MODULE = "omnimind.orchestrator.zygote"


class Egg(NamedTuple):
    """A started zygote: its pid, our end of its link, and the pipe that carries its stderr."""

    pid: int
    end: socket.socket
    output: int


def lay() -> Egg:
    """Start a zygote now; needs nothing but this process. Raises OSError."""
    ours, theirs = seqpacket.pair()
    read, write = os.pipe()
    try:
        arguments = ["--link", str(theirs.fileno()), "--parent", str(os.getpid())]
        pid = spawn.spawn_module(
            MODULE, arguments, inherit=[theirs.fileno()], output=write, environ=os.environ
        )
    except OSError:
        os.close(read)
        ours.close()
        raise
    finally:
        os.close(write)
        theirs.close()
    return Egg(pid, ours, read)
