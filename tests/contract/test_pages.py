"""Long lists of the aggregate come in pages: tools whole up to 1,000, other lists by 100, nothing twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest
from fixtures.many import RESOURCES, TOOLS

from tests.fleet import Fleet, fixture_entry, wait_until

META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    servers = {name: fixture_entry("many", sessions="shared") for name in ("one", "two")}
    with Fleet(servers, auth=True) as running:
        yield running


def ask(fleet: Fleet, token: str, method: str, cursor: str | None = None) -> dict[str, Any]:
    """One list request; the whole answer."""
    url = urlsplit(fleet.aggregate)
    assert url.hostname is not None
    params: dict[str, Any] = {"_meta": META} | ({"cursor": cursor} if cursor is not None else {})
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": method,
    }
    connection = HTTPConnection(url.hostname, url.port, timeout=20)
    try:
        connection.request("POST", url.path, body, headers)
        answer: dict[str, Any] = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    return answer


def pages(fleet: Fleet, method: str, member: str, key: str) -> list[list[str]]:
    found = []
    cursor = None
    while True:
        result = ask(fleet, fleet.token, method, cursor)["result"]
        found.append([item[key] for item in result[member]])
        cursor = result.get("nextCursor")
        if cursor is None:
            return found


def test_tools_come_whole_up_to_a_thousand(fleet: Fleet) -> None:
    found = pages(fleet, "tools/list", "tools", "name")
    assert [len(page) for page in found] == [1000, 1000, 400]
    names = [name for page in found for name in page]
    assert names == [f"{server}__t{number:04}" for server in ("one", "two") for number in range(TOOLS)]


def test_other_lists_come_by_the_hundred(fleet: Fleet) -> None:
    found = pages(fleet, "resources/list", "resources", "uri")
    assert [len(page) for page in found] == [100] * 5
    uris = [uri for page in found for uri in page]
    wanted = [
        f"omnimind+{server}:many://r/{number}" for server in ("one", "two") for number in range(RESOURCES)
    ]
    assert uris == wanted


@pytest.mark.parametrize("cursor", ["", "0", "not a cursor", "A" * 200])
def test_a_cursor_that_was_not_made_here_is_refused(fleet: Fleet, cursor: str) -> None:
    assert ask(fleet, fleet.token, "resources/list", cursor)["error"]["code"] == -32602


def test_a_cursor_is_good_for_its_own_list_and_its_own_principal_only(fleet: Fleet) -> None:
    cursor = ask(fleet, fleet.token, "resources/list")["result"]["nextCursor"]
    assert "result" in ask(fleet, fleet.token, "resources/list", cursor)
    assert ask(fleet, fleet.token, "tools/list", cursor)["error"]["code"] == -32602
    done = subprocess.run(
        [sys.executable, "-m", "omnimind", "token", "add", "other", "--json"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMNIMIND_STATE": str(fleet.state)},
    )
    other: str = json.loads(done.stdout)["token"]
    wait_until(lambda: "result" in ask(fleet, other, "resources/list"), 10, "the new token is known")
    assert ask(fleet, other, "resources/list", cursor)["error"]["code"] == -32602
