"""A fleet of the nine and the servers beside it, and connections that ask them the same again and again."""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from benches import processes
from benches.hits import CAPABILITIES_KEY, VERSION, VERSION_KEY, Fixed
from tests.fleet import Fleet


class Line:
    """One kept connection that asks the same again and again; returns the body of each answer."""

    def __init__(self, url: str, body: bytes, headers: dict[str, str]) -> None:
        parts = urlsplit(url)
        lines = [f"POST {parts.path} HTTP/1.1", f"Host: {parts.netloc}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._bytes = "\r\n".join(lines).encode() + b"\r\n\r\n" + body
        self._socket = socket.create_connection((parts.hostname or "", parts.port or 0), timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __call__(self) -> bytes:
        self._socket.sendall(self._bytes)
        came = self._socket.recv(65536)
        while b"\r\n\r\n" not in came:
            came += self._socket.recv(65536)
        head, _, body = came.partition(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        while len(body) < length:
            body += self._socket.recv(65536)
        return body

    def close(self) -> None:
        self._socket.close()


def call_body(tool: str, arguments: Any) -> tuple[bytes, dict[str, str]]:
    """A modern `tools/call`, and its header fields."""
    client = {"name": "bench", "version": "1"}
    meta = {VERSION_KEY: VERSION, CAPABILITIES_KEY: {}, "io.modelcontextprotocol/clientInfo": client}
    params = {"name": tool, "arguments": arguments, "_meta": meta}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": VERSION,
        "Mcp-Method": "tools/call",
        "Mcp-Name": tool,
    }
    return json.dumps(message).encode(), headers


def serving(guard: int) -> list[int]:
    """The processes of a fleet that answer calls; guard and orchestrator look after them whether one calls or not."""
    found = []
    for pid in processes.family(guard):
        with suppress(OSError):  # one that has just ended
            if "omnimind.orchestrator" not in processes.command_line(pid):
                found.append(pid)
    return found


@dataclass
class House:
    """A fleet of the nine and three entries of the near-free upstream; and a server that reads no request."""

    fleet: Fleet
    fixed: Fixed

    def cpu_ns(self) -> int:
        """CPU that gateway and servers took so far."""
        return round(processes.cpu_s(serving(self.fleet.pid)) * 1e9)

    def fixed_cpu_ns(self) -> int:
        return round(processes.cpu_s([self.fixed.pid]) * 1e9)

    def line(self, server: str, tool: str, arguments: Any) -> Line:
        return Line(self.fleet.url(server), *call_body(tool, arguments))

    def echo(self) -> Line:
        """The reference of a call over loopback: bytes there, bytes back, nothing read."""
        return Line(self.fixed.url, *call_body("echo", {"text": "the same"}))
