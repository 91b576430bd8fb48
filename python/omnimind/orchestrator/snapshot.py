"""The configuration as the gateway is told it: checked, complete, and without a single command.

Pure. The gateway learns who may call, the keys for sealed tokens, the limits of its edge, and each server's
name and how to reach it; `command`, `args`, `env` and `cwd` stay with the orchestrator, which starts
processes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from omnimind import catalog
from omnimind.orchestrator.heartbeat import MISSED
from omnimind.settings import (
    ServerCacheSettings,
    ServerCompressSettings,
    ServerLimitsSettings,
    ServerSettings,
    Settings,
)
from omnimind.tokens import Principal


def snapshot(
    settings: Settings, principals: Sequence[Principal], keys: Sequence[str], version: str
) -> dict[str, Any]:
    """The map that `rust/gateway/src/config.rs` reads."""
    compress = settings.gateway.compress
    edge = {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(settings.gateway.edge).items()}
    return {
        "version": version,
        "state_dir": str(settings.state_dir),
        "keys": list(keys),
        "auth": {
            "required": settings.gateway.auth,
            "tokens": [principal.as_json() for principal in principals],
        },
        "edge": edge,
        "cache": asdict(settings.gateway.cache),
        "limits": asdict(settings.gateway.limits),
        "compress": {client.name: asdict(client.press) for client in compress.clients if client.press},
        "tool_lists": {
            "all": compress.tool_list,
            "clients": {client.name: client.tool_list for client in compress.clients if client.tool_list},
        },
        "servers": [
            _server(server, settings.orchestrator.heartbeat_ms) for server in in_tier_order(settings)
        ],
    }


def in_tier_order(settings: Settings) -> list[ServerSettings]:
    """The enabled servers, critical first; within a tier as the file has them."""
    enabled = [server for server in settings.servers if server.enabled]
    return sorted(enabled, key=lambda server: catalog.TIERS.index(server.tier))


def _server(server: ServerSettings, heartbeat_ms: int) -> dict[str, Any]:
    told = {
        "name": server.name,
        "aliases": [a for a, name in catalog.ALIASES.items() if name == server.name == server.builtin],
        "kind": server.kind,
        "tier": server.tier,
        "sessions": server.sessions,
        "first_party": server.first_party,
        "url": server.url if server.kind == "http" else None,
        "headers": dict(server.headers),
        "path": server.path,
        "timeout_ms": server.timeout_ms,
        "deadline_ms": server.deadline_ms,
        "trust": list(server.trust),
        "cache": _cache(server.cache),
        "limits": _limits(server.limits),
        "compress": _compress(server.compress),
        "heartbeat_ms": heartbeat_ms if server.first_party else _patient_beat_ms(server, heartbeat_ms),
    }
    return told | {"pool": asdict(server.pool)} if server.kind == "http" else told


def _cache(cache: ServerCacheSettings) -> dict[str, Any]:
    return {
        **asdict(cache),
        "tools": {tool.name: asdict(tool) for tool in cache.tools},
        "predict": None if cache.predict is None else list(cache.predict),
    }


def _limits(limits: ServerLimitsSettings) -> dict[str, Any]:
    tools = {
        tool.name: {
            "quota": None if tool.quota is None else asdict(tool.quota),
            "cost": tool.cost,
            "class": tool.call_class,
        }
        for tool in limits.tools
    }
    return {**asdict(limits), "tools": tools}


def _compress(compress: ServerCompressSettings) -> dict[str, Any]:
    tools = {tool.name: None if tool.press is None else asdict(tool.press) for tool in compress.tools}
    return {**asdict(compress), "tools": tools}


def _patient_beat_ms(server: ServerSettings, heartbeat_ms: int) -> int:
    """A strange server may work on one call at a time and answer no ping meanwhile: it is doubted only after a
    silence that costs the call anyway. The gateway counts as many beats as we do (`upstream/pipe/attention.rs`)."""
    return max(heartbeat_ms, server.timeout_ms // MISSED)
