"""The Rust plane of a serving process: told once what to serve, asked whether it answers, drained at the end.

Rule: nothing of a request passes through here. Whether the plane answers is asked over its own port, the way a
client would.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from typing import Any, Final

import anyio

from omnimind import __version__, tokens
from omnimind._core import Gateway
from omnimind.gateway import encoder, exporting, link
from omnimind.orchestrator.snapshot import snapshot
from omnimind.serving.asking import Asker
from omnimind.serving.doors import Doors
from omnimind.settings import Settings

DRAIN_MS: Final = 10_000

log = logging.getLogger("omnimind.serve")


class Front:
    """A running plane with one server behind it. Made inside the event loop."""

    def __init__(self, settings: Settings, doors: Doors, epoch: int) -> None:
        self._settings = settings
        self._server = settings.servers[0]
        self._asker = Asker(doors.host, doors.port)
        first = self._snapshot()
        traces = exporting.asked(os.environ)
        start = {
            "t": "start",
            "epoch": epoch,
            "snapshot": first,
            "encoder": encoder.of(first),
            "traces": traces and traces.to_plane(),
            "listeners": [{"name": self._server.name, "address": doors.authority}],
        }
        # It alone has the socket now: once it drains, nobody waits in vain for a process that ends.
        self._plane = Gateway(link.to_plane(start), [doors.http.detach()])
        self._exporter = exporting.begin(self._plane, traces)
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
        """Whether the plane answers 200 to a GET of `path` on its own port."""
        return await self._asker.ok(path, within_s)

    async def drain(self) -> None:
        """Accept nothing more, let what is in flight finish, end the plane."""
        self._asker.close()
        asyncio.get_running_loop().remove_reader(self._plane.events_fd())
        await anyio.to_thread.run_sync(self._plane.drain, DRAIN_MS)
        if self._exporter is not None:
            await anyio.to_thread.run_sync(self._exporter.finish)

    # --- inside

    def _snapshot(self) -> dict[str, Any]:
        state_dir = self._settings.state_dir
        people, keys = tokens.principals(state_dir), tokens.key_ring(state_dir)
        told = snapshot(self._settings, people, keys, __version__)
        # The folder on disk is the fleet's; servers that stand alone remember in memory only.
        return {**told, "cache": {**told["cache"], "disk_bytes": 0}}

    def _hear(self) -> None:
        for text in self._plane.events():
            message = json.loads(text)
            if message["t"] == "down":
                log.warning("the plane cannot reach the server behind it: %s", message.get("reason"))
                self.introduce(*self._introduced)
