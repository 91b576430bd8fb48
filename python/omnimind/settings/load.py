"""From a file, flags and the environment to `Settings`.

Order of precedence: flags, then the file, then the defaults of `model`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from omnimind import catalog
from omnimind.settings.model import (
    GatewaySettings,
    OrchestratorSettings,
    RestartSettings,
    ServerSettings,
    Settings,
)

FILE_NAME = "mcp_servers.json"


def state_dir(state: Path | None = None, environ: Mapping[str, str] = os.environ) -> Path:
    """The state folder: `--state`, then `OMNIMIND_STATE`, then the user's state folder."""
    if state is not None:
        return Path(os.path.abspath(state.expanduser()))
    if named := environ.get("OMNIMIND_STATE"):
        return Path(os.path.abspath(Path(named).expanduser()))
    import platformdirs

    return Path(platformdirs.user_state_dir("omnimind"))


def config_path(config: Path | None = None) -> Path | None:
    """The configuration file: `--config`, then the user's config folder, then none."""
    if config is not None:
        return Path(os.path.abspath(config.expanduser()))
    import platformdirs

    found = Path(platformdirs.user_config_dir("omnimind")) / FILE_NAME
    return found if found.exists() else None


def load(
    config: Path | None = None,
    state: Path | None = None,
    *,
    port: int | None = None,
    auth: bool | None = None,
    max_restart_attempts: int | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Settings:
    """Read the settings of a fleet; raises `SettingsError` with a place and a suggestion."""
    restart = RestartSettings() if max_restart_attempts is None else RestartSettings(max_restart_attempts)
    servers = tuple(
        ServerSettings(
            name=builtin.name,
            title=builtin.name,
            kind="worker",
            builtin=builtin.name,
            tier=builtin.tier,
            port=builtin.port,
            sessions="shared",
            trust=("annotations",),
            restart=restart,
        )
        for builtin in catalog.available()
    )
    gateway = GatewaySettings(
        port=catalog.GATEWAY_PORT if port is None else port, auth=True if auth is None else auth
    )
    return Settings(
        state_dir=state_dir(state, environ),
        config_path=None,
        servers=servers,
        gateway=gateway,
        orchestrator=OrchestratorSettings(restart=restart),
    )
