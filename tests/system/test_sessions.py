"""Legacy sessions that their clients never close: they end by themselves, are few enough, and cost little."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from tests.fleet import Fleet, wait_until

SESSIONS = 10_000 if os.environ.get("OMNIMIND_FULL") else 1_000
MOST_BYTES = 8 * 1024
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {"roots": {"listChanged": True}},
        "clientInfo": {"name": "forgetful", "version": "1"},
    },
}
INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}
LIST = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}


class Client:
    """One connection that opens sessions and forgets them."""

    def __init__(self, fleet: Fleet) -> None:
        url = urlsplit(fleet.base)
        assert url.hostname is not None
        self.connection = HTTPConnection(url.hostname, url.port, timeout=20)

    def post(
        self, message: dict[str, Any], session: str | None = None
    ) -> tuple[int, str | None, dict[str, Any]]:
        headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        if session is not None:
            headers |= {"Mcp-Session-Id": session, "MCP-Protocol-Version": "2025-11-25"}
        self.connection.request("POST", "/servers/thinking/mcp", json.dumps(message), headers)
        response = self.connection.getresponse()
        raw = response.read()
        body: dict[str, Any] = json.loads(raw) if raw.startswith(b"{") else {}
        return response.status, response.headers["Mcp-Session-Id"], body

    def open(self) -> str:
        status, session, _ = self.post(INITIALIZE)
        assert status == 200
        assert session is not None
        status, _, _ = self.post(INITIALIZED, session)
        assert status == 202
        return session

    def close(self) -> None:
        self.connection.close()


@contextmanager
def fleet_with(**limits: int) -> Iterator[tuple[Fleet, Client]]:
    with Fleet({"thinking": {}}, gateway=limits) as fleet:
        client = Client(fleet)
        try:
            yield fleet, client
        finally:
            client.close()


def gateway(fleet: Fleet) -> psutil.Process:
    return next(
        process for process in fleet.descendants() if "omnimind.gateway" in " ".join(process.cmdline())
    )


@pytest.mark.bar
@pytest.mark.timeout(180)
def test_a_forgotten_session_costs_at_most_8_kib_and_no_process() -> None:
    with fleet_with(sessions=2 * SESSIONS) as (fleet, client):
        for _ in range(200):
            client.open()
        process = gateway(fleet)
        processes = len(fleet.descendants())
        before = process.memory_full_info().pss
        for _ in range(SESSIONS):
            client.open()
        grown = process.memory_full_info().pss - before
        print(f"{SESSIONS} sessions: {grown / SESSIONS:.0f} bytes each")
        assert grown / SESSIONS <= MOST_BYTES
        assert len(fleet.descendants()) == processes


@pytest.mark.timeout(60)
def test_a_session_unused_for_its_time_ends() -> None:
    with fleet_with(session_idle_ms=1000) as (_, client):
        session = client.open()
        assert client.post(LIST, session)[0] == 200
        status = 200

        def ended() -> bool:
            nonlocal status
            status = client.post({**LIST, "method": "ping"}, "not-" + session)[0]  # keeps nothing alive
            return status == 404 and client_sessions() == 0

        def client_sessions() -> int:
            client.connection.request("GET", "/metrics")
            text = client.connection.getresponse().read().decode()
            return int(
                next(line for line in text.splitlines() if line.startswith("omnimind_sessions ")).split()[1]
            )

        wait_until(ended, 10, "the idle session has ended")
        assert client.post(LIST, session)[0] == 404


@pytest.mark.timeout(60)
def test_sessions_are_capped_with_a_readable_refusal() -> None:
    with fleet_with(sessions=5) as (_, client):
        kept = [client.open() for _ in range(5)]
        status, _, body = client.post(INITIALIZE)
        assert status == 503
        assert "session" in body["error"]["message"]
        assert client.post(LIST, kept[-1])[0] == 200
