"""`python -m omnimind.gateway --link N --parent PID`: started by the orchestrator, never by hand.

The main thread waits for three descriptors (link, plane, signals) and runs no Python per request. The process
ends with its parent (PDEATHSIG, checked again), when its link closes, and after a drain.
"""

from __future__ import annotations

import argparse
import selectors
import signal
import socket
import sys
from typing import TYPE_CHECKING

from omnimind.gateway import link as translation
from omnimind.linux import packets, process

if TYPE_CHECKING:
    from omnimind._core import Gateway

DRAIN_MS = 10_000


def main(argv: list[str]) -> int:
    """Serve until the orchestrator says drain or is gone."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--link", type=int, required=True)
    parser.add_argument("--parent", type=int, required=True)
    options = parser.parse_args(argv)
    if not process.die_with_parent(options.parent):
        return 0
    process.set_name("omnimind-gw")
    process.hide_memory()
    # Ctrl-C and SIGTERM of a whole session are the orchestrator's to judge; it says drain.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    link = socket.socket(fileno=options.link)
    link.set_inheritable(False)
    packet = packets.receive(link)
    if packet is None:
        return 0
    from omnimind._core import Gateway

    start, listeners = packet
    plane = Gateway(translation.to_plane(start), listeners)
    plane.drain(_converse(link, plane))
    return 0


def _converse(link: socket.socket, plane: Gateway) -> int:
    """Pass messages both ways; how long the plane may take to drain."""
    with selectors.DefaultSelector() as selector:
        selector.register(link, selectors.EVENT_READ)
        selector.register(plane.events_fd(), selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is not link:
                    for text in plane.events():
                        packets.send(link, translation.from_plane(text))
                    continue
                packet = packets.receive(link)
                if packet is None:
                    return 0
                message, descriptors = packet
                if message.get("t") == "drain":
                    return int(message.get("timeout_ms", DRAIN_MS))
                try:
                    plane.tell(translation.to_plane(message), descriptors)
                except ValueError as error:
                    # One message that the plane cannot read must not end everybody's connections.
                    sys.stderr.write(f"control message {message.get('t')!r} dropped: {error}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
