"""Which sockets the fleet listens on, asked of the guard before anything is started.

Rule: a port that a stranger holds disables that port and nothing else: its server runs and answers on the
gateway's port; the stranger is named, never touched. Only the gateway's own port is worth refusing to start
for.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field
from pathlib import Path

from omnimind.errors import FleetError
from omnimind.orchestrator import holders
from omnimind.orchestrator.guardlink import GuardLink, Listener, Taken
from omnimind.orchestrator.snapshot import in_tier_order
from omnimind.settings import ServerSettings, Settings

GATEWAY = "gateway"
CONTROL = "control"
CONTROL_FILE = "control.sock"


@dataclass(slots=True)
class Ports:
    """What was bound: the gateway's socket, servers' ports by name, and why others have none."""

    guard: GuardLink
    host: str
    gateway: Listener
    control: Listener
    servers: dict[str, Listener] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    under_systemd: bool = False
    """The ports of built-in servers are their units'."""

    async def add(self, server: ServerSettings) -> Listener | None:
        """Bind the port that a server wants; None if it wants none, or it is taken (`refused` says by whom)."""
        self.refused.pop(server.name, None)
        if server.port is None or (self.under_systemd and server.kind == "worker"):
            return None
        try:
            listener = await self.guard.listen(f"port/{server.name}", (self.host, server.port))
        except Taken as taken:
            self.refused[server.name] = _refusal(server.port, taken)
            return None
        self.servers[server.name] = listener
        return listener

    async def remove(self, name: str) -> bool:
        """Give a server's port up; True if it had one."""
        self.refused.pop(name, None)
        listener = self.servers.pop(name, None)
        if listener is None:
            return False
        await self.guard.release(f"port/{name}")
        os.close(listener.descriptor)
        return True

    def url(self, name: str | None = None) -> str:
        """Where the gateway (None) or a server is reached."""
        listener = self.gateway if name is None else self.servers.get(name)
        if listener is not None:
            return f"http://{authority(listener)}/mcp"
        return f"http://{authority(self.gateway)}/servers/{name}/mcp"

    def port(self, name: str) -> int | None:
        """The port of its own that a server has."""
        listener = self.servers.get(name)
        return None if listener is None else _port_of(listener)


async def bind(guard: GuardLink, settings: Settings, under_systemd: bool = False) -> Ports:
    """Have the guard bind all that the settings name. Raises FleetError if the gateway has no port."""
    host = settings.gateway.host
    try:
        gateway = await guard.listen(GATEWAY, (host, settings.gateway.port))
    except Taken as taken:
        raise _no_gateway_port(settings, taken) from None
    run = settings.state_dir / "run"
    run.mkdir(mode=0o700, exist_ok=True)
    control = await bind_path(guard, CONTROL, settings.state_dir / CONTROL_FILE)
    ports = Ports(guard, host, gateway, control, under_systemd=under_systemd)
    for server in in_tier_order(settings):
        await ports.add(server)
    return ports


async def bind_path(guard: GuardLink, name: str, path: Path) -> Listener:
    """A Unix socket that the guard holds. Raises FleetError."""
    try:
        return await guard.listen(name, str(path))
    except Taken as taken:
        raise FleetError(
            "OM0206",
            f"a Unix socket cannot be bound: {taken}",
            where=str(path),
            help="choose another --state DIR",
        ) from None


def authority(listener: Listener) -> str:
    """`host:port`, with an IPv6 host in brackets."""
    host, port = str(listener.address[0]), _port_of(listener)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _port_of(listener: Listener) -> int:
    return int(listener.address[1])


def _refusal(port: int, taken: Taken) -> str:
    holder = holders.of_port(port) if taken.errno == errno.EADDRINUSE else None
    return f"port {port} is held by {holder}" if holder else f"port {port} cannot be bound: {taken}"


def _no_gateway_port(settings: Settings, taken: Taken) -> FleetError:
    port = settings.gateway.port
    code = "OM0107" if taken.errno == errno.EADDRINUSE else "OM0206"
    return FleetError(
        code,
        _refusal(port, taken),
        where=f"the gateway's address {settings.gateway.host}:{port}",
        help="stop that process yourself, or choose another port: --port N (0 takes any free one)",
    )
