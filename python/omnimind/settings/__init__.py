"""Settings of a fleet: `load` reads `mcp_servers.json` into frozen values; see `model` for them.

Stdlib only (and platformdirs when a default folder is needed): the orchestrator imports this.
"""

from __future__ import annotations

from omnimind.settings.load import config_path, load, state_dir
from omnimind.settings.model import (
    CacheSettings,
    EdgeSettings,
    GatewaySettings,
    GiveUp,
    Kind,
    OrchestratorSettings,
    RecycleSettings,
    ResourceSettings,
    RestartSettings,
    ServerCacheSettings,
    ServerSettings,
    Sessions,
    Settings,
    ToolCacheSettings,
)

__all__ = [
    "CacheSettings",
    "EdgeSettings",
    "GatewaySettings",
    "GiveUp",
    "Kind",
    "OrchestratorSettings",
    "RecycleSettings",
    "ResourceSettings",
    "RestartSettings",
    "ServerCacheSettings",
    "ServerSettings",
    "Sessions",
    "Settings",
    "ToolCacheSettings",
    "config_path",
    "load",
    "state_dir",
]
