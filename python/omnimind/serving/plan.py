"""What one serving process is to do, decided before anything is opened.

Rule: whoever names a built-in server gets it, also where the configuration has no entry for it or switches it
off for the fleet: the unit that was enabled is the operator's word. An entry of that name says the rest (port,
arguments, environment).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from omnimind import catalog
from omnimind import settings as configuration
from omnimind.errors import SettingsError, closest
from omnimind.settings import ServerSettings, Settings, entry


def of_builtin(
    name: str,
    args: tuple[str, ...] | None,
    config: Path | None,
    state: Path | None,
    port: int | None = None,
    auth: bool | None = None,
) -> Settings:
    """The settings of a fleet of this one server; `args`, if given, in place of its entry's. Raises SettingsError."""
    found = configuration.load(config, state, auth=auth)
    server = found.server(name) or _from_catalogue(name)
    if server.kind != "worker":
        raise SettingsError(
            "OM0109",
            f"{name} is a third-party server in the configuration",
            where=None if found.config_path is None else str(found.config_path),
            help="omnimind serve runs built-in servers; the fleet runs the others: omnimind up",
        )
    return alone(found, server if args is None else replace(server, args=args), port)


def alone(found: Settings, server: ServerSettings, port: int | None) -> Settings:
    """The same settings with this one server, enabled, on that port."""
    if port is not None:
        server = replace(server, port=port)
    return replace(found, servers=(replace(server, enabled=True, after=()),))


def _from_catalogue(name: str) -> ServerSettings:
    builtin = catalog.find(name)
    if builtin is not None:
        return entry.of_builtin(builtin)
    known = [candidate.name for candidate in catalog.BUILTINS]
    near = closest(name, known)
    raise SettingsError(
        "OM0108",
        f"there is no built-in server named {name}",
        help=f"did you mean {near}?" if near else f"the built-in servers: {', '.join(known)}",
    )
