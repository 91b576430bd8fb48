"""One end of a SEQPACKET link as an async object: messages out in order, messages in one at a time.

Sending never waits and never fails: a link whose other end is gone drops what it is given, because the one
who notices the death of a process is the one who waits for it. Descriptors given to `tell` are duplicated at
once, so the caller may close its own.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Mapping, Sequence
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

    def tell(self, message: Mapping[str, Any], descriptors: Sequence[int] = ()) -> None:
        """Put a message in line."""
        if not self._closed:
            self._waiting.append((message, [os.dup(descriptor) for descriptor in descriptors]))
            self._stirred.set()

    async def hear(self) -> tuple[Message, list[int]] | None:
        """The next message, or None when the other end is gone."""
        while not self._closed:
            await anyio.wait_readable(self._end)
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
                    await anyio.wait_writable(self._end)
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
            self._end.close()
