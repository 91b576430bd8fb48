"""Asks a port the way a client would whether it answers.

One connection is kept for that, so that a port whose places are all taken still answers us.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

import anyio

_HEAD_BYTES: Final = 16 * 1024


class Asker:
    """GET requests to one port over a connection that is opened again when need be."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._open: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ok(self, path: str, within_s: float) -> bool:
        """Whether a GET of `path` is answered with 200 in time."""
        with anyio.move_on_after(within_s), contextlib.suppress(OSError):
            status = await self._status(path)
            if status is None:  # a connection may have been closed while it lay idle
                self.close()
                self._open = await asyncio.open_connection(self._host, self._port, limit=_HEAD_BYTES)
                status = await self._status(path)
            if status is not None:
                return status == 200
        self.close()
        return False

    def close(self) -> None:
        """Close the connection."""
        if self._open is not None:
            self._open[1].close()
            self._open = None

    async def _status(self, path: str) -> int | None:
        """The status of the answer; None if there is no connection, or it is of no use any more."""
        if self._open is None:
            return None
        reader, writer = self._open
        try:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
            fields = dict(line.split(": ", 1) for line in head[1:] if ": " in line)
            await reader.readexactly(int(fields.get("content-length", "0")))
            return int(head[0].split(" ", 2)[1])
        except (OSError, EOFError, ValueError, IndexError, asyncio.LimitOverrunError):
            return None
