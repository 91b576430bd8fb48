"""A real worker process, and a peer that speaks its protocol: the key line, then newline JSON-RPC."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LINE_BYTES = 64 * 1024 * 1024
MODERN = "2026-07-28"


@dataclass
class WorkerProcess:
    process: subprocess.Popen[bytes]
    address: str
    key: bytes

    @contextmanager
    def closing(self) -> Iterator[WorkerProcess]:
        try:
            yield self
        finally:
            self.process.kill()
            self.process.wait()


@contextmanager
def worker(name: str, state: Path, *args: str) -> Iterator[WorkerProcess]:
    """Start a worker the way the orchestrator does without its zygote; kill it at the end."""
    address = str(state / f"{name}-{secrets.token_hex(4)}.sock")
    key = secrets.token_bytes(32)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(128)
        key_out, key_in = os.pipe()
        os.write(key_in, key)
        os.close(key_in)
        command = [sys.executable, "-m", "omnimind.servers", name, "--state", str(state)]
        command += ["--listen-fd", str(listener.fileno()), "--key-fd", str(key_out), "--", *args]
        environment = {**os.environ, "PYTHONFAULTHANDLER": "1"}
        process = subprocess.Popen(command, pass_fds=(listener.fileno(), key_out), env=environment)
        os.close(key_out)
    with WorkerProcess(process, address, key).closing() as running:
        yield running


class Peer:
    """One connection to a worker. Answers are handed to whoever waits for their id."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, principal: str | None
    ) -> None:
        self.reader, self.writer = reader, writer
        self.principal = principal
        self.answers: dict[Any, asyncio.Future[dict[str, Any]]] = {}
        self.unasked: list[dict[str, Any]] = []
        self._arrived = asyncio.Event()
        self._next = 0
        self._gone = False
        self._pump = asyncio.create_task(self._read())

    async def _read(self) -> None:
        with contextlib.suppress(ConnectionError):
            await self._hand_out()
        self._gone = True
        for waiting in self.answers.values():
            if not waiting.done():
                waiting.set_exception(ConnectionError("the worker closed the connection"))

    async def _hand_out(self) -> None:
        while line := await self.reader.readline():
            message = json.loads(line)
            waiting = self.answers.get(message.get("id"))
            if "method" in message or waiting is None or waiting.done():
                self.unasked.append(message)
                self._arrived.set()
            else:
                waiting.set_result(message)

    async def told(self, count: int) -> None:
        """Wait until so many messages came that answer no request."""
        while len(self.unasked) < count:
            self._arrived.clear()
            await self._arrived.wait()

    def meta(self) -> dict[str, Any]:
        meta: dict[str, Any] = {
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientCapabilities": {},
        }
        return meta if self.principal is None else {**meta, "omnimind/principal": self.principal}

    def send(self, method: str, params: dict[str, Any] | None = None, *, modern: bool = True) -> Any:
        """Send a request; returns the future of its answer."""
        if self._gone:
            raise ConnectionError("the worker closed the connection")
        self._next += 1
        meta = self.meta() if modern else {"omnimind/principal": self.principal}
        message = {"jsonrpc": "2.0", "id": self._next, "method": method}
        message["params"] = {**(params or {}), "_meta": meta}
        waiting: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self.answers[self._next] = waiting
        self.writer.write(json.dumps(message).encode() + b"\n")
        return waiting

    async def call(self, tool: str, arguments: dict[str, Any] | None = None) -> dict[str, Any]:
        """Call a tool and return its result; a protocol error raises."""
        answer = await self.send("tools/call", {"name": tool, "arguments": arguments or {}})
        if "error" in answer:
            raise RuntimeError(str(answer["error"]))
        result: dict[str, Any] = answer["result"]
        return result

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()
        await self._pump


@asynccontextmanager
async def connected(to: WorkerProcess, principal: str | None = "alice") -> AsyncIterator[Peer]:
    """An open connection that has said the key."""
    reader, writer = await asyncio.open_unix_connection(to.address, limit=LINE_BYTES)
    writer.write(to.key.hex().encode() + b"\n")
    peer = Peer(reader, writer, principal)
    try:
        yield peer
    finally:
        await peer.close()
