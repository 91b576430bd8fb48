"""The fleet that `omnimind bench` measures: one of its own, or the one that runs; and how it is asked."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

from omnimind import catalog, settings, tokens
from omnimind.bench.nine import Nine
from omnimind.cli import connection, fleet, terminal
from omnimind.cli.mcp_client import Client
from omnimind.monitor import watching
from omnimind.stress import mix
from omnimind.stress.mix import Mix

_LIST_PATIENCE_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Target:
    """The fleet that is measured, and how it is asked."""

    words: str
    url: str
    token: str | None
    ports: Mapping[int, str]
    mix: Mix
    status: Callable[[], Mapping[str, Any]]
    nine: Nine | None = None
    """The fleet itself, if it is one of our own."""


def running(arguments: argparse.Namespace) -> Target:
    """The fleet that runs, with calls that change nothing unless others are named. Raises NoFleetError, UsageError."""
    state = settings.state_dir(arguments.state)
    record = fleet.need(state)
    token = tokens.local_token(state) if record.token_file else None
    url = connection.endpoint(record)

    def status() -> Mapping[str, Any]:
        return fleet.ask(state, {"cmd": "status"})

    servers = [str(row["name"]) for row in status().get("servers", ()) if isinstance(row, dict)]
    if arguments.mix:
        calls = mix.read(arguments.mix, servers)
    else:
        with Client(f"{url}?tools=whole", token, _LIST_PATIENCE_S) as client:
            calls = mix.harmless(client.tools(), servers)
    words = f"the running fleet of {len(servers)} servers, {_calls(arguments)}"
    return Target(words, url, token, watching.ports(record.endpoint, record.servers), calls, status)


def thrown_away(arguments: argparse.Namespace, ending: ExitStack) -> Target:
    """A fleet of the nine, started here and ended with `ending`. Raises FleetError, UsageError."""
    named = mix.read(arguments.mix, [builtin.name for builtin in catalog.BUILTINS]) if arguments.mix else None
    terminal.say("starting a fleet of the nine for this")
    nine = ending.enter_context(Nine(fleet.ask, Client, seed=arguments.seed))
    record = fleet.need(nine.state)
    words = f"the nine built-in servers, started for this and ended after it, {_calls(arguments)}"
    ports = watching.ports(record.endpoint, record.servers)
    return Target(words, nine.url, nine.token, ports, named or nine.mix(), nine.status, nine)


def _calls(arguments: argparse.Namespace) -> str:
    if arguments.mix:
        return f"the calls of {arguments.mix.name}"
    return "the cheapest call of each that only reads" if arguments.running else "the fixed mix of calls"
