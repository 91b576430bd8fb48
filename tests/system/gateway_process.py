"""Real gateway processes under a test that plays the orchestrator: start, messages both ways, end."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self

from omnimind.linux import packets, seqpacket
from tests.fleet import wait_until

KEY = "00112233445566778899aabbccddeeff" * 2


def snapshot(*servers: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration without tokens."""
    return {
        "version": "0.0.0",
        "state_dir": "/nonexistent",
        "keys": [KEY],
        "auth": {"required": False},
        "servers": list(servers),
    }


@contextmanager
def listening() -> Iterator[socket.socket]:
    """A listening socket that outlives every gateway on it, as the guard's do."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as held:
        yield held


def address(held: socket.socket) -> str:
    host, port = held.getsockname()
    return f"{host}:{port}"


class GatewayProcess:
    """One gateway process; what it says is kept in `heard`."""

    def __init__(
        self, epoch: int, config: Mapping[str, Any], held: Sequence[socket.socket], *, beside: bool = False
    ) -> None:
        ours, theirs = seqpacket.pair()
        with theirs:
            number = str(theirs.fileno())
            command = [sys.executable, "-m", "omnimind.gateway", "--link", number, "--parent"]
            self.process = subprocess.Popen([*command, str(os.getpid())], pass_fds=[theirs.fileno()])
        self.link = ours
        self.heard: list[dict[str, Any]] = []
        self._listens = threading.Thread(target=self._listen, daemon=True)
        self._listens.start()
        listeners = [{"name": "gateway", "address": address(one)} for one in held]
        start = {
            "t": "start",
            "epoch": epoch,
            "snapshot": dict(config),
            "listeners": listeners,
            "beside": beside,
        }
        self.tell(start, [one.fileno() for one in held])

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while (packet := packets.receive(self.link)) is not None:
                message, descriptors = packet
                seqpacket.close_all(descriptors)
                self.heard.append(message)

    def tell(self, message: Mapping[str, Any], descriptors: Sequence[int] = ()) -> None:
        packets.send(self.link, message, descriptors)

    def said(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.heard if message["t"] == kind]

    def wait_for(self, kind: str, count: int = 1) -> dict[str, Any]:
        """The `count`-th message of a kind."""
        wait_until(lambda: len(self.said(kind)) >= count, 15, f"{kind} said {count} times")
        return self.said(kind)[count - 1]

    def wait_for_end(self, timeout_s: float = 30) -> int:
        return self.process.wait(timeout_s)

    def __enter__(self) -> Self:
        self.wait_for("up")
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self.link.close()
        self._listens.join(5)
