"""What may stand in a settings file: one table a section, from key to check.

The tables are the only list of keys the loader knows; the JSON Schema beside this package says the same, and
a test compares them.
"""

from __future__ import annotations

from typing import Any, Final

from omnimind import catalog
from omnimind.settings import compress, limits
from omnimind.settings.checks import (
    Check,
    Spot,
    any_text,
    boolean,
    choice,
    each,
    every,
    integer,
    port,
    section,
    strings,
    switched,
    text,
)

_MILLISECONDS: Final = integer(1, 7 * 24 * 3600 * 1000)

RESTART: Final[dict[str, Check]] = {
    "max_attempts": integer(0, 1000),
    "window_s": integer(1, 7 * 24 * 3600),
    "backoff_min_ms": integer(0, 3_600_000),
    "backoff_max_ms": integer(0, 24 * 3_600_000),
}


def restart(spot: Spot) -> dict[str, Any]:
    """How to restart; a ceiling alone also lowers the floor."""
    found = dict(section(RESTART)(spot))
    if found.get("backoff_min_ms", 0) > found.get("backoff_max_ms", 24 * 3_600_000):
        raise spot.bad("has a backoff_min_ms larger than its backoff_max_ms", "exchange them")
    return found


RECYCLE: Final[dict[str, Check]] = {
    "memory_mb": integer(1, 1024 * 1024),
    "age_s": integer(1, 365 * 24 * 3600),
    "requests": integer(1, 1_000_000_000),
}

RESOURCES: Final[dict[str, Check]] = {
    "memory_mb": integer(16, 1024 * 1024),
    "open_files": integer(16, 1024 * 1024),
    "processes": integer(1, 1024 * 1024),
    "cpu_weight": integer(1, 10_000),
}

_TTL: Final = integer(0, 7 * 24 * 3600 * 1000)


def semantic(spot: Spot) -> str:
    """Which argument is free text: an object with its name."""
    found = section({"argument": text})(spot)
    if "argument" not in found:
        raise spot.bad("does not name the free-text argument", 'write {"argument": "query"}')
    return str(found["argument"])


TOOL_CACHE: Final[dict[str, Check]] = {"ttl_ms": _TTL, "semantic": semantic}


def tool_cache(spot: Spot) -> dict[str, Any]:
    """false, a number of milliseconds, or an object."""
    value = spot.node.value
    if isinstance(value, bool):
        return {"enabled": value}
    if isinstance(value, int):
        return {"ttl_ms": _TTL(spot)}
    return dict(section(TOOL_CACHE)(spot))


def names_or_false(spot: Spot) -> tuple[Any, ...]:
    """A list of names, or false for none."""
    return () if spot.node.value is False else every(text)(spot)


SERVER_CACHE: Final[dict[str, Check]] = {
    "ttl_ms": _TTL,
    "stale_ms": _TTL,
    "tools": each(tool_cache),
    "predict": names_or_false,
}

DISK_CACHE: Final[dict[str, Check]] = {"max_bytes": integer(0, 1 << 40)}

GATEWAY_CACHE: Final[dict[str, Check]] = {
    "max_bytes": integer(0, 1 << 40),
    "max_items": integer(1, 1_000_000_000),
    "compressed_bytes": integer(0, 1 << 40),
    "disk": switched(DISK_CACHE),
    "predict": boolean,
}


ENTRY: Final[dict[str, Check]] = {
    "command": text,
    "args": every(any_text),
    "env": strings,
    "envFile": text,
    "cwd": text,
    "url": text,
    "headers": strings,
    "type": text,
    "builtin": text,
    "tier": choice(*catalog.TIERS),
    "port": port,
    "enabled": boolean,
    "restart": restart,
    "recycle": section(RECYCLE),
    "resources": section(RESOURCES),
    "sessions": choice("shared", "principal", "own"),
    "trust": every(choice("annotations", "public")),
    "after": every(text),
    "user": text,
    "timeout_ms": _MILLISECONDS,
    "deadline_ms": _MILLISECONDS,
    "limits": limits.of_server,
    "pool": limits.pool,
    "cache": switched(SERVER_CACHE),
    "compress": compress.of_server,
}

SPELLINGS: Final[dict[str, str]] = {"serverUrl": "url", "httpUrl": "url", "disabled": "enabled"}
"""Keys of other clients that mean one of ours; `disabled` is the opposite of `enabled`."""

CLIENT_KEYS: Final[frozenset[str]] = frozenset(
    {
        "alwaysAllow",
        "auth",
        "authProviderType",
        "autoApprove",
        "client_headers",
        "description",
        "dev",
        "disabledTools",
        "enabledTools",
        "excludeTools",
        "gallery",
        "headersHelper",
        "icon",
        "includeTools",
        "instructions",
        "metadata",
        "name",
        "oauth",
        "sandbox",
        "sandboxEnabled",
        "scope",
        "source",
        "tags",
        "timeout",
        "title",
        "tools",
        "transport",
        "transportType",
        "version",
        "watchPaths",
    }
)
"""Keys of an entry that are between a client and its user; they are ignored with a note."""

GATEWAY: Final[dict[str, Check]] = {
    "host": text,
    "port": integer(0, 65535),
    "auth": boolean,
    "hosts": every(text),
    "origins": every(text),
    "body_bytes": integer(1024, 1024 * 1024 * 1024),
    "header_bytes": integer(1024, 1024 * 1024),
    "header_fields": integer(10, 1000),
    "header_timeout_ms": integer(100, 600_000),
    "body_timeout_ms": integer(100, 3_600_000),
    "streams_per_connection": integer(1, 10_000),
    "connections": integer(1, 1_000_000),
    "session_idle_ms": integer(1000, 7 * 24 * 3600 * 1000),
    "sessions": integer(1, 10_000_000),
    "keepalive_ms": integer(100, 600_000),
    "compression": boolean,
    "compress_from_bytes": integer(0, 1 << 30),
    "cache": switched(GATEWAY_CACHE),
    "limits": limits.of_gateway,
    "compress": compress.of_gateway,
}

ORCHESTRATOR: Final[dict[str, Check]] = {
    "restart": restart,
    "start_timeout_ms": integer(100, 3_600_000),
    "drain_timeout_ms": integer(0, 3_600_000),
    "probe_ms": integer(1000, 7 * 24 * 3600 * 1000),
    "give_up": choice("park", "exit"),
    "heartbeat_ms": integer(100, 600_000),
    "watch": boolean,
    "log_bytes": integer(4096, 1024 * 1024 * 1024),
    "log_files": integer(1, 1000),
    "log_age_s": integer(60, 365 * 24 * 3600),
    "log_lines_per_s": integer(1, 1_000_000),
}

TOP: Final[tuple[str, ...]] = ("$schema", "mcpServers", "servers", "gateway", "orchestrator")
"""Keys of the file itself; `servers` is how VS Code writes `mcpServers`."""
