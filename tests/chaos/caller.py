"""A lean HTTP client that knows what became of every call: answered, an error, broken off, refused, silent.

Rule: an attempt is never repeated in here, so that what the gateway did is what is counted. Connections are
kept and used again as real clients do; one whose other end has closed it is not picked.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from tests.calling import TO_THE_SERVER

PATIENCE_S = 30.0
MODERN = "2026-07-28"
LEGACY = "2025-11-25"
META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
    **TO_THE_SERVER,
}
LINE_BYTES = 4 * 1024 * 1024
_ids = itertools.count(1)


class Fate(Enum):
    """What became of one attempt."""

    ANSWERED = "answered"
    ERROR = "error"
    BROKEN = "broken off"
    REFUSED = "refused"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request sent once; times on the clock of `time.monotonic`."""

    fate: Fate
    sent_s: float
    ended_s: float
    result: Any = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and how: one principal in one era, with a session if the era has them."""

    name: str
    token: str
    session: str | None = None

    @property
    def modern(self) -> bool:
        return self.session is None


@dataclass(slots=True)
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    idle_since_s: float = 0.0

    @property
    def is_open(self) -> bool:
        return not self.reader.at_eof() and not self.writer.is_closing()

    def close(self) -> None:
        self.writer.close()


@dataclass(slots=True)
class Client:
    """Connections to one gateway."""

    host: str
    port: int
    idle: list[_Connection] = field(default_factory=list)
    _open: dict[int, float] = field(default_factory=dict)
    _ended_s: deque[float] = field(default_factory=lambda: deque(maxlen=10_000))

    def in_flight_since(self, since_s: float) -> int:
        """Calls that were in flight at some time from `since_s` until now."""
        return len(self._open) + sum(1 for ended_s in self._ended_s if ended_s >= since_s)

    async def call(
        self, caller: Caller, path: str, method: str, params: Mapping[str, Any], *, fresh: bool = False
    ) -> Attempt:
        """One attempt; over a connection of its own if `fresh`."""
        body, headers = request(caller, method, params)
        return await self.post(path, body, headers, fresh=fresh)

    async def post(
        self, path: str, body: bytes, headers: Mapping[str, str], *, fresh: bool = False
    ) -> Attempt:
        began_s, number = time.monotonic(), next(_ids)
        self._open[number] = began_s
        connection: _Connection | None = None
        fate, result, detail = Fate.BROKEN, None, ""
        try:
            async with asyncio.timeout(PATIENCE_S):
                connection = await self._take(fresh)
                connection.writer.write(head(self.host, path, body, headers) + body)
                status, answer_headers, answer = await _read(connection.reader)
            fate, result, detail = _judge(status, answer)
            if "mcp-session-id" in answer_headers:
                detail = answer_headers["mcp-session-id"]
            if not fresh and answer_headers.get("connection") != "close":
                self.idle.append(connection)
                connection = None
        except ConnectionRefusedError as fault:
            fate, detail = Fate.REFUSED, str(fault)
        except TimeoutError:
            fate, detail = Fate.SILENT, f"no answer within {PATIENCE_S:g} s"
        except (OSError, EOFError, ValueError) as fault:
            detail = repr(fault)
        finally:
            del self._open[number]
            self._ended_s.append(time.monotonic())
            if connection is not None:
                connection.close()
        return Attempt(fate, began_s, time.monotonic(), result, detail)

    async def _take(self, fresh: bool) -> _Connection:
        while self.idle and not fresh:
            connection = self.idle.pop()
            if connection.is_open:
                return connection
            connection.close()
        reader, writer = await asyncio.open_connection(self.host, self.port, limit=LINE_BYTES)
        return _Connection(reader, writer)

    def close(self) -> None:
        while self.idle:
            self.idle.pop().close()


def request(caller: Caller, method: str, params: Mapping[str, Any]) -> tuple[bytes, dict[str, str]]:
    """Body and headers of a call in the caller's era."""
    headers = {"Authorization": f"Bearer {caller.token}"}
    if caller.modern:
        params = {**params, "_meta": META}
        headers |= {"MCP-Protocol-Version": MODERN, "Mcp-Method": method}
        name = params.get("name", params.get("uri"))
        if isinstance(name, str):
            headers["Mcp-Name"] = name
    elif caller.session:
        params = {**params, "_meta": TO_THE_SERVER}
        headers |= {"MCP-Protocol-Version": LEGACY, "Mcp-Session-Id": caller.session}
    number = next(_ids)
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}).encode(), headers


async def open_session(client: Client, name: str, token: str, path: str) -> Caller:
    """A legacy session on one endpoint. Raises RuntimeError."""
    hello = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": name, "version": "1"}}
    body, headers = request(Caller(name, token, ""), "initialize", hello)
    begun = await client.post(path, body, headers)
    if begun.fate is not Fate.ANSWERED:
        raise RuntimeError(f"no session: {begun}")
    caller = Caller(name, token, begun.detail)
    _, headers = request(caller, "", {})
    note = json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"}).encode()
    await client.post(path, note, headers)
    return caller


def head(host: str, path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    """The head of a request."""
    lines = [f"POST {path} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(body)}"]
    lines += ["Content-Type: application/json", "Accept: application/json, text/event-stream"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


async def _read(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of an answer. Raises EOFError if it is cut short."""
    raw = await reader.readuntil(b"\r\n\r\n")
    first, *lines = raw.decode("latin-1").rstrip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if headers.get("transfer-encoding") == "chunked":
        body = await _read_chunks(reader)
    else:
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    if headers.get("content-type", "").startswith("text/event-stream"):
        body = _last_message(body)
    return int(first.split()[1]), headers, body


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    parts = []
    while size := int(await reader.readline() or b"-", 16):
        parts.append((await reader.readexactly(size + 2))[:-2])
    await reader.readline()
    return b"".join(parts)


def _last_message(stream: bytes) -> bytes:
    """The last event with data: the answer follows its notes."""
    found = b""
    for line in stream.splitlines():
        if line.startswith(b"data:") and len(line) > len(b"data: "):
            found = line.removeprefix(b"data:").strip()
    return found


def _judge(status: int, body: bytes) -> tuple[Fate, Any, str]:
    if status == 202:
        return Fate.ANSWERED, None, ""
    with contextlib.suppress(ValueError):
        answer = json.loads(body)
        if "result" in answer:
            return Fate.ANSWERED, answer["result"], ""
        error = answer.get("error", {})
        return Fate.ERROR, None, f"http {status}: {error.get('code')} {error.get('message')}"
    # A stream that ended without an answer is one that was cut off.
    return (Fate.BROKEN if status == 200 else Fate.ERROR), None, f"http {status}: {body[:200]!r}"
