"""What the operator asks of the gateway's cache: passed on to the process that serves, its answer handed back.

Rule: the cache is the gateway's; nothing is known of it here but who can be asked about.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from omnimind import tokens
from omnimind.errors import FleetError, closest
from omnimind.orchestrator import asking
from omnimind.orchestrator.fleet import Fleet
from omnimind.orchestrator.supervise import Server

_DEEPEST: Final = 100


async def answer(fleet: Fleet, server: Server | None, request: Mapping[str, Any]) -> Mapping[str, Any]:
    """The gateway's answer, and what only the fleet knows. Raises FleetError."""
    name = None if server is None else server.settings.name
    match request.get("op"):
        case "stats":
            return await asking.of_all_servers(fleet, "stats")
        case "flush":
            fleet.history.fleet("cache flushed", server=name)
            return await asking.gateway(fleet, {"op": "flush", "server": name})
        case "explain":
            principal, message = _principal(fleet, request), _sound(request.get("message"))
            question = {"op": "explain", "server": name, "principal": principal, "message": message}
            found = await asking.gateway(fleet, question)
            meant = server or fleet.servers.get(str(found.get("server")))
            return found if meant is None else {**found, "state": meant.phase.value}
    raise FleetError("OM0204", f"the cache has no operation {request.get('op')!r}")


def _principal(fleet: Fleet, request: Mapping[str, Any]) -> str:
    name = str(request.get("principal"))
    known = [principal.name for principal in tokens.principals(fleet.settings.state_dir)]
    if name in known:
        return name
    near = closest(name, known)
    help = f"did you mean {near}?" if near else "list them: omnimind token list"
    raise FleetError("OM0301", f"there is no principal named {name}", help=help)


def _sound(message: object) -> object:
    """A message that the gateway can read: one that it cannot would never be answered."""
    try:
        json.dumps(message, allow_nan=False)
        if _depth(message) <= _DEEPEST:
            return message
        why = "it is nested too deeply"
    except (TypeError, ValueError, RecursionError) as fault:
        why = str(fault)
    raise FleetError("OM0204", f"the request cannot be passed to the gateway: {why}")


def _depth(value: object) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, inner), default=0)
