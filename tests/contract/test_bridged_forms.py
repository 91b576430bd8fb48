"""What a bridged answer looks like on the wire: each era's own fields, and none of the other's.

The SDK clients forgive much; here the bytes are read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from fleet import Fleet, fixture_entry

pytestmark = [pytest.mark.bar, pytest.mark.timeout(60)]

MODERN_VERSION, LEGACY_VERSION = "2026-07-28", "2025-11-25"
PREFIX = "io.modelcontextprotocol/"
LISTS = ("tools/list", "resources/list", "resources/templates/list", "prompts/list")
MODERN_FIELDS = {"resultType", "ttlMs", "cacheScope"}
Body = dict[str, Any]


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    servers = {era: fixture_entry("single_era", era) for era in ("legacy", "modern")}
    with Fleet(servers) as running:
        yield running


@pytest.fixture
def http() -> Iterator[httpx2.Client]:
    with httpx2.Client(timeout=10) as client:
        yield client


def final(response: httpx2.Response) -> Body:
    """The last message of an answer, be it JSON or an event stream."""
    if "text/event-stream" not in response.headers.get("content-type", ""):
        body: Body = response.json()
        return body
    data = [line.removeprefix("data:") for line in response.text.splitlines() if line.startswith("data:")]
    last: Body = json.loads([line for line in data if line.strip()][-1])
    return last


def modern(http: httpx2.Client, url: str, method: str, **params: Any) -> httpx2.Response:
    meta = {
        f"{PREFIX}protocolVersion": MODERN_VERSION,
        f"{PREFIX}clientCapabilities": {},
        f"{PREFIX}clientInfo": {"name": "raw", "version": "1"},
    }
    headers = {
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": MODERN_VERSION,
        "mcp-method": method,
    }
    name = params.get("name") or params.get("uri")
    if name:
        headers["mcp-name"] = name
    body = {"jsonrpc": "2.0", "id": "a-1", "method": method, "params": {**params, "_meta": meta}}
    return http.post(url, json=body, headers=headers)


class LegacyTalk:
    """One legacy session by hand."""

    def __init__(self, http: httpx2.Client, url: str) -> None:
        self._http = http
        self._url = url
        self._headers = {"accept": "application/json, text/event-stream"}
        hello = {
            "protocolVersion": LEGACY_VERSION,
            "capabilities": {},
            "clientInfo": {"name": "raw", "version": "1"},
        }
        answer = self.post("initialize", hello)
        self.hello: Body = final(answer)["result"]
        self._headers["mcp-session-id"] = answer.headers["mcp-session-id"]
        self._headers["mcp-protocol-version"] = self.hello["protocolVersion"]
        self._http.post(url, json=_message("notifications/initialized"), headers=self._headers)

    def post(self, method: str, params: Body | None = None, request_id: Any = 1) -> httpx2.Response:
        return self._http.post(self._url, json=_message(method, params, request_id), headers=self._headers)


def _message(method: str, params: Body | None = None, request_id: Any = None) -> Body:
    body: Body = {"jsonrpc": "2.0", "method": method}
    if params is not None:
        body["params"] = params
    if request_id is not None:
        body["id"] = request_id
    return body


@pytest.mark.parametrize("method", LISTS)
def test_a_legacy_servers_list_gets_what_the_modern_era_demands(
    http: httpx2.Client, fleet: Fleet, method: str
) -> None:
    answer = modern(http, fleet.url("legacy"), method)
    body = final(answer)
    assert answer.status_code == 200
    assert body["id"] == "a-1"
    result = body["result"]
    assert result["resultType"] == "complete"
    assert result["cacheScope"] == "private"
    assert isinstance(result["ttlMs"], int)
    assert result["_meta"][f"{PREFIX}serverInfo"]["name"] == "legacy-only"


def test_a_legacy_servers_discovery_is_made_from_its_initialize(http: httpx2.Client, fleet: Fleet) -> None:
    result = final(modern(http, fleet.url("legacy"), "server/discover"))["result"]
    assert MODERN_VERSION in result["supportedVersions"]
    assert "logging" not in result["capabilities"] or result["capabilities"]["logging"] == {}
    assert result["capabilities"]["tools"] == {"listChanged": True}
    assert result["instructions"] == "Old and proud of it."


@pytest.mark.parametrize("method", LISTS)
def test_a_modern_servers_list_loses_what_the_legacy_era_never_had(
    http: httpx2.Client, fleet: Fleet, method: str
) -> None:
    talk = LegacyTalk(http, fleet.url("modern"))
    body = final(talk.post(method, {}, "b-2"))
    assert body["id"] == "b-2"
    assert MODERN_FIELDS.isdisjoint(body["result"])
    assert f"{PREFIX}serverInfo" not in body["result"].get("_meta", {})


def test_a_modern_servers_initialize_is_made_from_its_discovery(http: httpx2.Client, fleet: Fleet) -> None:
    hello = LegacyTalk(http, fleet.url("modern")).hello
    assert hello["protocolVersion"] == LEGACY_VERSION
    assert hello["serverInfo"]["name"] == "modern-only"
    assert hello["instructions"] == "New and proud of it."
    assert hello["capabilities"]["resources"]["subscribe"] is True


def test_a_missing_resource_is_told_in_each_eras_code(http: httpx2.Client, fleet: Fleet) -> None:
    answer = modern(http, fleet.url("legacy"), "resources/read", uri="test://nothing")
    assert final(answer)["error"]["code"] == -32602
    talk = LegacyTalk(http, fleet.url("modern"))
    assert final(talk.post("resources/read", {"uri": "test://nothing"}))["error"]["code"] == -32002


@pytest.mark.parametrize("method", ["initialize", "ping", "logging/setLevel", "resources/subscribe"])
def test_the_other_eras_methods_are_unknown_to_modern_requests(
    http: httpx2.Client, fleet: Fleet, method: str
) -> None:
    answer = modern(http, fleet.url("legacy"), method)
    assert answer.status_code == 404
    assert final(answer)["error"]["code"] == -32601


def test_ping_of_a_legacy_session_is_answered_for_a_server_that_has_none(
    http: httpx2.Client, fleet: Fleet
) -> None:
    assert final(LegacyTalk(http, fleet.url("modern")).post("ping"))["result"] == {}


@pytest.mark.parametrize("request_id", [0, -7, 2**53 - 1, "", "ein Schlüssel", "1"])
def test_an_id_comes_back_as_it_was_sent(http: httpx2.Client, fleet: Fleet, request_id: Any) -> None:
    talk = LegacyTalk(http, fleet.url("modern"))
    assert final(talk.post("tools/list", {}, request_id))["id"] == request_id
