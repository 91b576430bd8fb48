"""`omnimind.serve(server)`: the same front for anyone's SDK server.

The plane takes it for what it is, a third party's server behind a Unix socket: each principal has connections of
its own, a legacy session that can be asked questions has one to itself, and nobody's name is told. The socket
lies in the state folder, readable by its owner alone, one for each process that serves under the name. The
server's lifespan is entered once, not once a connection.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from mcp.server import MCPServer
from mcp.server.lowlevel import Server

from omnimind import settings as configuration
from omnimind import tokens
from omnimind.errors import FleetError
from omnimind.servers.worker import lowlevel
from omnimind.serving import life, records
from omnimind.serving.doors import open_doors
from omnimind.settings import GatewaySettings, ServerSettings, Settings
from omnimind.systemd import listen_fds, notify, rendezvous

PROCESSES: Final = 64
"""Under one name from one state folder."""

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")


def serve(
    server: MCPServer | Server[Any],
    port: int,
    host: str,
    name: str | None,
    state: Path | None,
    auth: bool,
    json_logs: bool,
) -> None:
    """See `omnimind.serve`."""
    passed, notifier = listen_fds.take(), notify.from_environment()
    known = _UNSAFE.sub("_", name or server.name or "")[:64].strip("_") or "server"
    if not logging.getLogger().handlers:
        records.set_up(known, json_logs)
    state_dir = configuration.state_dir(state)
    tokens.ensure(state_dir)
    held, path = _place(state_dir, known)
    doors = open_doors(passed, known, host, port, path)
    settings = Settings(
        state_dir,
        None,
        (ServerSettings(known, "unix", title=known, port=doors.port, url=f"unix:{doors.worker_path}"),),
        GatewaySettings(host=doors.host, auth=auth),
    )
    inner = lowlevel(server)
    try:
        life.live(life.Job(settings, inner, doors, None, held.run, notifier, lambda: _lifespan_once(inner)))
    except life.NeverReady as fault:
        raise FleetError("OM0206", str(fault), help="see what it wrote to stderr") from None
    finally:
        doors.close()
        os.close(held.descriptor)


def _place(state_dir: Path, name: str) -> tuple[rendezvous.Hold, Path]:
    """The first place of this name that no living process has; one that was killed leaves its own free."""
    for number in range(1, PROCESSES + 1):
        slot = f"{name}.{number}"
        try:
            return rendezvous.hold(state_dir, slot), rendezvous.socket_path(slot, state_dir, None)
        except FleetError as taken:
            refusal = taken
    raise refusal


@asynccontextmanager
async def _lifespan_once(server: Server[Any]) -> AsyncIterator[None]:
    """Enter the server's lifespan now, and give every connection what it yielded."""
    own = server.lifespan
    async with own(server) as yielded:

        @asynccontextmanager
        async def kept(_: Server[Any]) -> AsyncIterator[Any]:
            yield yielded

        server.lifespan = kept
        try:
            yield
        finally:
            server.lifespan = own
