"""Newline-delimited JSON-RPC over one socket: bytes on one side, the SDK's message streams on the other.

This is the SDK's stdio framing, tuned for a socket that carries many calls at once: lines are cut out of
large reads, and all answers that wait are written together. Three promises beyond framing:
a line over the limit costs that message and not the connection, in both directions; what is not JSON-RPC is
answered with an error instead of silence; and the set of unanswered requests is known, so that a draining
worker can finish exactly those.
"""

from __future__ import annotations

import contextlib
import json
import logging
import time
from typing import TYPE_CHECKING, Any, Final

import anyio
import mcp_types as types
from mcp.shared.message import SessionMessage
from pydantic import ValidationError

from omnimind.servers.announce import CHANGED

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Callable

    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

LINE_BYTES: Final = 16 * 1024 * 1024
_READ_BYTES: Final = 256 * 1024
_WRITE_BYTES: Final = 256 * 1024
_QUEUE: Final = 256

log = logging.getLogger("omnimind.worker")

_CHANGED = SessionMessage(types.JSONRPCNotification(jsonrpc="2.0", method=CHANGED))
"""In the queue it only wakes the writer; whether the line is due is known elsewhere, so that it goes out once."""

_ENDLESS = frozenset({"subscriptions/listen"})  # open until the client goes: not worth waiting for


class Connection:
    """One connected peer. `refuse` may answer a request before the SDK sees it (None lets it through)."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        refuse: Callable[[], types.ErrorData | None],
        settled: Callable[[], None],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._refuse = refuse
        self._settled = settled
        self.unanswered: dict[types.RequestId, float] = {}
        """Requests under way, oldest first, each with the time it came (monotonic, seconds)."""
        self.requests = 0
        self.answered = 0
        self._changed = False
        to_server: tuple[
            MemoryObjectSendStream[SessionMessage | Exception],
            MemoryObjectReceiveStream[SessionMessage | Exception],
        ] = anyio.create_memory_object_stream(_QUEUE)
        to_peer: tuple[MemoryObjectSendStream[SessionMessage], MemoryObjectReceiveStream[SessionMessage]] = (
            anyio.create_memory_object_stream(_QUEUE)
        )
        self._inbox, self.messages = to_server
        self.answers, self._outbox = to_peer

    async def read(self) -> None:
        """Feed the peer's messages to the server until the peer goes away."""
        answers = self.answers.clone()
        async with self._inbox, answers:
            async for line in self._lines():
                if line is None:
                    await answers.send(_failure(None, _too_long(types.INVALID_REQUEST, "message")))
                    continue
                if not line.strip():
                    continue
                message = _decode(line)
                if isinstance(message, types.ErrorData):
                    await answers.send(_failure(None, message))
                    continue
                if not await self._admit(message, answers):
                    continue
                try:
                    await self._inbox.send(SessionMessage(message))
                except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                    return

    async def _admit(
        self, message: types.JSONRPCMessage, answers: MemoryObjectSendStream[SessionMessage]
    ) -> bool:
        match message:
            case types.JSONRPCRequest():
                self.requests += 1
                if message.method not in _ENDLESS:
                    self.unanswered[message.id] = time.monotonic()
                refusal = self._refuse()
                if refusal is not None:
                    await answers.send(_failure(message.id, refusal))
                    return False
            case types.JSONRPCNotification(method="notifications/cancelled"):
                # The SDK answers a cancelled request with silence.
                self._forget((message.params or {}).get("requestId"))
        return True

    async def write(self) -> None:
        """Write the server's messages to the peer until the server has no more."""
        async with self._outbox:
            async for first in self._outbox:
                batch = [first]
                lines = [_line(first)]
                size = len(lines[0])
                while size < _WRITE_BYTES:
                    try:
                        following = self._outbox.receive_nowait()
                    except (anyio.WouldBlock, anyio.EndOfStream):
                        break
                    batch.append(following)
                    lines.append(_line(following))
                    size += len(lines[-1])
                self._writer.write(b"".join((*lines, self._due())))
                await self._writer.drain()
                for written in batch:
                    if isinstance(written.message, types.JSONRPCResponse | types.JSONRPCError):
                        self.answered += 1
                        self._forget(written.message.id)

    def tell_changed(self) -> None:
        """Let the peer know that the server's data changed, once for all changes until that is written. Never
        waits; where the queue is full its writer is at work, and sees to it."""
        if not self._changed:
            self._changed = True
            with contextlib.suppress(anyio.WouldBlock, anyio.BrokenResourceError, anyio.ClosedResourceError):
                self.answers.send_nowait(_CHANGED)

    def _due(self) -> bytes:
        due, self._changed = self._changed, False
        return _encode(_CHANGED) if due else b""

    def _forget(self, request: Any) -> None:
        if isinstance(request, int | str) and request in self.unanswered:
            del self.unanswered[request]
            if not self.unanswered:
                self._settled()

    async def _lines(self) -> AsyncIterator[bytes | None]:
        """Each line without its newline; None stands for a line over the limit."""
        parts: list[bytes] = []
        size = 0
        while chunk := await self._reader.read(_READ_BYTES):
            *complete, rest = chunk.split(b"\n")
            for line in complete:
                whole = b"".join((*parts, line)) if size <= LINE_BYTES else b""
                size += len(line)
                yield whole if size <= LINE_BYTES else None
                parts, size = [], 0
            size += len(rest)
            if size > LINE_BYTES:
                parts = []
            elif rest:
                parts.append(rest)


def _decode(line: bytes) -> types.JSONRPCMessage | types.ErrorData:
    """The message of a line, or what to say to a peer whose line is none."""
    try:
        message = types.jsonrpc_message_adapter.validate_json(line, by_name=False)
        # The SDK takes a request whose id is no id for a notification; its sender would wait for ever.
        misread = (
            isinstance(message, types.JSONRPCNotification) and b'"id"' in line and "id" in json.loads(line)
        )
        if not misread:
            return message
        return types.ErrorData(
            code=types.INVALID_REQUEST, message="the id is neither a string nor an integer"
        )
    except ValidationError as refusal:
        if refusal.errors(include_url=False, include_input=False)[0]["type"] == "json_invalid":
            return types.ErrorData(code=types.PARSE_ERROR, message="the line is not JSON")
        return types.ErrorData(code=types.INVALID_REQUEST, message="the line is not a JSON-RPC 2.0 message")


def _line(message: SessionMessage) -> bytes:
    return b"" if message is _CHANGED else _encode(message)


def _encode(message: SessionMessage) -> bytes:
    """The line of a message; an error in its place if it is too long or holds what JSON cannot."""
    answered = message.message.id if isinstance(message.message, types.JSONRPCResponse) else None
    try:
        line = message.message.model_dump_json(by_alias=True, exclude_unset=True).encode()
    except ValueError as refusal:  # as for half a surrogate pair in a file's name
        log.warning("an answer cannot be written as JSON: %s", refusal)
        error = types.ErrorData(code=types.INTERNAL_ERROR, message="the answer cannot be written as JSON")
        return _encode(_failure(answered, error))
    if len(line) > LINE_BYTES:
        return _encode(_failure(answered, _too_long(types.INTERNAL_ERROR, "answer")))
    return line + b"\n"


def _failure(request: types.RequestId | None, error: types.ErrorData) -> SessionMessage:
    return SessionMessage(types.JSONRPCError(jsonrpc="2.0", id=request, error=error))


def _too_long(code: int, what: str) -> types.ErrorData:
    text = f"the {what} is longer than {LINE_BYTES:,} bytes; ask for less at a time"
    return types.ErrorData(code=code, message=text)
