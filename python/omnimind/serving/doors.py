"""The two listening sockets of a serving process: HTTP for clients, and the worker protocol.

Rules. What systemd passed is used (`http` and `worker` by name, else by address family); the rest is bound here.
Only loopback addresses are served. A port that somebody else holds is named with its holder and is an error;
the holder is left alone. A path is removed only if nobody accepts there, while its folder is locked.
"""

from __future__ import annotations

import errno
import fcntl
import ipaddress
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from omnimind.errors import FleetError, SettingsError, StateError
from omnimind.orchestrator import holders
from omnimind.orchestrator.sockets import HeldSockets

Passed = Sequence[tuple[str, socket.socket]]


@dataclass(frozen=True, slots=True)
class Doors:
    """The sockets, where they are reached, and which of them are ours to clear away."""

    http: socket.socket
    host: str
    port: int
    worker: socket.socket
    worker_path: str
    bound: HeldSockets

    @property
    def authority(self) -> str:
        """`host:port`, an IPv6 host in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def close(self) -> None:
        """Close what was bound here, and remove its path."""
        for name in self.bound.names():
            self.bound.release(name)


def open_doors(passed: Passed, name: str, host: str, port: int | None, path: Path) -> Doors:
    """Take what was passed, bind the rest. Raises FleetError or SettingsError."""
    http = _choose(passed, "http", (socket.AF_INET, socket.AF_INET6))
    worker = _choose(passed, "worker", (socket.AF_UNIX,))
    for _, other in passed:
        if other not in (http, worker):
            other.close()
    bound = HeldSockets()
    if http is None:
        http = _bind_port(bound, name, host, port)
    at_host, at_port = http.getsockname()[:2]
    _check_loopback(at_host)
    at_path = str(path) if worker is None else _path_of(worker)
    if worker is None:
        worker = _bind_path(bound, path)
    http.setblocking(False)
    worker.setblocking(False)
    return Doors(http, at_host, at_port, worker, at_path, bound)


def _choose(passed: Passed, name: str, families: Sequence[socket.AddressFamily]) -> socket.socket | None:
    fitting = [(given, one) for given, one in passed if one.family in families]
    named = [one for given, one in fitting if given == name]
    return next(iter(named or [one for given, one in fitting if given not in ("http", "worker")]), None)


def _check_loopback(host: str) -> None:
    if not ipaddress.ip_address(host).is_loopback:
        raise SettingsError(
            "OM0105",
            f"the socket that was passed listens on {host}: servers listen on loopback only",
            where="ListenStream= of the socket unit",
            help="write ListenStream=127.0.0.1:PORT, and put a TLS proxy in front",
        )


def _bind_port(bound: HeldSockets, name: str, host: str, port: int | None) -> socket.socket:
    if port is None:
        raise SettingsError(
            "OM0105", f"{name} has no port of its own", help="give it one: --port N (0 takes any free one)"
        )
    try:
        return bound.listen("http", (host, port))
    except OSError as fault:
        taken = fault.errno == errno.EADDRINUSE
        holder = holders.of_port(port) if taken else None
        what = f"is held by {holder}" if holder else f"cannot be bound: {os.strerror(fault.errno or 0)}"
        raise FleetError(
            "OM0107" if taken else "OM0206",
            f"port {port} {what}",
            where=f"the address of {name}, {host}:{port}",
            help="stop that process yourself, or choose another port: --port N (0 takes any free one)",
        ) from None


def _bind_path(bound: HeldSockets, path: Path) -> socket.socket:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(path.parent):
            return bound.listen("worker", str(path))
    except OSError as fault:
        held = fault.errno == errno.EADDRINUSE
        what = "is served by another process" if held else f"cannot be bound: {fault.strerror}"
        raise FleetError(
            "OM0206",
            f"the socket of this server {what}",
            where=str(path),
            help="stop the other one" if held else "check who owns the folder and what lies there",
        ) from None


def _path_of(worker: socket.socket) -> str:
    path = worker.getsockname()
    if not isinstance(path, str) or not path.startswith("/"):
        raise SettingsError(
            "OM0105",
            "the Unix socket that was passed has no path",
            where="ListenStream= of the socket unit",
            help="write ListenStream=%t/omnimind/%i.sock",
        )
    return path


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if status.st_uid != os.geteuid() or status.st_mode & 0o022:
            raise StateError(
                "OM0205",
                "the folder of the socket belongs to or can be written by others",
                where=str(folder),
                help=f"make it yours alone: chmod 700 {folder}",
            )
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
