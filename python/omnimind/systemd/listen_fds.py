"""The listening sockets that systemd passes to a service (sd_listen_fds(3)), each with its name.

Rules. They are taken only if `LISTEN_PID` is us, once: the variables are removed and every descriptor is
close-on-exec from then on, so no child inherits either. What is no listening stream socket is left alone.
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping

FIRST = 3


def take(environ: MutableMapping[str, str] = os.environ) -> list[tuple[str, socket.socket]]:
    """(name, socket) in the order given; a name nobody set is what systemd makes of it, or empty."""
    pid, count = environ.pop("LISTEN_PID", ""), environ.pop("LISTEN_FDS", "")
    names = environ.pop("LISTEN_FDNAMES", "").split(":")
    if pid != str(os.getpid()) or not count.isdigit():
        return []
    taken = []
    for position in range(int(count)):
        descriptor = FIRST + position
        try:
            os.set_inheritable(descriptor, False)
            found = socket.socket(fileno=descriptor)
        except OSError:
            continue
        if _listens(found):
            taken.append((names[position] if position < len(names) else "", found))
        else:
            found.detach()
    return taken


def _listens(found: socket.socket) -> bool:
    return (
        found.family in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6)
        and found.type == socket.SOCK_STREAM
        and found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
    )
