"""From a file, flags and the environment to `Settings`.

Order of precedence: flags, then the file, then the defaults of `model`. The file is the one given, else
the one in the user's config folder; one that merely lies in the working directory is never taken, because
whoever can put a file there could then start programs. Without a file the catalogue's servers run; with
one exactly its entries (a file without `mcpServers` says nothing about servers, so the catalogue's run).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from omnimind import catalog
from omnimind.errors import SettingsError, closest
from omnimind.settings import checks, document, fields
from omnimind.settings.checks import Spot
from omnimind.settings.document import Document, Member
from omnimind.settings.entry import of_builtin, read_entry
from omnimind.settings.expand import Expander
from omnimind.settings.model import (
    CacheSettings,
    EdgeSettings,
    GatewaySettings,
    GiveUp,
    LimitsSettings,
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


def user_config_path() -> Path:
    """Where the user's own file is looked for."""
    import platformdirs

    return Path(platformdirs.user_config_dir("omnimind")) / FILE_NAME


def config_path(config: Path | None = None) -> Path | None:
    """The file that `load` reads: `--config`, then the user's config folder, then none."""
    if config is not None:
        return Path(os.path.abspath(config.expanduser()))
    found = user_config_path()
    try:
        found.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return found  # reading it says why it cannot be read
    return found


def load(
    config: Path | None = None,
    state: Path | None = None,
    *,
    port: int | None = None,
    auth: bool | None = None,
    max_restart_attempts: int | None = None,
    give_up: GiveUp | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Settings:
    """Read the settings of a fleet; raises `SettingsError` with a place and a suggestion."""
    path = config_path(config)
    if path is None:
        servers = tuple(of_builtin(builtin) for builtin in catalog.BUILTINS)
        settings = Settings(state_dir(state, environ), None, servers)
    else:
        settings = read(document.read(path), state_dir(state, environ), environ)
    if config is None and (hint := _working_directory_hint(path)):
        settings = replace(settings, notes=(*settings.notes, hint))
    if give_up is not None:
        settings = replace(settings, orchestrator=replace(settings.orchestrator, give_up=give_up))
    return _with_flags(settings, port, auth, max_restart_attempts)


def read(found: Document, state: Path, environ: Mapping[str, str]) -> Settings:
    """The settings that a document says."""
    spot = Spot(found, found.root, "")
    top = checks.members(Spot(found, found.root, "the file"))
    notes = _check_top(top, spot)
    orchestrator = _orchestrator(top.get("orchestrator"), found)
    gateway = _gateway(top.get("gateway"), found)
    key = "mcpServers" if "mcpServers" in top else "servers"
    if key in top:
        expander = Expander(environ, found.path.parent)
        section = Spot(found, top[key].node, key)
        servers, more = _servers(section, expander, orchestrator.restart)
        _check_ports(servers, gateway, section)
        _check_after(servers, section)
        _check_costs(servers, gateway, section)
        notes += more
    else:
        servers = tuple(
            replace(of_builtin(builtin), restart=orchestrator.restart) for builtin in catalog.BUILTINS
        )
        notes.append('the file has no "mcpServers": the built-in servers run')
    notes += _unmoved(servers, gateway.limits)
    return Settings(state, found.path, servers, gateway, orchestrator, tuple(notes))


def _check_top(top: dict[str, Member], spot: Spot) -> list[str]:
    """Client files keep other settings beside `mcpServers`; a misspelt key of ours is an error."""
    if "mcpServers" in top and "servers" in top:
        raise spot.document.error(
            "OM0109",
            'the file has both "mcpServers" and "servers"',
            top["servers"].at,
            help='move all entries into "mcpServers"',
        )
    ignored = [key for key in top if key not in fields.TOP]
    for key in ignored:
        if closest(key, fields.TOP):
            raise checks.unknown(spot, key, top[key], fields.TOP)
    return [f"keys of the file for other programs, ignored: {', '.join(ignored)}"] if ignored else []


def _servers(
    section: Spot, expander: Expander, restart: RestartSettings
) -> tuple[tuple[ServerSettings, ...], list[str]]:
    servers: dict[str, ServerSettings] = {}
    notes: list[str] = []
    for title, member in checks.members(section).items():
        entry = read_entry(title, member, section.within(title, member.node), expander, restart)
        name = entry.server.name
        if name in servers:
            raise section.document.error(
                "OM0110",
                f'the entries "{servers[name].title}" and "{title}" are both called {name}',
                member.at,
                help="rename one of them",
            )
        servers[name] = entry.server
        notes.extend(entry.notes)
    return tuple(servers.values()), notes


def _at(section: Spot, server: ServerSettings, key: str) -> int:
    entry: Member = section.node.value[server.title]
    inner = entry.node.value.get(key)
    return inner.at if inner else entry.at


def _check_ports(servers: tuple[ServerSettings, ...], gateway: GatewaySettings, section: Spot) -> None:
    taken: dict[int, str] = {gateway.port: "the gateway"}
    for server in servers:
        if not server.enabled or not server.port:
            continue
        if server.port in taken:
            raise section.document.error(
                "OM0110",
                f"port {server.port} of {server.name} belongs to {taken[server.port]} already",
                _at(section, server, "port"),
                help='give it another, 0 for any free one, or "port": null for none',
            )
        taken[server.port] = server.name


def _check_after(servers: tuple[ServerSettings, ...], section: Spot) -> None:
    """Every name in `after` exists, and no server waits for itself."""
    waits = {server.name: server for server in servers}
    for server in servers:
        for name in server.after:
            if name not in waits:
                near = closest(name, list(waits))
                raise section.document.error(
                    "OM0105",
                    f'{server.name} starts after "{name}", which is not in the file',
                    _at(section, server, "after"),
                    help=f'did you mean "{near}"?' if near else "remove it from the list",
                )
        reached, open_names = set[str](), list(server.after)
        while open_names:
            name = open_names.pop()
            if name == server.name:
                raise section.document.error(
                    "OM0105",
                    f"{server.name} would start after itself",
                    _at(section, server, "after"),
                    help='break the circle in "after"',
                )
            if name not in reached:
                reached.add(name)
                open_names.extend(waits[name].after if name in waits else ())


def _unmoved(servers: tuple[ServerSettings, ...], limits: LimitsSettings) -> list[str]:
    """A note about a policy of rates where there is no rate; `cpu-step` brings one."""
    rates = [limits.tenant, limits.tenant_server]
    for server in servers:
        rates += [server.limits.tenant, *(tool.quota for tool in server.limits.tools)]
    if limits.policy != "aimd" or any(rates):
        return []
    return ['gateway.limits.policy "aimd" has nothing to move: no rate is configured']


def _check_costs(servers: tuple[ServerSettings, ...], gateway: GatewaySettings, section: Spot) -> None:
    """No tool costs more than a tenant may ever have at once; an entry's own quotas were looked at with the entry."""
    limits = gateway.limits
    for server in servers:
        granted = {"tenant": limits.tenant}
        if server.limits.tenant is None:
            granted["tenant_server"] = limits.tenant_server
        for tool in server.limits.tools:
            for key, quota in granted.items():
                if quota is not None and tool.cost > quota.burst:
                    raise section.document.error(
                        "OM0105",
                        f"{tool.name} of {server.name} costs {tool.cost}, more than the burst of gateway.limits.{key} "
                        f"({quota.burst}): no call would pass",
                        _at(section, server, "limits"),
                        help="raise the burst, or lower the cost",
                    )


def _gateway(member: Member | None, found: Document) -> GatewaySettings:
    if member is None:
        return GatewaySettings()
    spot = Spot(found, member.node, "gateway")
    values: dict[str, Any] = checks.section(fields.GATEWAY)(spot)
    own = {key: values.pop(key) for key in ("host", "port", "auth", "limits", "compress") if key in values}
    if own.get("host") == "localhost":
        own["host"] = "127.0.0.1"
    if "host" in own and not _is_loopback(own["host"]):
        raise spot.within("host", spot.node.value["host"].node).bad(
            f'is "{own["host"]}": the gateway listens on loopback only',
            'write "127.0.0.1" and put a TLS proxy in front; name its host in gateway.hosts',
        )
    cache = _cache(values.pop("cache", {}))
    return GatewaySettings(**own, edge=EdgeSettings(**values), cache=cache)


def _cache(values: dict[str, Any]) -> CacheSettings:
    disk = values.pop("disk", {})
    if "max_bytes" in disk or not disk.get("enabled", True):
        values["disk_bytes"] = disk.get("max_bytes", 0) if disk["enabled"] else 0
    return CacheSettings(**values)


def _is_loopback(host: str) -> bool:
    import ipaddress

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _orchestrator(member: Member | None, found: Document) -> OrchestratorSettings:
    if member is None:
        return OrchestratorSettings()
    spot = Spot(found, member.node, "orchestrator")
    values: dict[str, Any] = checks.section(fields.ORCHESTRATOR)(spot)
    if "restart" in values:
        values["restart"] = replace(RestartSettings(), **values["restart"])
    return OrchestratorSettings(**values)


def _working_directory_hint(path: Path | None) -> str | None:
    try:
        here = Path.cwd() / FILE_NAME
        if not here.is_file() or (path is not None and here.samefile(path)):
            return None
    except OSError:
        return None
    return f"the {FILE_NAME} in this folder is not taken by itself; use it with --config {FILE_NAME}"


def _with_flags(
    settings: Settings, port: int | None, auth: bool | None, max_restart_attempts: int | None
) -> Settings:
    gateway = settings.gateway
    if port is not None:
        holder = next((s.name for s in settings.servers if s.enabled and s.port and s.port == port), None)
        if holder or not 0 <= port <= 65535:
            what = f"belongs to the server {holder}" if holder else "is not a port"
            raise SettingsError("OM0110", f"{port} {what}", where="--port", help="choose another port")
        gateway = replace(gateway, port=port)
    if auth is not None:
        gateway = replace(gateway, auth=auth)
    settings = replace(settings, gateway=gateway)
    if max_restart_attempts is None:
        return settings
    if max_restart_attempts < 0:
        raise SettingsError("OM0105", "the number of attempts is negative", where="--max-restart-attempts")
    restart = replace(settings.orchestrator.restart, max_attempts=max_restart_attempts)
    return replace(
        settings,
        orchestrator=replace(settings.orchestrator, restart=restart),
        servers=tuple(
            replace(server, restart=replace(server.restart, max_attempts=max_restart_attempts))
            for server in settings.servers
        ),
    )
