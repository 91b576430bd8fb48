"""A client that reads a large result slowly costs the gateway a bounded buffer, and nobody else anything.

The server writes as fast as it is read; the client reads at its own pace over a socket of its own. What the gateway's
process holds is taken from the kernel while the client reads: its anonymous memory, as pages of files that it shares
with others count for more or less when those come and go.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from tests.calling import META
from tests.fleet import Fleet, fixture_entry

FULL = bool(os.environ.get("OMNIMIND_FULL"))
RESULT_BYTES = (100 if FULL else 32) * 1_000_000
READ_S = 60.0 if FULL else 3.0
BYTES_PER_S = 10_000 if FULL else 100_000
MOST_BYTES = 2 * 1024 * 1024
PIECE = b"what is written here, again and again\\n" * 1_600


class Server(BaseHTTPRequestHandler):
    """Modern MCP with one tool, whose result is as large as it is asked for."""

    protocol_version = "HTTP/1.1"
    kind = "application/json"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if asked["method"] == "tools/call":
            self.large(asked["id"], asked["params"]["arguments"]["bytes"])
            return
        result: dict[str, Any] = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
        if asked["method"] == "server/discover":
            result |= {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}}
        else:
            result |= {"tools": [{"name": "make", "inputSchema": {"type": "object"}}]}
        body = json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}).encode()
        self.head("application/json", len(body))
        self.wfile.write(body)

    def large(self, number: int, size: int) -> None:
        before = b"event: message\ndata: " if self.kind == "text/event-stream" else b""
        before += b'{"jsonrpc":"2.0","id":%d,"result":{"resultType":"complete","content":' % number
        before += b'[{"type":"text","text":"'
        after = b'"}]}}\n\n'
        pieces = size // len(PIECE)
        self.head(self.kind, len(before) + pieces * len(PIECE) + len(after))
        self.wfile.write(before)
        for _ in range(pieces):
            self.wfile.write(PIECE)
        self.wfile.write(after)

    def head(self, kind: str, size: int) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(size))
        self.end_headers()

    def do_GET(self) -> None:
        self.send_error(405)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class EventServer(Server):
    """The same as an event stream."""

    kind = "text/event-stream"


@contextmanager
def served(handler: type[Server]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/mcp"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Reader:
    """One call on a connection of its own, read at any pace."""

    def __init__(self, url: str, size: int, tool: str = "make") -> None:
        split = urlsplit(url)
        assert split.hostname is not None
        assert split.port is not None
        params = {"name": tool, "arguments": {"bytes": size}, "_meta": META}
        body = json.dumps({"jsonrpc": "2.0", "id": "a-1", "method": "tools/call", "params": params})
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        self.socket.settimeout(60)
        self.socket.connect((split.hostname, split.port))
        self.socket.sendall(
            f"POST {split.path} HTTP/1.1\r\nHost: {split.netloc}\r\nContent-Type: application/json\r\n"
            f"Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\n"
            f"Mcp-Method: tools/call\r\nMcp-Name: {tool}\r\nConnection: close\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        self.read = bytearray()

    def some(self, most: int) -> bool:
        piece = self.socket.recv(most)
        self.read += piece
        return bool(piece)

    def result(self) -> dict[str, Any]:
        """Reads the rest as fast as it comes."""
        while self.some(1 << 20):
            pass
        self.socket.close()
        head, _, body = bytes(self.read).partition(b"\r\n\r\n")
        assert b" 200 " in head.splitlines()[0], head
        assert b"application/json" in head
        found: dict[str, Any] = json.loads(unchunked(body) if b"chunked" in head else body)
        assert found["id"] == "a-1"
        result: dict[str, Any] = found["result"]
        return result


def unchunked(body: bytes) -> bytes:
    parts: list[bytes] = []
    at = 0
    while True:
        line = body.index(b"\r\n", at)
        size = int(body[at:line], 16)
        if size == 0:
            return b"".join(parts)
        parts.append(body[line + 2 : line + 2 + size])
        at = line + 2 + size + 2


def gateway(fleet: Fleet) -> psutil.Process:
    return next(
        process for process in fleet.descendants() if "omnimind.gateway" in " ".join(process.cmdline())
    )


def held(process: psutil.Process) -> int:
    """Bytes of memory that are the process's own and no file's."""
    status = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in status if line.startswith("RssAnon:"))


def grown_while_read(
    fleet: Fleet, url: str, tool: str = "make", meanwhile: Callable[[], None] = lambda: None
) -> int:
    """Bytes by which the gateway is larger at most, while a large result is read slowly. It is read to its end, and
    must be what was sent."""
    # What comes once and stays (threads, allocators) is there before.
    Reader(url, RESULT_BYTES, tool).result()
    process = gateway(fleet)
    before = held(process)
    reader = Reader(url, RESULT_BYTES, tool)
    most = 0
    end = time.monotonic() + READ_S
    while time.monotonic() < end:
        assert reader.some(BYTES_PER_S // 10)
        most = max(most, held(process))
        meanwhile()
        time.sleep(0.1)
    assert len(reader.read) < RESULT_BYTES // 2
    content = reader.result()["content"]
    expected = hashlib.sha256(
        b"what is written here, again and again\n" * 1_600 * (RESULT_BYTES // len(PIECE))
    )
    assert hashlib.sha256(content[0]["text"].encode()).digest() == expected.digest()
    return most - before


@pytest.mark.bar
@pytest.mark.timeout(300)
@pytest.mark.parametrize("handler", [Server, EventServer])
def test_a_slow_reader_of_a_large_result_costs_a_bounded_buffer(handler: type[Server]) -> None:
    with served(handler) as url, Fleet({"large": {"url": url}}) as fleet:
        grown = grown_while_read(fleet, fleet.url("large"))
        print(f"{RESULT_BYTES} bytes at {BYTES_PER_S} B/s: the gateway grew by {grown} bytes")
        assert grown <= MOST_BYTES


@pytest.mark.bar
@pytest.mark.timeout(300)
def test_so_it_is_at_the_endpoint_of_all_servers() -> None:
    with served(Server) as url, Fleet({"large": {"url": url}}) as fleet:
        grown = grown_while_read(fleet, fleet.aggregate, "large__make")
        print(f"{RESULT_BYTES} bytes at {BYTES_PER_S} B/s: the gateway grew by {grown} bytes")
        assert grown <= MOST_BYTES


@pytest.mark.roomy
@pytest.mark.bar
@pytest.mark.timeout(300)
def test_so_it_is_over_a_pipe_that_others_share_and_they_are_answered() -> None:
    server = fixture_entry("large_lines", sessions="shared")
    with Fleet({"large": server}) as fleet:
        url = fleet.url("large")
        waited = []

        def others() -> None:
            since = time.monotonic()
            assert len(Reader(url, len(PIECE)).result()["content"][0]["text"]) > 0
            waited.append(time.monotonic() - since)

        grown = grown_while_read(fleet, url, meanwhile=others)
        slowest = max(waited)
        print(f"{RESULT_BYTES} bytes at {BYTES_PER_S} B/s: the gateway grew by {grown} bytes")
        print(f"{len(waited)} other calls on the pipe meanwhile, the slowest in {slowest:.3f} s")
        assert grown <= MOST_BYTES
        assert len(waited) >= READ_S
        assert slowest < 5
        assert not list((fleet.state / "spool").iterdir())
