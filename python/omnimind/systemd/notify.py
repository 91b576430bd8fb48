"""What a service tells systemd: ready, stopping, alive, a line of status (sd_notify(3)).

Rules. Without `NOTIFY_SOCKET` nothing is said and nothing fails. The variables are removed once read, so that
no child speaks in our name. Saying never waits: a full socket drops the message, and the next one comes soon.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import MutableMapping


class Notifier:
    """The way to the service manager, if there is one."""

    def __init__(self, address: str | None, watchdog_us: int = 0) -> None:
        self._address = "\0" + address[1:] if address and address.startswith("@") else address
        self.watchdog_us = watchdog_us if address else 0
        """The manager ends the service when it hears no WATCHDOG=1 for so long; 0 is never."""

    def __bool__(self) -> bool:
        return bool(self._address)

    def say(self, *assignments: str) -> None:
        """Send assignments such as `READY=1` in one message."""
        if not self._address:
            return
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as end,
        ):
            end.setblocking(False)
            end.sendto("\n".join(assignments).encode(), self._address)


def from_environment(environ: MutableMapping[str, str] = os.environ) -> Notifier:
    """Take the notifier out of the environment."""
    address = environ.pop("NOTIFY_SOCKET", None)
    interval, pid = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", "")
    meant_for_us = pid in ("", str(os.getpid()))
    return Notifier(address, int(interval) if meant_for_us and interval.isdigit() else 0)
