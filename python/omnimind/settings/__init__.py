"""Settings of a fleet: `load` reads `mcp_servers.json` into frozen values; see `model` for them.

Stdlib only (and platformdirs when a default folder is needed): the orchestrator imports this.
"""

from __future__ import annotations

from omnimind.settings.load import config_path, load, state_dir
from omnimind.settings.model import (
    EdgeSettings,
    GatewaySettings,
    GiveUp,
    Kind,
    OrchestratorSettings,
    RecycleSettings,
    ResourceSettings,
    RestartSettings,
    ServerSettings,
    Sessions,
    Settings,
)

__all__ = [
    "EdgeSettings",
    "GatewaySettings",
    "GiveUp",
    "Kind",
    "OrchestratorSettings",
    "RecycleSettings",
    "ResourceSettings",
    "RestartSettings",
    "ServerSettings",
    "Sessions",
    "Settings",
    "config_path",
    "load",
    "state_dir",
]
