"""The answer to `status`: plain data about guard, orchestrator, gateway and every configured server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omnimind.orchestrator.gatewaying import Gateway
from omnimind.orchestrator.supervise import Server
from omnimind.settings import ServerSettings

_PORT_FIX = "stop that process or give this server another port; it answers on the gateway's port meanwhile"


def of_server(server: Server, endpoint: str | None, port: int | None, note: str | None) -> dict[str, Any]:
    """One row. `note` says what is wrong beside the server itself, such as a port held by a stranger."""
    settings = server.settings
    uptime_s, retry_s = server.uptime_s(), server.retry_after_s()
    reason = server.reason if note is None else f"{server.reason}; {note}" if server.reason else note
    return {
        "name": settings.name,
        "tier": settings.tier,
        "kind": settings.kind,
        "state": server.phase.value,
        "port": port,
        "endpoint": endpoint,
        "pid": server.pid,
        "restarts": server.state.restarts,
        "crashes": server.state.crashes,
        "uptime_s": None if uptime_s is None else round(uptime_s, 3),
        "retry_after_s": None if retry_s is None else round(retry_s, 3),
        "reason": reason,
        "fix": server.cause.fix if server.cause else None if note is None else _PORT_FIX,
        "last_stderr": server.log.last_lines[-1] if server.log.last_lines else None,
    }


def of_disabled(settings: ServerSettings) -> dict[str, Any]:
    """The row of a server that the configuration switches off."""
    return {
        "name": settings.name,
        "tier": settings.tier,
        "kind": settings.kind,
        "state": "disabled",
        "port": None,
        "endpoint": None,
        "pid": None,
        "restarts": 0,
        "crashes": 0,
        "uptime_s": None,
        "retry_after_s": None,
        "reason": None,
        "fix": None,
        "last_stderr": None,
    }


def of_gateway(gateway: Gateway, endpoint: str) -> Mapping[str, Any]:
    """The gateway's row."""
    return {
        "state": gateway.state,
        "pid": gateway.pid,
        "epoch": gateway.epoch,
        "restarts": gateway.restarts,
        "crashes": gateway.deaths,
        "endpoint": endpoint,
        "reason": gateway.reason,
    }
