"""The process of one built-in server: a Unix socket in front, one SDK session a connection.

Rules: a connection says the instance key first or is closed; a broken connection ends nothing but itself;
SIGTERM means no new work, five seconds for what is under way, exit 0. A request that arrives while the
worker drains is refused with a code that says it was not started, so that the gateway may send it to the
next worker whatever it does. SIGABRT writes the stacks of all threads to stderr, also while one of them holds
the interpreter.

asyncio's streams carry the bytes (they are the fast path on a socket); all else is anyio, as in the SDK.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import functools
import hmac
import logging
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any, Final

import anyio
import mcp_types as types
from mcp.server.lowlevel import Server

from omnimind.linux import process
from omnimind.linux.pulse import Beat
from omnimind.servers import ServerContext, announce, build, principal, sandbox
from omnimind.servers.lines import Connection

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    from mcp.server import MCPServer

    from omnimind.servers.pulse import Pulse

KEY_BYTES: Final = 32
KEY_TIMEOUT_S: Final = 5.0
DRAIN_S: Final = 5.0
_CANCEL_S: Final = 1.0
_QUIET_S: Final = 0.1
_CONNECTIONS: Final = 1024
_DRAINING: Final = 50300

log = logging.getLogger("omnimind.worker")


def run(
    name: str,
    listener: socket.socket,
    key: bytes,
    state_dir: Path,
    args: list[str],
    pulse: Pulse | None = None,
) -> None:
    """Serve `name` on an inherited, listening Unix socket until SIGTERM. Blocks; returns when drained."""
    if len(key) != KEY_BYTES:
        raise ValueError(f"an instance key has {KEY_BYTES} bytes, not {len(key)}")
    process.hide_memory()
    log_to_stderr()
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the orchestrator decides
    server = build(ServerContext(name, state_dir, args))
    sandbox.confine(name, state_dir, args)
    anyio.run(Worker(server, key).serve, listener, pulse)


def log_to_stderr() -> None:
    """Plain lines for the orchestrator's log, set before the SDK configures anything itself."""
    logging.basicConfig(
        level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )


def lowlevel(server: MCPServer | Server[Any]) -> Server[Any]:
    """The SDK server that can run on any pair of streams; the SDK has no public name for it."""
    return server if isinstance(server, Server) else server._lowlevel_server


class Worker:
    """An SDK server behind a socket. Without a key every connection is served, and none is believed."""

    def __init__(self, server: MCPServer | Server[Any], key: bytes | None) -> None:
        self._server = lowlevel(server)
        self._key_line = None if key is None else key.hex().encode()
        self._connections: set[Connection] = set()
        self._answered_before = 0
        self._draining = False
        self._idle = asyncio.Event()

    async def serve(
        self, listener: socket.socket, pulse: Pulse | None = None, stop: asyncio.Event | None = None
    ) -> None:
        """Accept until SIGTERM, or until `stop` where signals are another's; then finish what is under way."""
        loop = asyncio.get_running_loop()
        if stop is None:
            stop = asyncio.Event()
            loop.add_signal_handler(signal.SIGTERM, stop.set)
        listener.setblocking(False)
        async with anyio.create_task_group() as tasks:

            async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                tasks.start_soon(self._connected, reader, writer)

            # The path belongs to the guard, which holds the socket for the next worker.
            kept: dict[str, Any] = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}
            acceptor = await asyncio.start_unix_server(accepted, sock=listener, limit=1024 * 1024, **kept)
            if pulse is not None:
                tasks.start_soon(pulse.beat, self._measured)
            await stop.wait()
            acceptor.close()
            # A thread stuck in the kernel cannot be cancelled; the process ends all the same.
            loop.call_later(DRAIN_S + _CANCEL_S, os._exit, 0)
            await self._drain()
            tasks.cancel_scope.cancel()

    async def _drain(self) -> None:
        """Wait until all requests are answered and none has come for a moment: what stood in a socket when
        SIGTERM came still gets its refusal."""
        self._draining = True
        with anyio.move_on_after(DRAIN_S):
            seen = -1
            while seen != (seen := self._requests_seen()):
                while any(connection.unanswered for connection in self._connections):
                    self._idle.clear()
                    await self._idle.wait()
                await anyio.sleep(_QUIET_S)

    def _requests_seen(self) -> int:
        return sum(connection.requests for connection in self._connections)

    def _measured(self) -> Beat:
        under_way = [connection.unanswered for connection in self._connections if connection.unanswered]
        oldest_s = min((next(iter(requests.values())) for requests in under_way), default=None)
        return Beat(
            self._answered_before + sum(connection.answered for connection in self._connections),
            sum(len(requests) for requests in under_way),
            0 if oldest_s is None else int((time.monotonic() - oldest_s) * 1000),
        )

    def _refusal(self) -> types.ErrorData | None:
        if not self._draining:
            return None
        return types.ErrorData(
            code=_DRAINING,
            message="the server is stopping; the request was not started",
            data={"reason": "draining", "scope": "server", "retryAfterMs": 250},
        )

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if len(self._connections) >= _CONNECTIONS:
                log.warning("refused a connection: there are %d already", _CONNECTIONS)
            elif self._key_line is None:
                await self._session(reader, writer)
            elif await self._says_key(reader, self._key_line):
                principal.trust_connection()
                await self._session(reader, writer)
        except OSError as broken:
            log.debug("connection ended: %s", broken)
        except Exception:
            log.exception("connection ended by an error of ours")
        finally:
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _says_key(self, reader: asyncio.StreamReader, key_line: bytes) -> bool:
        said = b""
        with anyio.move_on_after(KEY_TIMEOUT_S), contextlib.suppress(asyncio.IncompleteReadError):
            said = await reader.readexactly(len(key_line) + 1)
        if hmac.compare_digest(said, key_line + b"\n"):
            return True
        log.warning("refused a connection that did not open with the instance key")
        return False

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer, self._refusal, self._idle.set)
        self._connections.add(connection)
        if principal.connection_is_trusted():
            announce.through(functools.partial(self._tell_changed, connection))
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._carry, connection, tasks.cancel_scope)
                tasks.start_soon(self._write, connection, tasks.cancel_scope)
                await self._server.run(
                    connection.messages, connection.answers, self._server.create_initialization_options()
                )
        finally:
            self._connections.discard(connection)
            self._answered_before += connection.answered
            connection.unanswered.clear()
            self._idle.set()

    def _tell_changed(self, writer: Connection, everybody: bool) -> None:
        """Where there is a key, every connection has said it: what is told here, only the gateway hears."""
        for connection in self._connections:
            if everybody or connection is not writer:
                connection.tell_changed()

    async def _carry(self, connection: Connection, scope: anyio.CancelScope) -> None:
        try:
            await connection.read()
        except OSError as broken:
            log.debug("connection broke while reading: %s", broken)
            scope.cancel()

    async def _write(self, connection: Connection, scope: anyio.CancelScope) -> None:
        try:
            await connection.write()
        except OSError as broken:
            log.debug("connection broke while writing: %s", broken)
            scope.cancel()
