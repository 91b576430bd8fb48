"""The Rust plane of a serving process: told once what to serve, asked whether it answers, drained at the end.

Rule: nothing of a request passes through here. Whether the plane answers is asked the way a client would, over
its own socket; one connection is kept for that, so that a plane full of clients still has a place for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from typing import Any, Final

import anyio

from omnimind import __version__, tokens
from omnimind._core import Gateway
from omnimind.gateway import link
from omnimind.orchestrator.snapshot import snapshot
from omnimind.serving.doors import Doors
from omnimind.settings import Settings

DRAIN_MS: Final = 10_000
_LINE_BYTES: Final = 16 * 1024

log = logging.getLogger("omnimind.serve")


class Front:
    """A running plane with one server behind it. Made inside the event loop."""

    def __init__(self, settings: Settings, doors: Doors, epoch: int) -> None:
        self._settings = settings
        self._doors = doors
        self._server = settings.servers[0]
        self._asked: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        start = {
            "t": "start",
            "epoch": epoch,
            "snapshot": self._snapshot(),
            "listeners": [{"name": self._server.name, "address": doors.authority}],
        }
        # It alone has the socket now: once it drains, nobody waits in vain for a process that ends.
        self._plane = Gateway(link.to_plane(start), [doors.http.detach()])
        asyncio.get_running_loop().add_reader(self._plane.events_fd(), self._hear)

    def introduce(self, path: str | None, key: bytes | None) -> None:
        """Say that the server behind is ready, and how its socket opens."""
        change = {"t": "server", "name": self._server.name, "state": "ready"}
        ways = {"path": path, "key": key.hex() if key else None}
        self._plane.tell(link.to_plane(change | ways), [])
        self._introduced = (path, key)

    def reload_tokens(self) -> None:
        """Let in whoever has a token now. Raises StateError for a damaged file; the old ones stay."""
        self._plane.tell(link.to_plane({"t": "apply", "snapshot": self._snapshot()}), [])

    async def answers(self, path: str, within_s: float) -> bool:
        """Whether the plane answers 200 to a GET of `path`."""
        with anyio.move_on_after(within_s), contextlib.suppress(OSError, ValueError, EOFError):
            if self._asked is not None and (status := await self._get(path)):
                return status == 200
            await self._connect()
            return await self._get(path) == 200
        self._hang_up()
        return False

    async def drain(self) -> None:
        """Accept nothing more, let what is in flight finish, end the plane."""
        self._hang_up()
        asyncio.get_running_loop().remove_reader(self._plane.events_fd())
        await anyio.to_thread.run_sync(self._plane.drain, DRAIN_MS)

    # --- inside

    def _snapshot(self) -> dict[str, Any]:
        state_dir = self._settings.state_dir
        people, keys = tokens.principals(state_dir), tokens.key_ring(state_dir)
        return snapshot(self._settings, people, keys, __version__)

    def _hear(self) -> None:
        for text in self._plane.events():
            message = json.loads(text)
            if message["t"] == "down":
                log.warning("the plane cannot reach the server behind it: %s", message.get("reason"))
                self.introduce(*self._introduced)

    async def _connect(self) -> None:
        self._hang_up()
        self._asked = await asyncio.open_connection(self._doors.host, self._doors.port, limit=_LINE_BYTES)

    def _hang_up(self) -> None:
        if self._asked is not None:
            self._asked[1].close()
            self._asked = None

    async def _get(self, path: str) -> int:
        """The status of the answer; 0 if the connection is of no use any more."""
        if self._asked is None:
            return 0
        reader, writer = self._asked
        try:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
            fields = dict(line.split(": ", 1) for line in head[1:] if ": " in line)
            await reader.readexactly(int(fields.get("content-length", "0")))
            return int(head[0].split(" ", 2)[1])
        except (OSError, EOFError, ValueError, IndexError):
            self._hang_up()
            return 0
