"""A small HTTP/1.1 server on a real socket, which counts and does as it is told."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self


@dataclass
class Asked:
    """A request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Answer:
    """What is answered: a body, or pieces that are sent as they are made."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    take_s: float = 0.0
    raw: Callable[[socket.socket], None] | None = None


class Origin:
    """Serves `answer` until it is left; `idle_s` is how long a connection may rest."""

    def __init__(
        self,
        answer: Callable[[Asked], Answer],
        *,
        idle_s: float = 60.0,
        tls: ssl.SSLContext | None = None,
        backlog: int = 512,
    ) -> None:
        self._answer = answer
        self._idle_s = idle_s
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=backlog)
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'https://localhost' if tls else 'http://127.0.0.1'}:{self.port}"
        self.connections = 0
        self.requests = 0
        self.in_flight = 0
        self.most = 0

    @property
    def open(self) -> int:
        """Connections that are open."""
        with self._lock:
            return len(self._open)

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for connection in self._open:
                connection.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with self._lock:
                self._open.add(connection)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.settimeout(self._idle_s)
            reader = connection.makefile("rb")
            while (asked := _read(reader.readline, reader.read)) is not None:
                if not self._reply(connection, asked):
                    break
        except OSError:
            pass
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()

    def _reply(self, connection: socket.socket, asked: Asked) -> bool:
        with self._lock:
            self.requests += 1
            self.in_flight += 1
            self.most = max(self.most, self.in_flight)
        try:
            answer = self._answer(asked)
            if answer.take_s:
                time.sleep(answer.take_s)
        finally:
            with self._lock:
                self.in_flight -= 1
        if answer.raw is not None:
            answer.raw(connection)
            return False
        headers = {"content-length": str(len(answer.body)), **answer.headers}
        head = f"HTTP/1.1 {answer.status} X\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items())
        connection.sendall(
            head.encode("latin-1") + b"\r\n" + (b"" if asked.method == "HEAD" else answer.body)
        )
        return headers.get("connection") != "close"


def _read(line: Callable[[], bytes], read: Callable[[int], bytes]) -> Asked | None:
    first = line().decode("latin-1").split()
    if not first:
        return None
    headers: dict[str, str] = {}
    while (text := line().decode("latin-1").strip()) != "":
        name, _, value = text.partition(":")
        headers[name.lower()] = value.strip()
    return Asked(first[0], first[1], headers, read(int(headers.get("content-length", 0))))


def chunked(pieces: list[bytes], headers: str = "", pause_s: float = 0.0) -> Callable[[socket.socket], None]:
    """An answer in chunks."""

    def send(connection: socket.socket) -> None:
        connection.sendall(f"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n{headers}\r\n".encode())
        for piece in pieces:
            connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
            time.sleep(pause_s)
        connection.sendall(b"0\r\n\r\n")

    return send
