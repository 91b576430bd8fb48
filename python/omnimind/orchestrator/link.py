"""One end of a SEQPACKET link as an async object: messages out in order, messages in one at a time.

Sending never waits and never fails: a link whose other end is gone drops what it is given, because the one
who notices the death of a process is the one who waits for it. Descriptors given to `tell` are duplicated at
once, so the caller may close its own.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import anyio

from omnimind.linux import packets, seqpacket
from omnimind.linux.packets import Message


class Link:
    """Our end; `run` must be running for messages to leave."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._end = end
        self._waiting: deque[tuple[Mapping[str, Any], list[int]]] = deque()
        self._stirred = anyio.Event()
        self._closed = False
        self._waiters = 0

    def tell(self, message: Mapping[str, Any], descriptors: Sequence[int] = ()) -> None:
        """Put a message in line."""
        if not self._closed:
            self._waiting.append((message, [os.dup(descriptor) for descriptor in descriptors]))
            self._stirred.set()

    async def hear(self) -> tuple[Message, list[int]] | None:
        """The next message, or None when the other end is gone."""
        while not self._closed:
            await self._until(anyio.wait_readable)
            if self._closed:
                break
            try:
                return packets.receive(self._end)
            except BlockingIOError:
                continue
        return None

    async def run(self) -> None:
        """Send what is in line until the other end is gone."""
        while not self._closed:
            while self._waiting:
                message, descriptors = self._waiting[0]
                try:
                    packets.send(self._end, message, descriptors)
                except BlockingIOError:
                    await self._until(anyio.wait_writable)
                    continue
                except OSError:
                    return
                self._waiting.popleft()
                seqpacket.close_all(descriptors)
            self._stirred = anyio.Event()
            await self._stirred.wait()

    def close(self) -> None:
        """Close our end and drop what is in line."""
        if not self._closed:
            self._closed = True
            self._stirred.set()
            for _, descriptors in self._waiting:
                seqpacket.close_all(descriptors)
            self._waiting.clear()
            if self._waiters:
                anyio.notify_closing(self._end)
            else:
                self._end.close()

    async def _until(self, ready: Callable[[socket.socket], Awaitable[None]]) -> None:
        """Wait on the descriptor, or until it is closed.

        The last who waits on it closes it, not `close`: its number is soon another's, and an event loop that is
        still asked to watch the number would never watch the other.
        """
        self._waiters += 1
        try:
            with contextlib.suppress(anyio.ClosedResourceError):
                await ready(self._end)
        finally:
            self._waiters -= 1
            if self._closed and not self._waiters:
                self._end.close()
