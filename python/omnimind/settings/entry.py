"""One entry of the file to one `ServerSettings`: what kind it is, its name, its defaults, its references.

An entry with `command` or `url` is a third party's, whatever its name; one without is the built-in of
that name, or of `builtin`. Whatever a client wrote for itself is ignored with a note, never an error; a
key nobody knows is one. References in a disabled entry are not expanded, so it needs nothing to be set.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

from omnimind import catalog
from omnimind.errors import SettingsError, closest
from omnimind.settings import checks, fields
from omnimind.settings.checks import Spot
from omnimind.settings.document import Member, Node
from omnimind.settings.expand import Expander, Unexpandable, read_env_file
from omnimind.settings.model import (
    Kind,
    PoolSettings,
    RecycleSettings,
    ResourceSettings,
    RestartSettings,
    ServerCacheSettings,
    ServerCompressSettings,
    ServerLimitsSettings,
    ServerSettings,
    ToolCacheSettings,
)

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")
_HTTP_URL = re.compile(r"https?://(?:[A-Za-z0-9._~%-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?(?:[/?#][!-~]*)?")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\ud7ff\ue000-\U0010ffff]*")
RESERVED_NAMES: Final = frozenset({"gateway", "orchestrator", "guard", "zygote"})
"""Names of the fleet's own processes; a server of that name would share their logs."""
_RESERVED_HEADERS: Final = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "keep-alive"}
)
_EXPANDED: Final = ("command", "args", "env", "envFile", "cwd", "url", "headers", "user")
_MAY_HOLD_SECRETS: Final = ("args", "env", "url", "headers")
_ONLY_FOR: Final[dict[str, tuple[Kind, ...]]] = {
    "env": ("stdio", "worker"),
    "args": ("stdio", "worker"),
    "envFile": ("stdio",),
    "cwd": ("stdio",),
    "user": ("stdio",),
    "recycle": ("stdio", "worker"),
    "resources": ("stdio", "worker"),
    "headers": ("http",),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """A server and the notes about it."""

    server: ServerSettings
    notes: tuple[str, ...]


def read_entry(title: str, member: Member, spot: Spot, expander: Expander, restart: RestartSettings) -> Entry:
    """Read the entry called `title`; `restart` is what it gets without a `restart` of its own."""
    values, spots, ignored = _values(spot)
    kind, builtin = _kind(title, member, values, spots, spot)
    if "pool" in values and kind != "http":
        raise spots["pool"].bad(
            "is for a server with an http or https address: no other has connections to share",
            "remove the key",
        )
    name = (
        builtin.name if builtin and builtin.name == catalog.canonical(title) else _slug(title, member, spot)
    )
    enabled = values.get("enabled", True)
    secrets: tuple[str, ...] = ()
    if enabled:
        written = values
        values = {key: _expand(key, value, spots[key], expander) for key, value in values.items()}
        secrets = tuple(_secrets(written, expander))
    idle = [key for key in values if kind not in _ONLY_FOR.get(key, (kind,))]
    notes = []
    if name != title:
        notes.append(f'the server "{title}" is called {name} here')
    if ignored:
        notes.append(f"{name}: keys for other clients, ignored: {', '.join(ignored)}")
    if idle:
        notes.append(f"{name}: without effect for its kind ({kind}): {', '.join(idle)}")
    if kind == "stdio" and "requests" in values.get("recycle", {}):
        notes.append(f"{name}: recycle.requests counts for built-in servers only")
    if kind == "http" and values.get("type") == "sse":
        notes.append(
            f"{name}: the old HTTP+SSE transport is not spoken; its address is tried as streamable HTTP"
        )
    server = (
        _third_party(kind, values, spots, expander, enabled)
        if builtin is None
        else _builtin(builtin, values, spots)
    )
    server = _common(replace(server, name=name, title=title, secrets=secrets), values, spots, restart)
    if builtin and name != builtin.name and "port" not in values:
        server = replace(server, port=None)
    return Entry(server, tuple(notes))


def _values(spot: Spot) -> tuple[dict[str, Any], dict[str, Spot], list[str]]:
    """The checked values of an entry, where they stand, and the keys to ignore."""
    values: dict[str, Any] = {}
    spots: dict[str, Spot] = {}
    ignored: list[str] = []
    for written, member in checks.members(spot).items():
        key, inner = fields.SPELLINGS.get(written, written), spot.within(written, member.node)
        if written in fields.CLIENT_KEYS or (key == "trust" and isinstance(member.node.value, bool)):
            ignored.append(written)
            continue
        if key not in fields.ENTRY:
            raise checks.unknown(spot, written, member, tuple(fields.ENTRY))
        value = fields.ENTRY[key](inner)
        value = not value if written == "disabled" else value
        if key in values and values[key] != value:
            raise spot.document.error(
                "OM0109",
                f'{spot.path}: "{written}" contradicts an earlier key of the same meaning',
                member.at,
                help="keep one of them",
            )
        values[key], spots[key] = value, inner
    return values, spots, ignored


def _kind(
    title: str, member: Member, values: dict[str, Any], spots: dict[str, Spot], spot: Spot
) -> tuple[Kind, catalog.Builtin | None]:
    """How the server is reached, and which built-in it is."""
    ways = [key for key in ("command", "url", "builtin") if key in values]
    if len(ways) > 1:
        raise spot.document.error(
            "OM0109",
            f'{spot.path} has both "{ways[0]}" and "{ways[1]}"',
            spots[ways[1]].node.at,
            help="keep the one by which the server is reached",
        )
    if "command" in values:
        return "stdio", None
    if "url" in values:
        if str(values.get("type", "")).lower() in ("ws", "websocket"):
            raise spots["type"].bad("is a WebSocket, which is not spoken", "use the server's http(s) address")
        return ("unix" if values["url"].startswith("unix:") else "http"), None
    wanted = values.get("builtin", title)
    builtin = catalog.find(wanted)
    at = spots["builtin"].node.at if "builtin" in spots else member.at
    if builtin is None:
        raise _no_way(title, wanted, spot, at, "builtin" in values)
    return "worker", builtin


def _no_way(title: str, wanted: str, spot: Spot, at: int, named: bool) -> SettingsError:
    near = closest(wanted, [builtin.name for builtin in catalog.BUILTINS] + list(catalog.ALIASES))
    if named or near:
        names = ", ".join(found.name for found in catalog.BUILTINS)
        return spot.document.error(
            "OM0108",
            f'there is no built-in server "{wanted}"',
            at,
            help=f'did you mean "{near}"?' if near else f"available are {names}",
        )
    return spot.document.error(
        "OM0109",
        f'the entry "{title}" does not say how its server is reached',
        at,
        help='add "command" (a program), "url" (http, https or unix:/path) or "builtin"',
    )


def _slug(title: str, member: Member, spot: Spot) -> str:
    """A name that is safe in paths, URLs and tool names."""
    name = _UNSAFE.sub("-", title).strip("-")
    if not name or len(name) > 64:
        raise spot.document.error(
            "OM0105",
            f"{title[:80]!r} cannot be the name of a server",
            member.at,
            help="use 1 to 64 letters, digits, '_' or '-'",
        )
    return f"{name}-server" if name in RESERVED_NAMES else name


def _expand(key: str, value: Any, spot: Spot, expander: Expander) -> Any:
    if key not in _EXPANDED:
        return value
    try:
        if isinstance(value, str):
            expanded: Any = expander.expand(value)
        elif isinstance(value, tuple):
            expanded = tuple(expander.expand(item) for item in value)
        else:
            expanded = MappingProxyType({name: expander.expand(item) for name, item in value.items()})
    except Unexpandable as error:
        at = _where(spot, expander)
        raise spot.document.error("OM0106", f"{spot.path}: {error.what}", at, help=error.help) from None
    return expanded


def _secrets(written: dict[str, Any], expander: Expander) -> Iterator[str]:
    """What references yield where secrets are handed over; all of them can be expanded."""
    for key in _MAY_HOLD_SECRETS:
        value = written.get(key, ())
        texts = (value,) if isinstance(value, str) else value.values() if hasattr(value, "values") else value
        for text in texts:
            yield from expander.secrets(text)


def _where(spot: Spot, expander: Expander) -> int:
    """The offset of the first string beneath a spot that cannot be expanded."""
    node = spot.node
    inner: list[Node] = node.value if isinstance(node.value, list) else []
    if isinstance(node.value, dict):
        inner = [member.node for member in node.value.values()]
    for candidate in inner:
        try:
            expander.expand(str(candidate.value))
        except Unexpandable:
            return candidate.at
    return node.at


def _builtin(builtin: catalog.Builtin, values: dict[str, Any], spots: dict[str, Spot]) -> ServerSettings:
    if values.get("sessions", "shared") != "shared":
        raise spots["sessions"].bad('must be "shared" for a built-in server', "remove the key")
    return replace(
        of_builtin(builtin), args=values.get("args", ()), env=values.get("env", MappingProxyType({}))
    )


def of_builtin(builtin: catalog.Builtin) -> ServerSettings:
    """A built-in server as the catalogue has it."""
    return ServerSettings(
        name=builtin.name,
        title=builtin.name,
        kind="worker",
        builtin=builtin.name,
        tier=builtin.tier,
        port=builtin.port,
        sessions="shared",
        trust=("annotations", "public"),
    )


def _third_party(
    kind: Kind, values: dict[str, Any], spots: dict[str, Spot], expander: Expander, enabled: bool
) -> ServerSettings:
    if kind == "stdio":
        env = (
            dict(_env_file(values["envFile"], spots["envFile"], expander))
            if enabled and "envFile" in values
            else {}
        )
        cwd = values.get("cwd")
        return ServerSettings(
            name="",
            kind=kind,
            command=values["command"],
            args=values.get("args", ()),
            env=MappingProxyType(env | dict(values.get("env", {}))),
            cwd=_folder(cwd, spots["cwd"], expander) if cwd and enabled else cwd,
        )
    url = values["url"]
    if enabled:
        _check_url(url, kind, spots["url"])
        _check_headers(values.get("headers", {}), spots)
    return ServerSettings(name="", kind=kind, url=url, headers=values.get("headers", MappingProxyType({})))


def _env_file(name: str, spot: Spot, expander: Expander) -> dict[str, str]:
    try:
        return read_env_file(expander.path(name).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, Unexpandable) as error:
        what = error.what if isinstance(error, Unexpandable) else f"the file {name} cannot be read"
        raise spot.document.error(
            "OM0106", f"{spot.path}: {what}", spot.node.at, help="check the file"
        ) from None


def _folder(name: str, spot: Spot, expander: Expander) -> str:
    try:
        return str(expander.path(name))
    except Unexpandable as error:
        raise spot.document.error(
            "OM0106", f"{spot.path}: {error.what}", spot.node.at, help=error.help
        ) from None


def _check_url(url: str, kind: Kind, spot: Spot) -> None:
    if kind == "unix":
        if not os.path.isabs(url.removeprefix("unix:")):
            raise spot.bad("names a socket by a relative path", 'write "unix:/absolute/path"')
        return
    if "@" in url.split("?", 1)[0]:
        raise spot.bad("carries a user or password", 'put them into "headers", such as "Authorization"')
    if not _HTTP_URL.fullmatch(url):
        raise spot.bad(
            "is not an http, https or unix address",
            'such as "https://example.com/mcp"; other than ASCII stands percent-encoded',
        )


def _check_headers(headers: Any, spots: dict[str, Spot]) -> None:
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise spots["headers"].bad(f'holds "{name}", which is not a valid header')
        if name.lower() in _RESERVED_HEADERS:
            raise spots["headers"].bad(f'holds "{name}", which the connection sets itself', "remove it")


def _cache(values: dict[str, Any]) -> ServerCacheSettings:
    tools = tuple(ToolCacheSettings(name, **said) for name, said in values.get("tools", {}).items())
    return ServerCacheSettings(**{**values, "tools": tools})


def _common(
    server: ServerSettings, values: dict[str, Any], spots: dict[str, Spot], restart: RestartSettings
) -> ServerSettings:
    """The keys that mean the same for every kind."""
    timeout_ms = values.get("timeout_ms", server.timeout_ms)
    deadline_ms = values.get("deadline_ms", max(server.deadline_ms, timeout_ms))
    if "timeout_ms" in values and timeout_ms > deadline_ms:
        raise spots["timeout_ms"].bad(f"is longer than deadline_ms, {deadline_ms}", "raise deadline_ms")
    return replace(
        server,
        tier=values.get("tier", server.tier),
        port=values.get("port", server.port),
        enabled=values.get("enabled", True),
        restart=replace(restart, **values.get("restart", {})),
        recycle=RecycleSettings(**values.get("recycle", {})),
        resources=ResourceSettings(**values.get("resources", {})),
        sessions=values.get("sessions", server.sessions),
        trust=values.get("trust", server.trust),
        after=tuple(catalog.canonical(name) for name in values.get("after", ())),
        user=values.get("user"),
        timeout_ms=min(timeout_ms, deadline_ms),
        deadline_ms=deadline_ms,
        limits=values.get("limits", ServerLimitsSettings()),
        pool=values.get("pool", PoolSettings()),
        cache=_cache(values.get("cache", {})),
        compress=values.get("compress", ServerCompressSettings()),
    )
