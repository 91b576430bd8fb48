"""`python -m omnimind.gateway --link N --parent PID`: started by the orchestrator, never by hand.

The main thread waits for three descriptors (link, plane, signals) and runs no Python per request. The process
ends with its parent (PDEATHSIG, checked again), when its link closes, and after a drain. While it drains it goes
on passing messages: calls in flight still need their children.
"""

from __future__ import annotations

import argparse
import os
import selectors
import signal
import socket
import sys
from typing import TYPE_CHECKING

from omnimind.gateway import encoder, exporting
from omnimind.gateway import link as translation
from omnimind.linux import packets, process, rlimits

if TYPE_CHECKING:
    from omnimind._core import Gateway


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
    # A client is a descriptor here, and a connection to a server; nothing is started that would inherit this.
    rlimits.raise_open_files()
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
    start["encoder"] = encoder.of(start["snapshot"])
    traces = exporting.asked(os.environ)
    start["traces"] = traces and traces.to_plane()
    plane = Gateway(translation.to_plane(start), listeners)
    exporter = exporting.begin(plane, traces)
    _converse(link, plane)
    plane.drain(0)
    if exporter is not None:
        exporter.finish()
    return 0


def _converse(link: socket.socket, plane: Gateway) -> None:
    """Pass messages both ways until the plane has drained, or nobody is at the other end."""
    with selectors.DefaultSelector() as selector:
        selector.register(link, selectors.EVENT_READ)
        selector.register(plane.events_fd(), selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is not link:
                    if _pass_up(link, plane):
                        return
                elif not _pass_down(link, plane):
                    return


def _pass_up(link: socket.socket, plane: Gateway) -> bool:
    """What the plane has to say; true once it has drained."""
    drained = False
    for text in plane.events():
        message = translation.from_plane(text)
        if message.get("t") == translation.DRAINED:
            drained = True
        else:
            packets.send(link, message)
    return drained


def _pass_down(link: socket.socket, plane: Gateway) -> bool:
    """One message of the orchestrator; false when there will be no more."""
    packet = packets.receive(link)
    if packet is None:
        return False
    message, descriptors = packet
    try:
        plane.tell(translation.to_plane(message), descriptors)
    except (OSError, ValueError, TypeError, RecursionError) as error:
        # One message that the plane cannot take must not end everybody's connections.
        sys.stderr.write(f"control message {message.get('t')!r} dropped: {error}\n")
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
