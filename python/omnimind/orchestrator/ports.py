"""Which sockets the fleet listens on, asked of the guard before anything is started.

Rule: a port that a stranger holds disables that port and nothing else: its server runs and answers on the
gateway's port; the stranger is named, never touched. Only the gateway's own port is worth refusing to start
for.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass, field
from pathlib import Path

from omnimind.errors import FleetError
from omnimind.orchestrator import holders
from omnimind.orchestrator.guardlink import GuardLink, Listener, Taken
from omnimind.orchestrator.snapshot import in_tier_order
from omnimind.settings import Settings

GATEWAY = "gateway"
CONTROL = "control"
CONTROL_FILE = "control.sock"


@dataclass(slots=True)
class Ports:
    """What was bound: the gateway's socket, servers' sockets by name, and why others have none."""

    gateway: Listener
    control: Listener
    servers: dict[str, Listener] = field(default_factory=dict)
    workers: dict[str, tuple[Listener, str]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

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


async def bind(guard: GuardLink, settings: Settings) -> Ports:
    """Have the guard bind all that the settings name. Raises FleetError if the gateway has no port."""
    host = settings.gateway.host
    try:
        gateway = await guard.listen(GATEWAY, (host, settings.gateway.port))
    except Taken as taken:
        raise _no_gateway_port(settings, taken) from None
    run = settings.state_dir / "run"
    run.mkdir(mode=0o700, exist_ok=True)
    control = await _bind_path(guard, CONTROL, settings.state_dir / CONTROL_FILE)
    ports = Ports(gateway, control)
    for server in in_tier_order(settings):
        if server.port is not None:
            try:
                ports.servers[server.name] = await guard.listen(f"port/{server.name}", (host, server.port))
            except Taken as taken:
                ports.refused[server.name] = _refusal(server.port, taken)
        if server.kind == "worker":
            path = run / f"{server.name}.sock"
            ports.workers[server.name] = (await _bind_path(guard, f"worker/{server.name}", path), str(path))
    return ports


async def _bind_path(guard: GuardLink, name: str, path: Path) -> Listener:
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
