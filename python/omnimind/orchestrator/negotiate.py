"""Readiness: a server is ready when it has answered a real protocol question, and not before.

A worker is asked `server/discover` over its socket, after the instance key. A stdio child is asked the same;
one that does not know it is offered `initialize` on the same pipe; one that dies of the question or keeps
silent must be started again and offered `initialize` alone (`Mode.LEGACY`). What it answered is kept: every
gateway that is handed the pipe later needs it. Ids 1 and 2 are of epoch 0, which no gateway has.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import anyio

from omnimind.linux import unixpath

MODERN = "2026-07-28"
LEGACY = "2025-11-25"
DISCOVER_S = 5.0
"""A child silent this long on `server/discover` is taken for one that will never answer it."""

CAPABILITIES: Mapping[str, Any] = {"sampling": {}, "elicitation": {"form": {}, "url": {}}}
"""What a child without a session of its own is told its client can do; never roots."""

_LINE_BYTES = 4 * 1024 * 1024
_CHUNK = 64 * 1024


class Mode(Enum):
    """What to offer a child."""

    ANY = "any"
    MODERN = "modern"
    LEGACY = "legacy"


class NotReady(Exception):
    """It answered, but not so that we can work with it."""


class Silent(NotReady):
    """It did not answer `server/discover`: `initialize` alone may still help."""


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What was agreed with a server."""

    era: str
    version: str
    result: Mapping[str, Any]


class Lines:
    """Newline-delimited JSON over two non-blocking descriptors; keeps what it read too much."""

    def __init__(self, write_fd: int, read_fd: int) -> None:
        self._write_fd = write_fd
        self._read_fd = read_fd
        self._buffer = b""

    @property
    def leftover(self) -> bytes:
        """Bytes that came after the last line taken."""
        return self._buffer

    async def send(self, data: bytes) -> None:
        """Write all of it."""
        while data:
            try:
                data = data[os.write(self._write_fd, data) :]
            except BlockingIOError:
                await anyio.wait_writable(self._write_fd)

    async def answer_to(self, number: int) -> Mapping[str, Any]:
        """The response with this id; other lines before it are dropped. Raises EOFError at the end."""
        while True:
            line = await self._line()
            try:
                message = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(message, dict) and message.get("id") == number and "method" not in message:
                return message

    async def _line(self) -> bytes:
        while b"\n" not in self._buffer:
            if len(self._buffer) > _LINE_BYTES:
                raise NotReady(f"it wrote more than {_LINE_BYTES} bytes without a newline")
            await anyio.wait_readable(self._read_fd)
            try:
                chunk = os.read(self._read_fd, _CHUNK)
            except BlockingIOError:
                continue
            if not chunk:
                raise EOFError
            self._buffer += chunk
        line, self._buffer = self._buffer.split(b"\n", 1)
        return line


def _line(message: Mapping[str, Any]) -> bytes:
    return json.dumps({"jsonrpc": "2.0", **message}, separators=(",", ":")).encode() + b"\n"


def _discover(version: str, capabilities: Mapping[str, Any], number: int = 1) -> bytes:
    meta = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": capabilities,
        "io.modelcontextprotocol/clientInfo": {"name": "omnimind", "version": version},
    }
    return _line({"id": number, "method": "server/discover", "params": {"_meta": meta}})


def _initialize(version: str, capabilities: Mapping[str, Any]) -> bytes:
    parameters = {
        "protocolVersion": LEGACY,
        "capabilities": capabilities,
        "clientInfo": {"name": "omnimind", "version": version},
    }
    return _line({"id": 2, "method": "initialize", "params": parameters})


async def with_child(lines: Lines, mode: Mode, capabilities: Mapping[str, Any], version: str) -> Negotiated:
    """Agree with a child on an era. Raises NotReady, or EOFError or OSError when its pipes close."""
    if mode is not Mode.LEGACY:
        modern = await _try_modern(lines, capabilities, version)
        if modern is not None:
            return modern
        if mode is Mode.MODERN:
            raise NotReady("it does not speak the modern era")
    await lines.send(_initialize(version, capabilities))
    answer = await lines.answer_to(2)
    await lines.send(_line({"method": "notifications/initialized"}))
    result = answer.get("result")
    if not isinstance(result, dict) or not isinstance(result.get("protocolVersion"), str):
        raise NotReady(f"it refused initialize: {_complaint(answer)}")
    return Negotiated("legacy", result["protocolVersion"], result)


async def _try_modern(lines: Lines, capabilities: Mapping[str, Any], version: str) -> Negotiated | None:
    answer: Mapping[str, Any] | None = None
    with anyio.move_on_after(DISCOVER_S):
        await lines.send(_discover(version, capabilities))
        answer = await lines.answer_to(1)
    if answer is None:
        raise Silent(f"it did not answer server/discover within {DISCOVER_S:g} s")
    result = answer.get("result")
    versions = result.get("supportedVersions") if isinstance(result, dict) else None
    if isinstance(result, dict) and isinstance(versions, list) and MODERN in versions:
        return Negotiated("modern", MODERN, result)
    return None


async def with_worker(path: str, key: bytes, version: str) -> Negotiated:
    """Ask a worker over its socket. Raises NotReady; OSError while nobody listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as end:
        end.setblocking(False)
        with unixpath.address(path) as short:
            end.connect(short)
        return await greet_worker(Lines(end.fileno(), end.fileno()), key, version)


async def greet_worker(lines: Lines, key: bytes, version: str) -> Negotiated:
    """Open a new connection with the key and the first question. Raises NotReady or OSError."""
    await lines.send(key.hex().encode() + b"\n")
    return await ask_worker(lines, 1, version)


async def ask_worker(lines: Lines, number: int, version: str) -> Negotiated:
    """Ask a worker on a connection that is open; each question has a number. Raises NotReady or OSError."""
    try:
        await lines.send(_discover(version, {}, number))
        answer = await lines.answer_to(number)
    except EOFError as fault:
        raise NotReady("it closed the connection") from fault
    result = answer.get("result")
    if not isinstance(result, dict):
        raise NotReady(f"it refused server/discover: {_complaint(answer)}")
    return Negotiated("modern", MODERN, result)


def _complaint(answer: Mapping[str, Any]) -> str:
    error = answer.get("error")
    said = error.get("message") if isinstance(error, dict) else None
    return str(said)[:200] if said else "no reason given"
