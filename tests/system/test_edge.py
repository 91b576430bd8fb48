"""The edge refuses by default: what a hostile or careless client meets, over raw sockets.

Every case is followed by a good request on a connection of its own: a refusal costs the refused one only.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.fleet import Fleet

VERSION = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": VERSION,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "edge-test", "version": "1"},
}


@dataclass(frozen=True)
class Answer:
    """One HTTP response, read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> dict[str, Any]:
        error: dict[str, Any] = json.loads(self.body)["error"]
        return error


class Edge:
    """Raw access to a fleet's port."""

    def __init__(self, fleet: Fleet) -> None:
        url = urlsplit(fleet.base)
        assert url.hostname is not None
        assert url.port is not None
        self.address = (url.hostname, url.port)
        self.host = f"{url.hostname}:{url.port}"
        self.token = fleet.token

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, timeout=10)

    def send(self, raw: bytes) -> Answer:
        with closing(self.connect()) as connection:
            connection.sendall(raw)
            return read_answer(connection)

    def request(
        self,
        body: bytes = b"",
        *,
        path: str = "/servers/thinking/mcp",
        method: str = "POST",
        headers: dict[str, str | None] | None = None,
    ) -> Answer:
        return self.send(self.head(len(body), path=path, method=method, headers=headers) + body)

    def head(
        self,
        length: int,
        *,
        path: str = "/servers/thinking/mcp",
        method: str = "POST",
        headers: dict[str, str | None] | None = None,
    ) -> bytes:
        fields: dict[str, str | None] = {
            "Host": self.host,
            "Authorization": f"Bearer {self.token}",
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": VERSION,
            "Content-Length": str(length),
        } | (headers or {})
        lines = [f"{name}: {value}" for name, value in fields.items() if value is not None]
        return (f"{method} {path} HTTP/1.1\r\n" + "\r\n".join(lines) + "\r\n\r\n").encode()

    def good(self) -> Answer:
        """A request that must work whatever went before."""
        body = json.dumps(message("tools/list")).encode()
        return self.request(body, headers={"Mcp-Method": "tools/list"})


def message(method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": META}}


def read_answer(connection: socket.socket) -> Answer:
    with connection.makefile("rb") as stream:
        line = stream.readline().split()
        if not line:
            raise ConnectionError("closed without an answer")
        headers = {}
        while (field := stream.readline().strip()) != b"":
            name, _, value = field.decode().partition(":")
            headers[name.lower()] = value.strip()
        body = stream.read(int(headers.get("content-length", 0)))
    return Answer(int(line[1]), headers, body)


@pytest.fixture(scope="module")
def edge() -> Iterator[Edge]:
    limits = {"header_timeout_ms": 700, "body_timeout_ms": 700}
    with Fleet({"thinking": {}}, auth=True, gateway=limits) as fleet:
        yield Edge(fleet)


@pytest.fixture(autouse=True)
def others_are_served(edge: Edge) -> Iterator[None]:
    yield
    answer = edge.good()
    assert answer.status == 200, answer
    assert json.loads(answer.body)["result"]["tools"]


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil", "127.0.0.1.nip.io:4320", "0.0.0.0", ""])
def test_foreign_hosts_are_misdirected(edge: Edge, host: str) -> None:
    answer = edge.request(b"{}", headers={"Host": host})
    assert answer.status == 421
    assert answer.error["code"] == 42100


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "http://evil.example",
        "http://localhost.evil",
        "http://127.0.0.1:4320@evil",
        "http://LOCALHOST.",
        "x",
    ],
)
def test_foreign_origins_are_forbidden_before_the_token_is_looked_at(edge: Edge, origin: str) -> None:
    answer = edge.request(b"{}", headers={"Origin": origin, "Authorization": None})
    assert answer.status == 403
    assert answer.error["code"] == 40300


def test_a_local_origin_passes(edge: Edge) -> None:
    body = json.dumps(message("tools/list")).encode()
    answer = edge.request(body, headers={"Mcp-Method": "tools/list", "Origin": "http://localhost:3000"})
    assert answer.status == 200


@pytest.mark.parametrize("token", [None, "Bearer wrong", "Basic abc", "Bearer", ""])
@pytest.mark.parametrize("path", ["/mcp", "/servers/thinking/mcp", "/metrics"])
def test_nothing_is_served_without_a_known_token(edge: Edge, token: str | None, path: str) -> None:
    method = "GET" if path == "/metrics" else "POST"
    answer = edge.request(b"", path=path, method=method, headers={"Authorization": token})
    assert answer.status == 401
    assert answer.error["code"] == 40100
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_probes_need_no_token_and_say_only_ok(edge: Edge) -> None:
    for path in ("/healthz", "/readyz"):
        answer = edge.request(path=path, method="GET", headers={"Authorization": None})
        assert (answer.status, answer.body) == (200, b"ok\n")


def test_operators_read_metrics(edge: Edge) -> None:
    answer = edge.request(path="/metrics", method="GET")
    assert answer.status == 200
    assert b'omnimind_server_ready{server="thinking"} 1' in answer.body


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/.well-known/oauth-protected-resource", 40401),
        ("/", 40401),
        ("/mcp/", 40401),
        ("/servers/thinking/mcp/x", 40401),
        ("/servers/../mcp", 40400),
        ("/servers//mcp", 40401),
        ("/servers/nosuch/mcp", 40400),
        ("/servers/thinking%2fmcp", 40401),
    ],
)
def test_what_is_not_there_is_not_found(edge: Edge, path: str, code: int) -> None:
    answer = edge.request(b"{}", path=path)
    assert answer.status == 404
    assert answer.error["code"] == code


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": None}, 415),
        ({"Content-Encoding": "gzip"}, 415),
        ({"Accept": "text/html"}, 406),
    ],
)
def test_media_types_are_checked(edge: Edge, change: dict[str, str | None], status: int) -> None:
    assert edge.request(b"{}", headers=change).status == status


@pytest.mark.parametrize("method", ["PUT", "PATCH", "OPTIONS", "TRACE", "BREW"])
def test_other_methods_are_not_allowed(edge: Edge, method: str) -> None:
    assert edge.request(method=method).status == 405


def test_a_head_over_16_kib_gets_a_readable_431(edge: Edge) -> None:
    answer = edge.request(b"{}", headers={"X-Long": "x" * 20_000})
    assert answer.status == 431
    assert answer.error["code"] == 43100
    assert "16384" in answer.error["message"]


def test_more_than_100_fields_get_a_readable_431(edge: Edge) -> None:
    answer = edge.request(b"{}", headers={f"X-{number}": "1" for number in range(150)})
    assert answer.status == 431
    assert answer.error["code"] == 43100


def test_a_5_mb_body_gets_a_readable_413(edge: Edge) -> None:
    body = b'{"jsonrpc":"2.0","id":1,"method":"' + b"x" * 5_000_000 + b'"}'
    answer = edge.request(body)
    assert answer.status == 413
    assert answer.error["code"] == 41300
    assert "4194304" in answer.error["message"]


def test_a_declared_gigabyte_is_refused_without_being_sent(edge: Edge) -> None:
    with closing(edge.connect()) as connection:
        connection.sendall(edge.head(1 << 30) + b"{")
        assert read_answer(connection).status == 413


def test_a_chunked_body_over_the_limit_is_refused(edge: Edge) -> None:
    head = edge.head(0, headers={"Content-Length": None, "Transfer-Encoding": "chunked"})
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    with closing(edge.connect()) as connection:
        connection.sendall(head + chunk * 80 + b"0\r\n\r\n")
        assert read_answer(connection).status == 413


def test_a_refused_body_is_drained_and_the_connection_goes_on(edge: Edge) -> None:
    body = b"x" * 100_000
    good = json.dumps(message("tools/list")).encode()
    with closing(edge.connect()) as connection:
        connection.sendall(edge.head(len(body), headers={"Authorization": "Bearer no"}) + body)
        assert read_answer(connection).status == 401
        connection.sendall(edge.head(len(good), headers={"Mcp-Method": "tools/list"}) + good)
        assert read_answer(connection).status == 200


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"Authorization": "Bearer no"}, 401),
        ({"Authorization": None}, 401),
        ({"Origin": "http://evil.example"}, 403),
        ({"Host": "evil.example"}, 421),
        ({"Content-Type": "text/plain"}, 415),
        ({"Accept": "text/html"}, 406),
        ({"X-Long": "x" * 20_000}, 431),
    ],
)
def test_a_connection_is_not_trusted_for_what_it_sent_before(
    edge: Edge, change: dict[str, str | None], status: int
) -> None:
    good = json.dumps(message("tools/list")).encode()
    head = edge.head(len(good), headers={"Mcp-Method": "tools/list", "X-Long": "x"})
    with closing(edge.connect()) as connection:
        for _ in range(3):
            connection.sendall(head + good)
            assert read_answer(connection).status == 200
        fields = {"Mcp-Method": "tools/list", "X-Long": "x"} | change
        connection.sendall(edge.head(len(good), headers=fields) + good)
        assert read_answer(connection).status == status


@pytest.mark.roomy
def test_a_slow_head_is_cut_off(edge: Edge) -> None:
    with closing(edge.connect()) as connection:
        connection.sendall(b"POST /mcp HT")
        began = time.monotonic()
        assert_closed(connection)
        assert time.monotonic() - began < 7


def test_a_connection_that_says_nothing_is_cut_off(edge: Edge) -> None:
    with closing(edge.connect()) as connection:
        assert_closed(connection)


def test_a_slow_body_gets_408(edge: Edge) -> None:
    with closing(edge.connect()) as connection:
        connection.sendall(edge.head(100) + b"{")
        answer = read_answer(connection)
        assert answer.status == 408
        assert answer.error["code"] == 40800


def assert_closed(connection: socket.socket) -> None:
    """The other side ends the connection, with or without some last words."""
    try:
        while connection.recv(4096):
            pass
    except ConnectionResetError:
        pass


SMUGGLING = [
    "Content-Length: 5\r\nContent-Length: 6",
    "Content-Length: -1",
    "Content-Length: +5",
    "Content-Length: 0x5",
    "Content-Length: 5, 6",
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding: chunked, identity",
    "Content-Length : 5",
    "X-Folded: a\r\n b",
    "X-Nul: a\0b",
]


@pytest.mark.parametrize("field", SMUGGLING)
def test_ambiguous_heads_are_rejected_and_the_connection_ends(edge: Edge, field: str) -> None:
    head = edge.head(0, headers={"Content-Length": None}).removesuffix(b"\r\n") + field.encode() + b"\r\n\r\n"
    with closing(edge.connect()) as connection:
        connection.sendall(head + b"{}{}{}")
        try:
            assert 400 <= read_answer(connection).status < 500
        except ConnectionError:
            return  # what is no HTTP may get no answer, only the end of the connection
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: " + edge.host.encode() + b"\r\n\r\n")
        assert_closed(connection)


BAD_MESSAGES: dict[str, bytes] = {
    "empty": b"",
    "byte order mark": b"\xef\xbb\xbf{}",
    "nul": b"\0",
    "trailing comma": b'{"jsonrpc":"2.0","id":1,"method":"ping",}',
    "nan": b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":NaN}}',
    "lone surrogate": b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":"\\ud800"}}',
    "overlong utf-8": b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":"\xc0\xaf"}}',
    "duplicate id": b'{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}',
    "duplicate method by escape": b'{"jsonrpc":"2.0","id":1,"method":"ping","m\\u0065thod":"tools/call"}',
    "duplicate name": b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","name":"b"}}',
    "duplicate deep": b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":[{"b":1,"b":2}]}}',
    "depth 65": b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":' + b"[" * 65 + b"]" * 65 + b"}}",
    "depth a million": b"[" * 1_000_000,
    "batch": b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]',
    "id null": b'{"jsonrpc":"2.0","id":null,"method":"ping"}',
    "id float": b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}',
    "id object": b'{"jsonrpc":"2.0","id":{},"method":"ping"}',
    "version 1": b'{"jsonrpc":"1.0","id":1,"method":"ping"}',
    "version number": b'{"jsonrpc":2.0,"id":1,"method":"ping"}',
    "params array": b'{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}',
    "meta text": b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":"x"}}',
    "method number": b'{"jsonrpc":"2.0","id":1,"method":7}',
    "two messages": b'{"jsonrpc":"2.0","id":1,"method":"ping"}{}',
}


@pytest.mark.parametrize("raw", BAD_MESSAGES.values(), ids=BAD_MESSAGES.keys())
def test_a_body_that_is_no_message_is_a_400_with_words(edge: Edge, raw: bytes) -> None:
    answer = edge.request(raw)
    assert answer.status == 400
    assert answer.error["code"] in (-32700, -32600, -32602)
    assert len(answer.error["message"]) > 10


@pytest.mark.parametrize("key", ["command", "args", "env"])
def test_no_route_takes_a_command(edge: Edge, key: str) -> None:
    body = json.dumps(message("servers/add", **{key: "touch /tmp/pwned"})).encode()
    for path in ("/mcp", "/servers/thinking/mcp", "/servers", "/servers/new/mcp", "/admin", "/config"):
        answer = edge.request(body, path=path, headers={"Mcp-Method": "servers/add"})
        assert answer.status == 404


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Mcp-Method", "tools/call"),
        ("Mcp-Method", "TOOLS/LIST"),
        ("Mcp-Method", None),
        ("MCP-Protocol-Version", "2025-11-25"),
    ],
)
def test_headers_that_differ_from_the_body_are_refused(edge: Edge, header: str, value: str | None) -> None:
    body = json.dumps(message("tools/list")).encode()
    answer = edge.request(body, headers={"Mcp-Method": "tools/list", header: value})
    assert answer.status == 400
    assert answer.error["code"] in (-32020, -32602)
