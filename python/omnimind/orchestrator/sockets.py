"""Listening sockets that outlive whoever serves them.

Rule: a socket asked for again under the same name and address is the same socket, so a client that connects
while gateway or orchestrator is being replaced waits in the queue instead of being refused. A Unix socket's
path is only removed when it is proven stale: the folder's lock is held and nobody accepts.
A socket that systemd passed is used instead of binding one: the one that has the address, or the one that has
the name and the host. Stdlib only: the guard runs this.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Sequence

from omnimind.linux import unixpath

BACKLOG = 4096

Address = tuple[str, int] | str
"""(host, port) for TCP, a path for a Unix socket."""


class HeldSockets:
    """The sockets by name."""

    def __init__(self, passed: Sequence[tuple[str, socket.socket]] = ()) -> None:
        self._passed = list(passed)
        self._held: dict[str, tuple[Address, socket.socket]] = {}
        self._files: dict[str, tuple[int, int]] = {}

    def listen(self, name: str, address: Address) -> socket.socket:
        """The listening socket of this name; raises OSError if the address is taken."""
        if name in self._held:
            known, held = self._held[name]
            if known == address:
                return held
            self.release(name)
        bound = self._take_passed(name, address)
        if bound is None:
            bound = _bind_unix(address) if isinstance(address, str) else _bind_tcp(*address)
            if isinstance(address, str):
                self._files[name] = _file(address)
        self._held[name] = (address, bound)
        return bound

    def release(self, name: str) -> None:
        """Stop listening, and remove the path of a Unix socket that was bound here and is still ours."""
        if name in self._held:
            address, held = self._held.pop(name)
            held.close()
            if isinstance(address, str):
                with contextlib.suppress(OSError):
                    if self._files.pop(name, None) == _file(address):
                        os.unlink(address)

    def _take_passed(self, name: str, address: Address) -> socket.socket | None:
        """The socket that was passed for this; every one is taken once."""
        plain = name.removeprefix("port/")
        for by_name in (False, True):
            for given, held in self._passed:
                at = held.getsockname()
                bound = at if isinstance(at, str) else at[:2]
                alike = given == plain and not isinstance(bound, str) and bound[0] == address[0]
                if bound == address or (by_name and alike):
                    self._passed.remove((given, held))
                    held.setblocking(False)
                    return held
        return None

    def names(self) -> Sequence[str]:
        """The names of what is held."""
        return list(self._held)


def _file(path: str) -> tuple[int, int]:
    found = os.lstat(path)
    return found.st_dev, found.st_ino


def _bind_tcp(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


def _bind_unix(path: str) -> socket.socket:
    remove_if_stale(path)
    with unixpath.address(path) as short:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            listener.bind(short)
            listener.listen(BACKLOG)
        except BaseException:
            listener.close()
            raise
        finally:
            os.umask(before)
    listener.setblocking(False)
    return listener


def remove_if_stale(path: str) -> bool:
    """Remove a socket's path on which nobody accepts; False if there is none.

    The caller holds the lock of its folder, so nobody is just about to accept. Raises OSError for what is no
    socket (EEXIST) or lives (EADDRINUSE).
    """
    if not os.path.lexists(path):
        return False
    if not is_stale(path):
        raise OSError(errno.EADDRINUSE, "somebody else accepts on this socket")
    os.unlink(path)
    return True


def is_stale(path: str) -> bool:
    """True for a socket's path that refuses connections. Raises OSError for what is no socket (EEXIST)."""
    # A plain file refuses a connection like a dead socket does; it is not ours to remove.
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise OSError(errno.EEXIST, "something that is no socket is in the way")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller, unixpath.address(path) as short:
            caller.setblocking(False)
            caller.connect(short)
    except ConnectionRefusedError:
        return True
    except (FileNotFoundError, BlockingIOError):  # gone meanwhile, or its queue is full: it lives
        return False
    return False
