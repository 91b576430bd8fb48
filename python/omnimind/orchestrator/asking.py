"""What the operator asks of the gateway: passed on to the process that serves, its answer handed back as it came.

Rule: nothing is known here of what the gateway limits, pools or remembers, but which servers there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from omnimind.errors import FleetError
from omnimind.orchestrator.fleet import Fleet

PATIENCE_S: Final = 8.0
"""A server may have to say what its tools are before the gateway can answer."""


async def gateway(fleet: Fleet, question: Mapping[str, Any]) -> dict[str, Any]:
    """The answer of the gateway. Raises FleetError if there is none."""
    said = await fleet.gateway.ask({"t": "cache", **question}, PATIENCE_S)
    if said is None:
        raise FleetError(
            "OM0204",
            f"the gateway, which is {fleet.gateway.state}, did not answer",
            help="see what it does: omnimind logs gateway",
        )
    return dict(said["answer"])


async def of_all_servers(fleet: Fleet, op: str) -> dict[str, Any]:
    """The answer to a question about all servers, and who of them also answers elsewhere: as units of systemd."""
    return {**await gateway(fleet, {"op": op}), "units": sorted(fleet.units)}


async def of_pools(fleet: Fleet) -> dict[str, Any]:
    """The pools, and the servers that will have one when they are first called."""
    found = await gateway(fleet, {"op": "pool"})
    used = {row["name"] for row in found["servers"]}
    over_http = [server.name for server in fleet.settings.servers if server.enabled and server.kind == "http"]
    return {**found, "unused": [name for name in over_http if name not in used]}
