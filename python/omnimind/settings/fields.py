"""What may stand in a settings file: one table a section, from key to check.

A check takes a place in the document and returns the value, or raises an error that points at it. The
tables are the only list of keys the loader knows; the JSON Schema beside this package says the same, and
a test compares them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from omnimind import catalog
from omnimind.errors import SettingsError, closest
from omnimind.settings.document import Document, Member, Node

Check = Callable[["Spot"], Any]


@dataclass(frozen=True, slots=True)
class Spot:
    """A value under a check: its document, its node, and its path such as `mcpServers.git.port`."""

    document: Document
    node: Node
    path: str

    def wrong(self, expected: str, help: str | None = None) -> SettingsError:
        """The error "this must be ..."."""
        return self.document.error(
            "OM0105", f"{self.path} must be {expected}, not {self.node.kind}", self.node.at, help=help
        )

    def bad(self, what: str, help: str | None = None) -> SettingsError:
        """The error for a value of the right type that cannot be."""
        return self.document.error("OM0105", f"{self.path} {what}", self.node.at, help=help)

    def within(self, key: str | int, node: Node) -> Spot:
        """The spot of a member or an item."""
        return Spot(
            self.document, node, f"{self.path}[{key}]" if isinstance(key, int) else f"{self.path}.{key}"
        )


def members(spot: Spot) -> dict[str, Member]:
    """The members of an object."""
    if not isinstance(spot.node.value, dict):
        raise spot.wrong("an object", "write { ... }")
    return spot.node.value


def text(spot: Spot) -> str:
    """A string that is not empty and holds no NUL."""
    value = spot.node.value
    if not isinstance(value, str):
        raise spot.wrong("a string", 'quote it: "..."')
    if not value.strip() or "\0" in value:
        raise spot.bad("is empty" if not value.strip() else "holds a NUL character")
    return value


def any_text(spot: Spot) -> str:
    """A string, also an empty one."""
    return text(spot) if spot.node.value != "" else ""


def boolean(spot: Spot) -> bool:
    """true or false."""
    if not isinstance(spot.node.value, bool):
        raise spot.wrong("true or false")
    return spot.node.value


def integer(low: int, high: int) -> Check:
    """A whole number from `low` to `high`."""

    def check(spot: Spot) -> int:
        value = spot.node.value
        if isinstance(value, bool) or not isinstance(value, int):
            raise spot.wrong(f"a whole number from {low} to {high}")
        if not low <= value <= high:
            raise spot.bad(f"is {value}; it must lie from {low} to {high}")
        return value

    return check


def port(spot: Spot) -> int | None:
    """A TCP port, 0 for a free one, null for none."""
    if spot.node.value is None:
        return None
    return int(integer(0, 65535)(spot))


def choice(*words: str) -> Check:
    """One of the words."""

    def check(spot: Spot) -> str:
        value = spot.node.value
        listed = ", ".join(f'"{word}"' for word in words)
        if not isinstance(value, str):
            raise spot.wrong(f"one of {listed}")
        if value not in words:
            near = closest(value, words)
            raise spot.bad(f'is "{value}"', f'did you mean "{near}"?' if near else f"write one of {listed}")
        return value

    return check


def every(check: Check) -> Check:
    """A list whose items pass `check`."""

    def check_list(spot: Spot) -> tuple[Any, ...]:
        if not isinstance(spot.node.value, list):
            raise spot.wrong("a list", "write [ ... ]")
        return tuple(check(spot.within(index, node)) for index, node in enumerate(spot.node.value))

    return check_list


def strings(spot: Spot) -> Mapping[str, str]:
    """An object of strings; a number counts as its text."""
    found: dict[str, str] = {}
    for key, member in members(spot).items():
        inner, value = spot.within(key, member.node), member.node.value
        if not key or "=" in key or "\0" in key:
            raise spot.document.error("OM0105", f"{spot.path}: {key!r} cannot be a name", member.at)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        found[key] = str(value) if is_number else any_text(inner)
    return MappingProxyType(found)


def switch_or_object(spot: Spot) -> Any:
    """An object, or true or false."""
    if isinstance(spot.node.value, bool):
        return spot.node.value
    members(spot)
    return spot.node.plain()


def plain_object(spot: Spot) -> Any:
    """An object of any content."""
    members(spot)
    return spot.node.plain()


def section(table: Mapping[str, Check]) -> Check:
    """An object with the keys of a table; returns the keys that stand there."""

    def check(spot: Spot) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, member in members(spot).items():
            if key not in table:
                raise unknown(spot, key, member, tuple(table))
            found[key] = table[key](spot.within(key, member.node))
        return found

    return check


def switched(table: Mapping[str, Check]) -> Check:
    """true, false, or an object with the keys of a table; what stands there, with `enabled`."""

    def check(spot: Spot) -> dict[str, Any]:
        if isinstance(spot.node.value, bool):
            return {"enabled": spot.node.value}
        return {"enabled": True, **section(table)(spot)}

    return check


def unknown(spot: Spot, key: str, member: Member, known: tuple[str, ...]) -> SettingsError:
    """The error for a key that is not known."""
    near = closest(key, known)
    help = f'did you mean "{near}"?' if near else "known keys: " + ", ".join(sorted(known))
    where = spot.path or "the file"
    return spot.document.error("OM0104", f'the key "{key}" is not known in {where}', member.at, help=help)


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


def each(check: Check) -> Check:
    """An object of any keys whose values pass `check`."""

    def check_each(spot: Spot) -> dict[str, Any]:
        return {key: check(spot.within(key, member.node)) for key, member in members(spot).items()}

    return check_each


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
    "limits": plain_object,
    "cache": switched(SERVER_CACHE),
    "compress": switch_or_object,
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
    "cache": switched(GATEWAY_CACHE),
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
