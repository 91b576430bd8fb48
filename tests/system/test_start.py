"""From the start of the process to all three built-in servers ready, and the first call answered.

The bar is three seconds; it is asserted in full runs only (`make bar-start`), on a machine that has time. The
sample guards against a hang and asserts what holds on any machine: ready means that calls are answered.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from tests.fleet import Fleet

FULL = bool(os.environ.get("OMNIMIND_FULL"))
STARTS = 5 if FULL else 1
BAR_S = 3.0
HANG_S = 30.0
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


def first_call(fleet: Fleet) -> int:
    """Lists the tools of all servers; how many there are."""
    url = urlsplit(fleet.base)
    assert url.hostname is not None
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": META}})
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": "tools/list",
    }
    connection = HTTPConnection(url.hostname, url.port, timeout=20)
    try:
        connection.request("POST", "/mcp", body, headers)
        tools: list[dict[str, str]] = json.loads(connection.getresponse().read())["result"]["tools"]
    finally:
        connection.close()
    return len({tool["name"].split("__")[0] for tool in tools})


@pytest.mark.roomy
@pytest.mark.bar
@pytest.mark.timeout(300)
def test_three_servers_are_ready_and_answer_soon_after_the_start() -> None:
    took = []
    for _ in range(STARTS):
        began = time.monotonic()
        servers = {name: {"port": 0} for name in ("filesystem", "memory", "thinking")}
        with Fleet(servers) as fleet:
            took.append(time.monotonic() - began)
            assert first_call(fleet) == 3
    print("start to ready:", ", ".join(f"{seconds:.2f} s" for seconds in took))
    assert statistics.median(took) <= (BAR_S if FULL else HANG_S)
