"""The built-in servers: names, tiers, ports, and which of them this version has.

Rule: no other file writes one of these port numbers. A server that is planned but not in this version
keeps its name and port here, so that nothing else takes them, and cannot be started.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Tier = Literal["critical", "high", "medium"]

TIERS: Final[tuple[Tier, ...]] = ("critical", "high", "medium")
"""The order in which tiers start; they stop in reverse."""

GATEWAY_PORT: Final = 4320


@dataclass(frozen=True, slots=True)
class Builtin:
    """One built-in server."""

    name: str
    tier: Tier
    port: int
    available: bool
    summary: str


BUILTINS: Final[tuple[Builtin, ...]] = (
    Builtin("filesystem", "critical", 4327, True, "read and write files beneath named folders"),
    Builtin("memory", "critical", 4321, True, "a knowledge graph and memories that last"),
    Builtin("thinking", "critical", 4322, True, "step-by-step reasoning sessions"),
    Builtin("context", "high", 4323, True, "context within a token budget"),
    Builtin("git", "high", 4328, True, "git repositories beneath named folders"),
    Builtin("python", "high", 4324, True, "Python code in a sandbox"),
    Builtin("sqlite", "medium", 4329, True, "SQLite databases"),
    Builtin("system_info", "medium", 4325, True, "facts about this machine"),
    Builtin("logging", "medium", 4326, True, "logs of the fleet, and records of clients"),
)

ALIASES: Final[dict[str, str]] = {"sequential_thinking": "thinking"}
"""Other names of built-in servers, in files and in URLs."""

_BY_NAME: Final[dict[str, Builtin]] = {builtin.name: builtin for builtin in BUILTINS}


def canonical(name: str) -> str:
    """The built-in's own name if `name` is an alias of one, else `name`."""
    return ALIASES.get(name, name)


def find(name: str) -> Builtin | None:
    """The built-in of this name or alias, also if this version does not have it."""
    return _BY_NAME.get(canonical(name))


def available() -> tuple[Builtin, ...]:
    """The built-ins that this version can start, in the order of the catalogue."""
    return tuple(builtin for builtin in BUILTINS if builtin.available)
