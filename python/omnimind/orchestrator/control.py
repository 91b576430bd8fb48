"""The operator's socket: `control.sock`, 0600, same user only, length-prefixed msgpack maps.

A frame is a big-endian u32 and that many bytes. A request is `{"cmd": ...}`, its answer `{"ok": true, ...}`
or `{"ok": false, "error": text, "help": text}`; `events` answers with frames until the caller hangs up. No
descriptor ever travels here. Commands: `status`, `stop`, `restart {server}`, `cache {op}`, `limits`, `pool`,
`reload-tokens`, `events`.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import anyio
import msgpack
from anyio.abc import TaskGroup

REQUEST_BYTES = 64 * 1024
REQUEST_S = 10.0
CALLERS = 32

Handler = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
Stream = Callable[[], AsyncIterator[Mapping[str, Any]]]


class ControlSocket:
    """Serves the held listening socket."""

    def __init__(self, listener: int, answer: Handler, events: Stream) -> None:
        self._listener = socket.socket(fileno=listener)
        self._listener.setblocking(False)
        self._answer = answer
        self._events = events
        self._places = anyio.CapacityLimiter(CALLERS)

    async def run(self) -> None:
        """Accept callers for ever."""
        async with anyio.create_task_group() as group:
            while True:
                await anyio.wait_readable(self._listener)
                try:
                    caller, _ = self._listener.accept()
                except BlockingIOError:
                    continue
                except OSError:
                    await anyio.sleep(0.05)  # out of descriptors, or the caller is gone again
                    continue
                self._admit(group, caller)

    def close(self) -> None:
        """Stop listening."""
        self._listener.close()

    def _admit(self, group: TaskGroup, caller: socket.socket) -> None:
        caller.setblocking(False)
        credentials = caller.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        _, uid, _ = struct.unpack("3i", credentials)
        if uid != os.geteuid() or self._places.available_tokens < 1:
            caller.close()
            return
        group.start_soon(self._serve, caller)

    async def _serve(self, caller: socket.socket) -> None:
        async with self._places:
            try:
                await self._converse(caller)
            except (OSError, EOFError, ValueError, msgpack.exceptions.UnpackException):
                return
            finally:
                caller.close()

    async def _converse(self, caller: socket.socket) -> None:
        while True:
            with anyio.fail_after(REQUEST_S):
                request = await _read_frame(caller)
            if request.get("cmd") != "events":
                await _write_frame(caller, await self._answer(request))
                continue
            async for event in self._events():
                await _write_frame(caller, event)
            return


async def _read_frame(caller: socket.socket) -> Mapping[str, Any]:
    (length,) = struct.unpack(">I", await _read(caller, 4))
    if length > REQUEST_BYTES:
        raise ValueError("the request is too long")
    request = msgpack.unpackb(await _read(caller, length))
    if not isinstance(request, dict):
        raise ValueError("a request is a map")
    return request


async def _read(caller: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        await anyio.wait_readable(caller)
        try:
            chunk = caller.recv(count - len(data))
        except BlockingIOError:
            continue
        if not chunk:
            raise EOFError
        data += chunk
    return data


async def _write_frame(caller: socket.socket, message: Mapping[str, Any]) -> None:
    payload = msgpack.packb(dict(message))
    data = struct.pack(">I", len(payload)) + payload
    with anyio.fail_after(REQUEST_S):
        while data:
            try:
                data = data[caller.send(data) :]
            except BlockingIOError:
                await anyio.wait_writable(caller)
