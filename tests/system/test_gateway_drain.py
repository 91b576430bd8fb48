"""A gateway gives way to its successor on the same sockets: no call fails, and it is gone soon."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest

from benches import load
from tests.fleet import wait_until
from tests.system.gateway_process import GatewayProcess, address, listening, snapshot

META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}
ENDLESS = {"t": "drain", "timeout_ms": 30_000}


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    path: Path = tmp_path_factory.mktemp("upstream") / "echo.sock"
    with load.Upstream(unix=path, delay_ms="0..5"):
        yield {"name": "echo", "kind": "unix", "tier": "high", "path": str(path)}


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    path: Path = tmp_path_factory.mktemp("upstream") / "slow.sock"
    with load.Upstream(unix=path, delay_ms="1500"):
        yield {"name": "slow", "kind": "unix", "tier": "high", "path": str(path)}


def request(method: str, params: dict[str, Any], number: int = 1) -> tuple[str, dict[str, str]]:
    body = {"jsonrpc": "2.0", "id": number, "method": method, "params": params | {"_meta": META}}
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": method,
    }
    if "name" in params:
        headers["Mcp-Name"] = params["name"]
    return json.dumps(body), headers


def echo(text: str) -> tuple[str, dict[str, str]]:
    return request("tools/call", {"name": "echo", "arguments": {"text": text}})


@pytest.mark.bar
@pytest.mark.parametrize("era", ["modern", "legacy"])
def test_no_call_fails_while_gateways_take_turns_under_load(upstream: dict[str, Any], era: str) -> None:
    with listening() as held, ExitStack() as living:
        now = living.enter_context(GatewayProcess(1, snapshot(upstream), [held]))
        reports: list[load.Report] = []

        def run() -> None:
            reports.append(
                load.run(
                    *("--http", f"http://{address(held)}/servers/echo/mcp", "--era", era),
                    *("--in-flight", "16", "--duration-s", "3", "--timeout-s", "10", "--allow-saturated"),
                )
            )

        loading = threading.Thread(target=run)
        loading.start()
        for epoch in (2, 3, 4):
            following = living.enter_context(GatewayProcess(epoch, snapshot(upstream), [held]))
            now.tell(ENDLESS)
            assert now.wait_for_end() == 0
            now = following
        loading.join(60)
    (report,) = reports
    assert report.is_clean, report.all
    assert report.sent > 100


def test_a_client_that_keeps_calling_notices_nothing(upstream: dict[str, Any]) -> None:
    with listening() as held, ExitStack() as living:
        first = living.enter_context(GatewayProcess(1, snapshot(upstream), [held]))
        client = living.enter_context(httpx2.Client(base_url=f"http://{address(held)}", timeout=10))

        def call(text: str) -> httpx2.Response:
            body, headers = echo(text)
            answer = client.post("/servers/echo/mcp", content=body, headers=headers)
            assert answer.json()["result"]["content"][0]["text"] == text
            return answer

        assert "connection" not in call("before").headers
        living.enter_context(GatewayProcess(2, snapshot(upstream), [held]))
        first.tell(ENDLESS)
        closing = 0
        while first.process.poll() is None:
            closing += call("meanwhile").headers.get("connection") == "close"
        assert closing <= 1
        assert "connection" not in call("after").headers


@pytest.mark.roomy
def test_a_gateway_with_nothing_open_is_gone_at_once(upstream: dict[str, Any]) -> None:
    with listening() as held, GatewayProcess(1, snapshot(upstream), [held]) as gateway:
        began = time.monotonic()
        gateway.tell(ENDLESS)
        assert gateway.wait_for_end() == 0
        assert time.monotonic() - began < 5
        assert not gateway.said("drained")


@pytest.mark.roomy
def test_an_idle_connection_is_closed_after_a_second(upstream: dict[str, Any]) -> None:
    with listening() as held, GatewayProcess(1, snapshot(upstream), [held]) as gateway:
        idle = http.client.HTTPConnection(address(held), timeout=10)
        idle.request("GET", "/healthz")
        assert idle.getresponse().read() == b"ok\n"
        began = time.monotonic()
        gateway.tell(ENDLESS)
        assert idle.sock.recv(1) == b""
        took = time.monotonic() - began
        idle.close()
        assert 0.9 < took < 10
        assert gateway.wait_for_end() == 0


def test_what_is_in_flight_finishes_and_says_that_its_connection_closes(slow: dict[str, Any]) -> None:
    with listening() as held, GatewayProcess(1, snapshot(slow), [held]) as gateway:
        busy = http.client.HTTPConnection(address(held), timeout=20)
        body, headers = echo("late")
        busy.request("POST", "/servers/slow/mcp", body, headers)
        gateway.tell({"t": "stats", "request": 1})

        def in_flight() -> bool:
            gateway.tell({"t": "stats", "request": 2})
            return bool(gateway.said("stats")) and gateway.said("stats")[-1]["in_flight"] == 1

        wait_until(in_flight, 10, "the call is in flight")
        gateway.tell(ENDLESS)
        answer = busy.getresponse()
        assert json.loads(answer.read())["result"]["content"][0]["text"] == "late"
        assert answer.getheader("connection") == "close"
        busy.close()
        assert gateway.wait_for_end() == 0


def test_a_stream_without_an_end_ends(upstream: dict[str, Any]) -> None:
    with listening() as held, GatewayProcess(1, snapshot(upstream), [held]) as gateway:
        body, headers = request("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
        with (
            httpx2.Client(base_url=f"http://{address(held)}", timeout=10) as client,
            client.stream("POST", "/mcp", content=body, headers=headers) as stream,
        ):
            lines = stream.iter_lines()
            next(lines)
            gateway.tell(ENDLESS)
            for _ in lines:
                pass
        assert gateway.wait_for_end() == 0


def test_what_does_not_finish_in_time_is_given_up(slow: dict[str, Any]) -> None:
    with listening() as held, GatewayProcess(1, snapshot(slow), [held]) as gateway:
        busy = http.client.HTTPConnection(address(held), timeout=20)
        body, headers = echo("never")
        busy.request("POST", "/servers/slow/mcp", body, headers)
        gateway.tell({"t": "drain", "timeout_ms": 100})
        assert gateway.wait_for_end() == 0
        with pytest.raises(OSError):
            busy.getresponse()
        busy.close()


def test_doors_open_and_close_while_it_runs(upstream: dict[str, Any]) -> None:
    with listening() as held, listening() as more, GatewayProcess(1, snapshot(upstream), [held]) as gateway:
        gateway.tell({"t": "listen", "name": "echo", "address": address(more)}, [more.fileno()])
        body, headers = echo("by its own door")
        with httpx2.Client(base_url=f"http://{address(more)}", timeout=10) as client:
            assert client.post("/mcp", content=body, headers=headers).status_code == 200
            gateway.tell({"t": "unlisten", "name": "echo"})
            gateway.tell({"t": "stats", "request": 1})
            gateway.wait_for("stats")
            last = client.post("/mcp", content=body, headers=headers)
            assert (last.status_code, last.headers["connection"]) == (200, "close")
            with pytest.raises(httpx2.TimeoutException):
                client.post("/mcp", content=body, headers=headers, timeout=0.3)
        assert httpx2.get(f"http://{address(held)}/healthz").status_code == 200
