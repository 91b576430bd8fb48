"""What the operator asks over the control socket, and the fleet's answer.

Rule: a refusal says code, what and help, as on a terminal. What takes long (a rolling restart, a reload) is
answered when it is done.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict
from typing import Any

from omnimind import catalog
from omnimind.errors import FleetError, OmniMindError, closest
from omnimind.orchestrator import asking, caching, order, status
from omnimind.orchestrator.fleet import Fleet
from omnimind.orchestrator.lifecycle import Event, Phase
from omnimind.orchestrator.reload import Reloader, in_words
from omnimind.orchestrator.supervise import Server

GATEWAY = "gateway"


class Operator:
    """Answers for one fleet."""

    def __init__(self, fleet: Fleet, reloader: Reloader) -> None:
        self._fleet = fleet
        self._reloader = reloader
        self._began_s = time.monotonic()

    async def answer(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """The answer to one control command."""
        try:
            return {"ok": True, **await self._obey(request)}
        except OmniMindError as error:
            return {
                "ok": False,
                "code": error.code,
                "what": error.what,
                "where": error.where,
                "why": error.why,
                "help": error.help,
            }

    async def _obey(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        match request.get("cmd"):
            case "status":
                return self.status()
            case "stop" if request.get("server") is None:
                self._fleet.stop_asked.set()
                return {}
            case "stop":
                return await self._stop(self._own_server(request))
            case "start":
                return await self._start(self._own_server(request))
            case "restart":
                return self._restart(self._own_server(request))
            case "roll":
                return await self._roll(request)
            case "reload":
                outcome = await self._reloader.reload()
                return {**asdict(outcome.differences), "kept": outcome.kept, "text": in_words(outcome)}
            case "logs-reset":
                return self._reset_logs(request)
            case "cache":
                server = None if request.get("server") is None else self._server(request)
                return await caching.answer(self._fleet, server, request)
            case "limits":
                return await asking.of_all_servers(self._fleet, "limits")
            case "pool":
                return await asking.of_pools(self._fleet)
            case "reload-tokens":
                self._fleet.reload_tokens()
                return {}
        raise FleetError("OM0204", f"the fleet does not know the command {request.get('cmd')!r}")

    def _server(self, request: Mapping[str, Any]) -> Server:
        name, servers = str(request.get("server")), self._fleet.servers
        server = servers.get(catalog.canonical(name)) or servers.get(name)
        if server is None:
            near = closest(name, list(servers))
            help = f"did you mean {near}?" if near else "list them: omnimind status"
            raise FleetError("OM0203", f"there is no server named {name}", help=help)
        return server

    def _own_server(self, request: Mapping[str, Any]) -> Server:
        """A server that is ours to start and end. Raises FleetError for one that runs as a unit."""
        server = self._server(request)
        unit = self._fleet.units.get(server.settings.name)
        if unit is not None:
            raise FleetError("OM0204", f"{server.settings.name} is kept by systemd", help=f"use: {unit.help}")
        return server

    def _reset_logs(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        name = request.get("server")
        removed = self._fleet.logs.reset(None if name is None else str(name))
        self._fleet.history.fleet("logs reset", server=name)
        return {"removed": [asdict(gone) for gone in removed]}

    def _restart(self, server: Server) -> Mapping[str, Any]:
        if not self._fleet.stop_asked.is_set():
            server.post(Event.RESTART)
        return {}

    async def _stop(self, server: Server) -> Mapping[str, Any]:
        await self._fleet.stop_some([server.settings.name])
        return {"state": server.phase.value}

    async def _start(self, server: Server) -> Mapping[str, Any]:
        await self._fleet.start_some([server.settings.name])
        return {"state": server.phase.value, "reason": server.reason}

    async def _roll(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Fresh processes without a failed call: of one server, of the gateway, or of everything in turn."""
        fleet, wanted = self._fleet, request.get("server")
        if wanted is None:
            waves = order.waves(server.settings for server in fleet.servers.values())
            names = [
                name for wave in waves for name in wave if fleet.servers[name].phase is not Phase.STOPPED
            ]
            names.append(GATEWAY)
        elif wanted == GATEWAY:
            names = [GATEWAY]
        else:
            names = [self._server(request).settings.name]
        renewed: list[str] = []
        kept: dict[str, str] = {}
        for name in names:
            if fleet.stop_asked.is_set():
                break
            why = await self._renew(name)
            if why is None:
                renewed.append(name)
            else:
                kept[name] = why
        return {"renewed": renewed, "kept": kept}

    async def _renew(self, name: str) -> str | None:
        """None once it is renewed, else why it was not."""
        if name == GATEWAY:
            if await self._fleet.gateway.renew():
                return None
            return self._fleet.gateway.reason or "its successor did not come up; the process before it serves"
        server = self._fleet.servers.get(name)
        if server is None:
            return "it was removed meanwhile"
        if not server.has_process or await server.renew():
            return None
        return server.note or server.reason or f"it is {server.phase.value}"

    async def events(self) -> AsyncIterator[Mapping[str, Any]]:
        """The status again and again, whenever something changed."""
        while True:
            news = self._fleet.news
            yield {"ok": True, **self.status()}
            await news.wait()

    def status(self) -> dict[str, Any]:
        """All that is known, as plain data."""
        fleet, ports = self._fleet, self._fleet.ports
        rows = [
            status.of_server(server, ports.url(name), ports.port(name), ports.refused.get(name))
            | {"owner": "systemd" if name in fleet.units else "omnimind"}
            for name, server in fleet.servers.items()
        ]
        rows += [status.of_disabled(server) for server in fleet.settings.servers if not server.enabled]
        config = fleet.settings.config_path
        return {
            "version": fleet.version,
            "state_dir": str(fleet.settings.state_dir),
            "config": None if config is None else str(config),
            "uptime_s": round(time.monotonic() - self._began_s, 3),
            "guard": {"pid": fleet.guard_pid},
            "orchestrator": {"pid": os.getpid()},
            "zygote": {"pid": fleet.zygote.pid},
            "gateway": dict(status.of_gateway(fleet.gateway, ports.url())),
            "logs": fleet.logs.trouble(),
            "servers": rows,
        }
