"""Nothing of one principal reaches another: memories, sessions, and a client that claims to be somebody else."""

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

from tests.fleet import Fleet, fixture_entry, wait_until

MODERN = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}
SECRET = "the-secret-of-ann"


class Person:
    """A principal with a token, calling the memory server."""

    def __init__(self, fleet: Fleet, name: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "omnimind", "token", "add", name, "--json"],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "OMNIMIND_STATE": str(fleet.state)},
        )
        url = urlsplit(fleet.base)
        assert url.hostname is not None
        self.address = (url.hostname, url.port)
        self.token: str = json.loads(done.stdout)["token"]
        wait_until(lambda: self.post({"method": "tools/list"})[0] == 200, 10, f"{name}'s token is known")

    def post(
        self,
        message: dict[str, Any],
        *,
        session: str | None = None,
        legacy: bool = False,
        meta: dict[str, Any] | None = None,
        path: str = "/servers/memory/mcp",
    ) -> tuple[int, str | None, dict[str, Any]]:
        params = dict(message.get("params", {}))
        headers = {
            "Authorization": f"Bearer {self.token}",
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
        }
        if legacy:
            headers |= {"MCP-Protocol-Version": "2025-11-25"}
            headers |= {"Mcp-Session-Id": session} if session else {}
            params |= {"_meta": meta} if meta else {}
        else:
            params["_meta"] = MODERN | (meta or {})
            headers |= {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": message["method"]}
            headers |= {"Mcp-Name": params["name"]} if "name" in params else {}
        body = json.dumps({"jsonrpc": "2.0", "id": 1, **message, "params": params})
        connection = HTTPConnection(*self.address, timeout=20)
        try:
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
            raw = response.read()
        finally:
            connection.close()
        return response.status, response.headers["Mcp-Session-Id"], json.loads(raw) if raw else {}

    def everything(self, **how: Any) -> str:
        """All that the memory server shows this person."""
        called = {"method": "tools/call", "params": {"name": "retrieve_memories", "arguments": {}}}
        _, _, answer = self.post(called, **how)
        assert "result" in answer, answer
        return json.dumps(answer)

    def open_session(self) -> str:
        hello = {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "x", "version": "1"},
        }
        status, session, _ = self.post({"method": "initialize", "params": hello}, legacy=True)
        assert status == 200
        assert session is not None
        return session


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with Fleet({"memory": {"port": 0}, "echo": fixture_entry("slow_echo")}, auth=True) as running:
        yield running


@pytest.fixture(scope="module")
def ann(fleet: Fleet) -> Person:
    person = Person(fleet, "ann")
    stored = {"name": "store_memory", "arguments": {"content": SECRET}}
    assert person.post({"method": "tools/call", "params": stored})[2]["result"]["isError"] is False
    assert SECRET in person.everything()
    return person


@pytest.fixture(scope="module")
def bob(fleet: Fleet, ann: Person) -> Person:
    return Person(fleet, "bob")


CLAIMS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "the key": {"omnimind/principal": "ann"},
    "two keys": {"omnimind/principal": "ann", "omnimind/deadlineMs": 5},
    "another case": {"OmniMind/principal": "ann", "omnimind/Principal": "ann"},
}


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS.keys())
@pytest.mark.parametrize("legacy", [False, True], ids=["modern", "legacy"])
def test_who_claims_to_be_ann_is_still_bob(bob: Person, claim: dict[str, Any], legacy: bool) -> None:
    session = bob.open_session() if legacy else None
    assert SECRET not in bob.everything(meta=claim, legacy=legacy, session=session)


def test_a_claim_hidden_behind_escapes_is_still_bobs(bob: Person) -> None:
    meta = json.dumps(MODERN)[:-1] + ', "omnimind\\u002fprincipal": "ann"}'
    params = '{"name": "retrieve_memories", "arguments": {}, "_meta": ' + meta + "}"
    body = '{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": ' + params + "}"
    connection = HTTPConnection(*bob.address, timeout=20)
    headers = {
        "Authorization": f"Bearer {bob.token}",
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": "tools/call",
        "Mcp-Name": "retrieve_memories",
    }
    try:
        connection.request("POST", "/servers/memory/mcp", body, headers)
        raw = connection.getresponse().read().decode()
    finally:
        connection.close()
    assert "result" in json.loads(raw)
    assert SECRET not in raw


def test_anns_session_is_none_of_bobs(ann: Person, bob: Person) -> None:
    session = ann.open_session()
    assert SECRET in ann.everything(legacy=True, session=session)
    called = {"method": "tools/call", "params": {"name": "retrieve_memories", "arguments": {}}}
    status, _, answer = bob.post(called, legacy=True, session=session)
    assert status == 404
    assert SECRET not in json.dumps(answer)
    assert SECRET in ann.everything(legacy=True, session=session)


def test_a_removed_token_opens_nothing(fleet: Fleet) -> None:
    person = Person(fleet, "eve")
    subprocess.run(
        [sys.executable, "-m", "omnimind", "token", "remove", "eve"],
        check=True,
        capture_output=True,
        env={**os.environ, "OMNIMIND_STATE": str(fleet.state)},
    )
    wait_until(lambda: person.post({"method": "tools/list"})[0] == 401, 5, "the token is refused")


def test_the_first_list_of_a_new_principal_holds_servers_that_start_for_it_first(fleet: Fleet) -> None:
    person = Person(fleet, "zoe")
    children = len(fleet.descendants())
    _, _, answer = person.post({"method": "tools/list"}, path="/mcp")
    assert "echo__echo" in {tool["name"] for tool in answer["result"]["tools"]}
    assert len(fleet.descendants()) == children + 1
