"""The worker's end of a zygote: starting it, ordering jobs, and hearing that it is there at all.

Nothing here belongs to an event loop, because a job's pipes tell everything: the zygote writes how a job ended on the
job's own status pipe, and if the zygote dies that pipe ends without a word.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import weakref
from collections.abc import Mapping, Sequence
from typing import Any, Final

from omnimind.linux import packets, seqpacket
from omnimind.servers.problem import Problem

_MODULE: Final = "omnimind.servers.python.inside.zygote"
_READY_S: Final = 30.0
_ENVIRONMENT: Final = {
    "LANG": "C.UTF-8",
    "PATH": "/usr/bin:/bin",
    "OMP_NUM_THREADS": "1",  # a library that starts threads when imported could not be forked
    "OPENBLAS_NUM_THREADS": "1",
}


class JailGoneError(Exception):
    """The zygote is not there."""


class Warden:
    """One zygote, from the worker's side."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._asking = threading.Lock()
        self._ready = False
        self.used = 0.0
        self._refusal: str | None = None
        weakref.finalize(self, link.close)  # the zygote ends with whoever knew it

    def tell(self, order: Mapping[str, Any], descriptors: Sequence[int] = ()) -> None:
        """Send an order; the caller keeps its descriptors. Raises JailGoneError."""
        try:
            packets.send(self._link, order, descriptors)
        except OSError as gone:
            raise JailGoneError(str(gone)) from gone

    def wait_ready(self) -> None:
        """Block until it can fork. Raises Problem if this machine has no jail, JailGoneError if it died."""
        with self._asking:
            if self._refusal is not None:
                raise Problem(self._refusal)
            if self._ready:
                return
            self._link.settimeout(_READY_S)
            try:
                packet = packets.receive(self._link)
            except OSError as fault:
                raise JailGoneError(str(fault)) from fault
            finally:
                self._link.settimeout(None)
            if packet is None:
                raise JailGoneError("it ended while it started")
            seqpacket.close_all(packet[1])
            if packet[0].get("t") == "refused":
                self._refusal = str(packet[0].get("why"))
                raise Problem(self._refusal)
            self._ready = True

    @property
    def is_ready(self) -> bool:
        """Whether it has said that it can fork."""
        return self._ready

    def has_ended(self) -> bool:
        """Whether the other end of the link is gone; never blocks."""
        try:
            return self._link.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK) == b"" if self._ready else False
        except BlockingIOError:
            return False
        except OSError:
            return True

    def warm(self, modules: Sequence[str], env: Mapping[str, str]) -> Warden:
        """Another zygote, forked from this one, that imports these modules once."""
        ours, theirs = seqpacket.pair()
        with theirs:
            self.tell({"t": "zygote", "warm": list(modules), "env": dict(env)}, [theirs.fileno()])
        return Warden(ours)

    def close(self) -> None:
        """Let it go: it ends, and its jobs with it."""
        self._link.close()


def start(home: str, read: Sequence[str], write: Sequence[str], *, network: bool = False) -> Warden:
    """Execute a zygote of its own: the interpreter by its path, no variable and no descriptor of ours. Raises OSError.

    Only while processes may be started. Its children may name `home`, `read` and `write` and nothing else.
    """
    ours, theirs = seqpacket.pair()
    with theirs:
        number = theirs.fileno()
        os.posix_spawn(
            sys.executable,
            [sys.executable, "-I", "-X", "utf8", "-c", _command(), str(number), str(os.getpid())],
            _ENVIRONMENT,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_DUP2, number, number),
            ],
            setsid=True,
            setsigdef=[signal.SIGPIPE, signal.SIGTERM, signal.SIGCHLD, signal.SIGINT],
        )
    warden = Warden(ours)
    warden.tell({"t": "begin", "home": home, "read": list(read), "write": list(write), "network": network})
    return warden


def _command() -> str:
    """Find this very package, also where it is not installed into the interpreter."""
    import omnimind

    folder = os.path.dirname(os.path.dirname(os.path.abspath(omnimind.__file__)))
    return (
        f"import sys; sys.path.append({folder!r}); from {_MODULE} import main; sys.exit(main(sys.argv[1:]))"
    )
