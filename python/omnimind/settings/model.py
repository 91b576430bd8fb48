"""The settings of one fleet: frozen values, built once by `load`, passed down by argument.

Rule: whoever holds a `Settings` need not check it again: names are safe in paths, URLs and tool names,
ports are distinct, references are expanded. Two `Settings` compare by value, so a reload can tell
which servers changed. Units stand in the names; defaults stand here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from omnimind import catalog
from omnimind.catalog import Tier

Kind = Literal["worker", "stdio", "http", "unix"]
Sessions = Literal["shared", "principal", "own"]
GiveUp = Literal["park", "exit"]
Policy = Literal["gradient", "aimd", "fixed"]
RatePolicy = Literal["fixed", "aimd", "cpu-step"]
CallClass = Literal["system", "interactive", "normal", "background"]
Http2 = Literal["offered", "known", "never"]
ToolList = Literal["whole", "pruned", "signatures", "search"]

_NOTHING: Mapping[str, str] = MappingProxyType({})


def _nothing() -> Mapping[str, str]:
    return _NOTHING


@dataclass(frozen=True, slots=True)
class RestartSettings:
    """How often a server may crash before it is parked, and how long it waits before it is started again.

    `max_attempts` crashes within `window_s` seconds park it; 0 parks it at its first crash. The first restart
    is immediate; later ones wait a random time below a ceiling that doubles from `backoff_min_ms` to
    `backoff_max_ms`.
    """

    max_attempts: int = 3
    window_s: float = 60.0
    backoff_min_ms: int = 250
    backoff_max_ms: int = 30_000


@dataclass(frozen=True, slots=True)
class ResourceSettings:
    """What one server's processes may use together; None is no limit.

    `memory_mb` counts their private memory, `open_files` and `processes` are per process tree where the system
    can count so (a cgroup), else per process and per user. `cpu_weight` is relative to the others' 100.
    """

    memory_mb: int | None = None
    open_files: int | None = None
    processes: int | None = None
    cpu_weight: int | None = None


@dataclass(frozen=True, slots=True)
class RecycleSettings:
    """When a healthy server is replaced by a fresh process; None is never."""

    memory_mb: int | None = None
    age_s: int | None = None
    requests: int | None = None


@dataclass(frozen=True, slots=True)
class ToolCacheSettings:
    """What the cache does with one tool. `ttl_ms` None is the server's; `semantic` names the one free-text
    argument whose wording may differ."""

    name: str
    enabled: bool = True
    ttl_ms: int | None = None
    semantic: str | None = None


@dataclass(frozen=True, slots=True)
class ServerCacheSettings:
    """What the cache does with one server's answers.

    `ttl_ms` is how long a tool's answer is kept; None keeps a built-in server's as long as what it depends on
    is unchanged, and a third party's not at all. An answer is served `stale_ms` longer while a fresh one is
    fetched. `predict` names the tools that may be called ahead; None is every reading tool of a built-in
    server.
    """

    enabled: bool = True
    ttl_ms: int | None = None
    stale_ms: int = 0
    tools: tuple[ToolCacheSettings, ...] = ()
    predict: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class QuotaSettings:
    """A rate: `per_s` calls a second for ever, `burst` calls at once after a rest."""

    per_s: float
    burst: int


@dataclass(frozen=True, slots=True)
class ToolLimitsSettings:
    """Limits of one tool. `quota` is what all tenants together may send; a call counts `cost`; `call_class` None is
    what the server's tier says."""

    name: str
    quota: QuotaSettings | None = None
    cost: int = 1
    call_class: CallClass | None = None


@dataclass(frozen=True, slots=True)
class ServerLimitsSettings:
    """How much may be asked of one server.

    So many calls are in flight at once as `policy` says, `start` of them before it knows anything (`fixed`: for
    ever), never fewer than `min` nor more than `max`; `queue` more may wait a second. `tenant` is what one tenant may
    send; None is what the gateway's limits say.
    """

    policy: Policy = "gradient"
    start: int = 128
    min: int = 4
    max: int = 1_000
    queue: int = 10_000
    tenant: QuotaSettings | None = None
    tools: tuple[ToolLimitsSettings, ...] = ()


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """Connections to one server over HTTP.

    At most `max_connections`, for one of which a call waits `wait_ms`; `min_idle` are kept open while nothing happens.
    One that rested `idle_ms` is closed until it is known when the server closes them, and replaced when it is
    `max_age_ms` old. HTTP/2 is spoken if `offered` over TLS, if the server is `known` to, or `never`.
    """

    max_connections: int = 100
    wait_ms: int = 5_000
    min_idle: int = 0
    idle_ms: int = 4_000
    max_age_ms: int = 300_000
    http2: Http2 = "offered"


@dataclass(frozen=True, slots=True)
class PressSettings:
    """How much shorter a result becomes: one of at least `from_tokens` tokens is told in `share` of them, and in
    `budget_tokens` at most."""

    share: float = 0.25
    from_tokens: int = 1_000
    budget_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class ToolCompressSettings:
    """What becomes of one tool's results; None leaves them as they are, whatever else is said."""

    name: str
    press: PressSettings | None


@dataclass(frozen=True, slots=True)
class ClientCompressSettings:
    """What becomes of the results that one client, by the name of its token, asks for, and how it is told of tools;
    None: as everybody."""

    name: str
    press: PressSettings | None = None
    tool_list: ToolList | None = None


@dataclass(frozen=True, slots=True)
class ServerCompressSettings:
    """What becomes of the results of a server's tools; with `press` None those stay that `tools` does not name.
    `tool_list` is how its own endpoints tell its tools."""

    press: PressSettings | None = None
    tools: tuple[ToolCompressSettings, ...] = ()
    tool_list: ToolList = "whole"


@dataclass(frozen=True, slots=True)
class GatewayCompressSettings:
    """`tool_list` is how the endpoint of all servers tells their tools; single clients may be told otherwise."""

    tool_list: ToolList = "pruned"
    clients: tuple[ClientCompressSettings, ...] = ()


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """One entry of the file, or one server of the catalogue.

    `name` matches `[A-Za-z0-9_-]{1,64}`; `title` is the name as the file has it. `port` is None for a
    server without a port of its own and 0 for any free one. `after` names servers that are started first. `secrets`
    are the values that `${env:...}` and `${file:...}` yielded, so that nobody reads them in a log.
    """

    name: str
    kind: Kind
    title: str = ""
    builtin: str | None = None
    tier: Tier = "medium"
    port: int | None = None
    enabled: bool = True
    command: str | None = None
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=_nothing)
    cwd: str | None = None
    url: str | None = None
    headers: Mapping[str, str] = field(default_factory=_nothing)
    secrets: tuple[str, ...] = field(default=(), repr=False, compare=False)
    restart: RestartSettings = RestartSettings()
    recycle: RecycleSettings = RecycleSettings()
    resources: ResourceSettings = ResourceSettings()
    sessions: Sessions = "principal"
    trust: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    user: str | None = None
    timeout_ms: int = 60_000
    deadline_ms: int = 600_000
    limits: ServerLimitsSettings = ServerLimitsSettings()
    pool: PoolSettings = PoolSettings()
    cache: ServerCacheSettings = ServerCacheSettings()
    compress: ServerCompressSettings = ServerCompressSettings()

    @property
    def first_party(self) -> bool:
        """True for a built-in server."""
        return self.kind == "worker"

    @property
    def path(self) -> str | None:
        """The socket's path for kind `unix`, else None."""
        return self.url.removeprefix("unix:") if self.kind == "unix" and self.url else None


@dataclass(frozen=True, slots=True)
class EdgeSettings:
    """Limits of the gateway's edge; field by field what the gateway is told."""

    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    body_bytes: int = 4 * 1024 * 1024
    header_bytes: int = 16 * 1024
    header_fields: int = 100
    header_timeout_ms: int = 10_000
    body_timeout_ms: int = 30_000
    streams_per_connection: int = 100
    connections: int = 4096
    session_idle_ms: int = 1_800_000
    sessions: int = 10_000
    keepalive_ms: int = 15_000
    compression: bool = True
    compress_from_bytes: int = 1024


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """How much the gateway remembers: in memory at most `max_bytes` and `max_items`, in memory and packed
    `compressed_bytes`, on disk `disk_bytes`; 0 turns a level off. `predict` lets it call ahead."""

    enabled: bool = True
    max_bytes: int = 64 * 1024 * 1024
    max_items: int = 100_000
    compressed_bytes: int = 32 * 1024 * 1024
    disk_bytes: int = 256 * 1024 * 1024
    predict: bool = True


@dataclass(frozen=True, slots=True)
class LimitsSettings:
    """How much may be asked of all servers: what one tenant may send to all together (`tenant`) and to one of them
    (`tenant_server`), None as much as it likes. `policy` moves these rates and those of servers and tools. With
    `refusals_as_text` a refused tool call is answered by a result that a model can read."""

    tenant: QuotaSettings | None = None
    tenant_server: QuotaSettings | None = None
    policy: RatePolicy = "fixed"
    refusals_as_text: bool = False


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """Where the gateway listens and what it demands. `auth` False is `--no-auth`, loopback only."""

    host: str = "127.0.0.1"
    port: int = catalog.GATEWAY_PORT
    auth: bool = True
    edge: EdgeSettings = EdgeSettings()
    cache: CacheSettings = CacheSettings()
    limits: LimitsSettings = LimitsSettings()
    compress: GatewayCompressSettings = GatewayCompressSettings()


@dataclass(frozen=True, slots=True)
class OrchestratorSettings:
    """How servers are started, restarted and stopped.

    `restart` is what an entry without a `restart` of its own gets. A parked server is tried again every
    `probe_ms`; with `give_up` "exit" the fleet ends instead. A worker says every `heartbeat_ms` that it is
    alive; three that are missing in a row mean that it hangs. `watch` reloads the file when it changes.
    Of what a server prints, `log_lines_per_s` are kept in the long run.
    """

    restart: RestartSettings = RestartSettings()
    start_timeout_ms: int = 30_000
    drain_timeout_ms: int = 5_000
    probe_ms: int = 60_000
    give_up: GiveUp = "park"
    heartbeat_ms: int = 1_000
    watch: bool = True
    log_bytes: int = 10 * 1024 * 1024
    log_files: int = 5
    log_age_s: int = 7 * 24 * 3600
    log_lines_per_s: int = 50


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything one fleet is told. `servers` holds disabled ones too; `notes` are for people."""

    state_dir: Path
    config_path: Path | None
    servers: tuple[ServerSettings, ...]
    gateway: GatewaySettings = GatewaySettings()
    orchestrator: OrchestratorSettings = OrchestratorSettings()
    notes: tuple[str, ...] = field(default=(), compare=False)

    def server(self, name: str) -> ServerSettings | None:
        """The server of this name or alias."""
        for wanted in (name, catalog.canonical(name)):
            for server in self.servers:
                if server.name == wanted:
                    return server
        return None
