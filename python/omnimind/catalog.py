"""The built-in servers: names, tiers, ports.

Rule: no other file writes one of these port numbers.
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
    summary: str


BUILTINS: Final[tuple[Builtin, ...]] = (
    Builtin("filesystem", "critical", 4327, "read and write files beneath named folders"),
    Builtin("memory", "critical", 4321, "a knowledge graph and memories that last"),
    Builtin("thinking", "critical", 4322, "step-by-step reasoning sessions"),
    Builtin("context", "high", 4323, "context within a token budget"),
    Builtin("git", "high", 4328, "git repositories beneath named folders"),
    Builtin("python", "high", 4324, "Python code in a sandbox"),
    Builtin("sqlite", "medium", 4329, "SQLite databases"),
    Builtin("system_info", "medium", 4325, "facts about this machine"),
    Builtin("logging", "medium", 4326, "logs of the fleet, and records of clients"),
)

ALIASES: Final[dict[str, str]] = {"sequential_thinking": "thinking"}
"""Other names of built-in servers, in files and in URLs."""

_BY_NAME: Final[dict[str, Builtin]] = {builtin.name: builtin for builtin in BUILTINS}


def canonical(name: str) -> str:
    """The built-in's own name if `name` is an alias of one, else `name`."""
    return ALIASES.get(name, name)


def find(name: str) -> Builtin | None:
    """The built-in of this name or alias."""
    return _BY_NAME.get(canonical(name))
