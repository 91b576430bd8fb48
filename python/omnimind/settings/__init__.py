"""Settings of a fleet: `load` reads `mcp_servers.json` into frozen values; see `model` for them.

Stdlib only (and platformdirs when a default folder is needed): the orchestrator imports this.
"""

from __future__ import annotations

from omnimind.settings.load import config_path, load, state_dir
from omnimind.settings.model import (
    CacheSettings,
    ClientCompressSettings,
    EdgeSettings,
    GatewayCompressSettings,
    GatewaySettings,
    GiveUp,
    Kind,
    LimitsSettings,
    OrchestratorSettings,
    PoolSettings,
    PressSettings,
    QuotaSettings,
    RecycleSettings,
    ResourceSettings,
    RestartSettings,
    ServerCacheSettings,
    ServerCompressSettings,
    ServerLimitsSettings,
    ServerSettings,
    Sessions,
    Settings,
    ToolCacheSettings,
    ToolCompressSettings,
    ToolLimitsSettings,
)

__all__ = [
    "CacheSettings",
    "ClientCompressSettings",
    "EdgeSettings",
    "GatewayCompressSettings",
    "GatewaySettings",
    "GiveUp",
    "Kind",
    "LimitsSettings",
    "OrchestratorSettings",
    "PoolSettings",
    "PressSettings",
    "QuotaSettings",
    "RecycleSettings",
    "ResourceSettings",
    "RestartSettings",
    "ServerCacheSettings",
    "ServerCompressSettings",
    "ServerLimitsSettings",
    "ServerSettings",
    "Sessions",
    "Settings",
    "ToolCacheSettings",
    "ToolCompressSettings",
    "ToolLimitsSettings",
    "config_path",
    "load",
    "state_dir",
]
