"""The logging server in a real fleet: what a child prints is found through the gateway by those who may."""

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

from tests.fleet import Fleet, fixture_environment, wait_until

FORGED = '{"time": "2031-01-01T00:00:00.000+00:00", "server": "orchestrator", "pid": 1, "line": "forged"}'
SAYS = f"""
import runpy, sys
said = [b"ERROR plugh: connection refused by the moon", b"\\xff\\xfe not text", b"a\\x00b \\x1b[2J\\x1b[31mred\\x1b[0m",
        {FORGED.encode()!r}, "sep\\u2028arated\\u202e".encode(), b"over\\rwritten", b"with token=abcdef1234567890"]
sys.stderr.buffer.write(b"\\n".join(said) + b"\\n")
sys.stderr.flush()
runpy.run_module("slow_echo", run_name="__main__")
"""
MODERN, LEGACY = "2026-07-28", "2025-11-25"


class Person:
    """Somebody with a token, who calls tools of the logging server."""

    def __init__(self, fleet: Fleet, name: str, role: str, era: str) -> None:
        added = [sys.executable, "-m", "omnimind", "token", "add", f"{name}-{era}", "--role", role, "--json"]
        environment = {**os.environ, "OMNIMIND_STATE": str(fleet.state)}
        done = subprocess.run(added, capture_output=True, text=True, check=True, env=environment)
        self.token: str = json.loads(done.stdout)["token"]
        url = urlsplit(fleet.base)
        self.host, self.port = str(url.hostname), url.port
        self.era, self.session, self.name = era, "", f"{name}-{era}"
        wait_until(self.known, 10, f"the token of {name} is known")

    def known(self) -> bool:
        if self.era == MODERN:
            return self.post("tools/list", {})[0] == 200
        client = {"name": "x", "version": "1"}
        hello = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": client}
        status, self.session, _ = self.post("initialize", hello)
        return status == 200

    def post(self, method: str, params: dict[str, Any]) -> tuple[int, str, dict[str, Any]]:
        headers = {
            "Authorization": f"Bearer {self.token}",
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": self.era,
        }
        if self.era == MODERN:
            capabilities = {"io.modelcontextprotocol/clientCapabilities": {}}
            params = {**params, "_meta": {"io.modelcontextprotocol/protocolVersion": MODERN, **capabilities}}
            headers |= {"Mcp-Method": method} | ({"Mcp-Name": params["name"]} if "name" in params else {})
        elif self.session:
            headers |= {"Mcp-Session-Id": self.session}
        connection = HTTPConnection(self.host, self.port, timeout=30)
        try:
            body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
            connection.request("POST", "/servers/logging/mcp", body, headers)
            response = connection.getresponse()
            raw = response.read()
        finally:
            connection.close()
        if response.headers.get_content_type() == "text/event-stream":
            raw = [line[5:] for line in raw.split(b"\n") if line.startswith(b"data:")][-1]
        return response.status, response.headers["Mcp-Session-Id"] or "", json.loads(raw) if raw else {}

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        answer = self.post("tools/call", {"name": tool, "arguments": arguments})[2]
        assert "result" in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def records(self, **arguments: Any) -> list[dict[str, Any]]:
        result = self.call("search_logs", **arguments)
        assert not result.get("isError"), result
        records: list[dict[str, Any]] = result["structuredContent"]["records"]
        return records


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    talker = {"command": sys.executable, "args": ["-c", SAYS], "env": fixture_environment()}
    with Fleet({"logging": {"port": 0}, "talker": talker}, auth=True) as running:
        yield running


@pytest.fixture(scope="module", params=[MODERN, LEGACY])
def operator(fleet: Fleet, request: pytest.FixtureRequest) -> Person:
    person = Person(fleet, "root", "operator", request.param)
    wait_until(lambda: len(person.records(sources=["talker"])) >= 7, 20, "the lines are in the log")
    return person


def test_what_a_child_prints_is_found(operator: Person) -> None:
    (found,) = operator.records(query='plugh "refused by the moon"', level="error", since="1h")
    assert (found["source"], found["level"]) == ("talker", "error")
    assert found["text"] == "ERROR plugh: connection refused by the moon"
    assert found["pid"] > 1
    assert operator.records(pattern="^error plugh", ignore_case=True, order="oldest") == [found]
    assert operator.records(query="plugh", until="2020-01-01") == []


def test_what_a_child_prints_forges_nothing(operator: Person) -> None:
    records = operator.records(sources=["talker"], order="oldest")
    assert {one["source"] for one in records} == {"talker"}
    assert not any(one["time"].startswith("2031") for one in records)
    texts = [one["text"] for one in records]
    assert all(text.isprintable() for text in texts)
    assert FORGED in texts
    assert "a\\x00b \\x1b[2Jred" in texts
    assert "sep\\u2028arated\\u202e" in texts
    assert "abcdef1234567890" not in json.dumps(operator.call("search_logs", sources=["talker"]))
    assert operator.records(query="forged", sources=["orchestrator"]) == []


def test_the_history_of_the_fleet_is_told(operator: Person) -> None:
    result = operator.call("fleet_history", server="talker", event="phase")["structuredContent"]["records"]
    assert "ready" in {one["fields"]["to"] for one in result}
    assert {one["source"] for one in result} == {"@events"}
    starts = operator.call("fleet_history", event="fleet")["structuredContent"]["records"]
    assert "starts" in {one["fields"]["what"] for one in starts}


def test_a_user_sees_what_it_appended_and_nothing_else(fleet: Fleet, operator: Person) -> None:
    era = operator.era
    ann, bob = Person(fleet, "ann", "user", era), Person(fleet, "bob", "user", era)
    assert not ann.call("append_log", message="the secret of ann", level="error")["isError"]
    assert [one["text"] for one in ann.records()] == ["the secret of ann"]
    assert bob.records() == []
    listed = bob.call("log_sources")["structuredContent"]
    assert [one["name"] for one in listed["sources"]] == ["@records"]
    for tool in ("log_stats", "log_templates", "tail_logs", "log_sources"):
        said = json.dumps(bob.call(tool))
        assert "ann" not in said.replace("channel", "")
        assert "plugh" not in said
    for arguments in (
        {"sources": ["talker"]},
        {"sources": ["@events"]},
        {"sources": [f"@records/{ann.name}"]},
    ):
        refused = bob.call("search_logs", **arguments)
        assert refused["isError"]
        assert "you may read @records only" in refused["content"][0]["text"]
    assert bob.call("fleet_history")["isError"]
    mine = ann.records()[0]["id"]
    assert bob.call("get_log_record", id=mine)["isError"], "the same number in a log of its own"
    theirs = operator.records(sources=["talker"], limit=1)[0]["id"]
    assert bob.call("get_log_record", id=theirs)["isError"]
    cursor = operator.call("tail_logs", lines=1)["structuredContent"]["cursor"]
    assert "plugh" not in json.dumps(bob.call("tail_logs", cursor=cursor))
    (seen,) = operator.records(query="secret", sources=[f"@records/{ann.name}"])
    assert seen["text"] == "the secret of ann"
