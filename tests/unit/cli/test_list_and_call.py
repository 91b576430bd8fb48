"""`omnimind list` and `omnimind call`: the requests they send and how they take every kind of answer."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from fake_fleet import FakeFleet, result

from omnimind import cli, tokens
from omnimind.errors import Exit

Capture = pytest.CaptureFixture[str]

TOOL: dict[str, Any] = {
    "name": "memory__search",
    "description": "Search.\nMore.",
    "inputSchema": {
        "type": "object",
        "properties": {
            "region": {"type": "string", "x-mcp-header": "Region"},
            "deep": {"type": "object", "properties": {"flag": {"type": "boolean", "x-mcp-header": "Flag"}}},
        },
    },
}


def serve(fleet: FakeFleet, answer: Any) -> None:
    def respond(body: dict[str, Any]) -> tuple[int, str, bytes]:
        if body["method"] == "tools/list":
            return result(body, {"tools": [TOOL]})
        return answer(body) if callable(answer) else result(body, answer)

    fleet.respond = respond


def test_list_reads_every_page_and_prints_first_lines(fleet: FakeFleet, capsys: Capture) -> None:
    def page(body: dict[str, Any]) -> tuple[int, str, bytes]:
        if body["params"].get("cursor") == "":
            return result(body, {"tools": [{"name": "b__two"}]})
        return result(body, {"tools": [TOOL], "nextCursor": ""})

    fleet.respond = page
    assert cli.main(["list"]) == Exit.OK
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["TOOL", "DESCRIPTION"],
        ["memory__search", "Search."],
        ["b__two"],
    ]
    headers, body = fleet.requests[0]
    assert headers["authorization"] == f"Bearer {tokens.local_token(fleet.state)}"
    assert (headers["mcp-protocol-version"], headers["mcp-method"]) == ("2026-07-28", "tools/list")
    meta = body["params"]["_meta"]
    assert meta["io.modelcontextprotocol/protocolVersion"] == "2026-07-28"
    assert meta["io.modelcontextprotocol/clientCapabilities"] == {}


def test_call_sends_name_and_mirrored_arguments_as_headers(fleet: FakeFleet, capsys: Capture) -> None:
    serve(fleet, {"content": [{"type": "text", "text": "found"}]})
    given = json.dumps({"region": "zürich", "deep": {"flag": True}})
    assert cli.main(["call", "memory__search", given]) == Exit.OK
    assert capsys.readouterr().out == "found\n"
    headers, body = fleet.requests[-1]
    assert headers["mcp-name"] == body["params"]["name"] == "memory__search"
    assert headers["mcp-param-region"] == f"=?base64?{base64.b64encode('zürich'.encode()).decode()}?="
    assert headers["mcp-param-flag"] == "true"


def test_call_takes_the_last_event_of_a_stream(fleet: FakeFleet, capsys: Capture) -> None:
    def stream(body: dict[str, Any]) -> tuple[int, str, bytes]:
        progress = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {}}
        _, _, final = result(body, {"content": [{"type": "text", "text": "late"}]})
        parts = [b": ping", b"data: " + json.dumps(progress).encode(), b"event: message\ndata: " + final]
        return 200, "text/event-stream", b"\n\n".join(parts) + b"\n\n"

    serve(fleet, stream)
    assert cli.main(["call", "memory__search"]) == Exit.OK
    assert capsys.readouterr().out == "late\n"


def test_a_tools_own_error_has_an_exit_code_of_its_own(fleet: FakeFleet, capsys: Capture) -> None:
    serve(fleet, {"content": [{"type": "text", "text": "no such file"}], "isError": True})
    assert cli.main(["call", "memory__search", "{}"]) == Exit.TOOL_ERROR
    assert capsys.readouterr().out == "no such file\n"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"content": [], "structuredContent": {"a": 1}}, '{\n  "a": 1\n}'),
        ({"content": [{"type": "image", "mimeType": "image/png", "data": "AAAA"}]}, "[image/png, 3 bytes"),
        ({"content": [{"type": "resource", "resource": {"uri": "x:y", "text": "body"}}]}, "body"),
        ({"content": [{"type": "resource_link", "uri": "x:z"}]}, "x:z"),
    ],
)
def test_every_kind_of_content_is_shown(fleet: FakeFleet, value: Any, text: str, capsys: Capture) -> None:
    serve(fleet, value)
    assert cli.main(["call", "memory__search"]) == Exit.OK
    assert capsys.readouterr().out.startswith(text)
    assert cli.main(["call", "memory__search", "--json"]) == Exit.OK
    assert json.loads(capsys.readouterr().out)["content"] == value["content"]


def rpc_error(status: int, **error: Any) -> Any:
    def respond(body: dict[str, Any]) -> tuple[int, str, bytes]:
        return (
            status,
            "application/json",
            json.dumps({"jsonrpc": "2.0", "id": body["id"], "error": error}).encode(),
        )

    return respond


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (
            {"resultType": "input_required"},
            "error[OM0404]: the tool memory__search asks its caller a question",
        ),
        (
            rpc_error(401, code=40100, message="no token"),
            "error[OM0401]: the gateway refused the request: no token",
        ),
        (
            rpc_error(503, code=50300, message="memory is parked", data={"retryAfterMs": 900}),
            "error[OM0405]: memory is parked (code 50300)",
        ),
        (
            lambda _: (200, "text/event-stream", b": ping\n\n"),
            "error[OM0401]: the gateway answered with status 200",
        ),
        (lambda _: (502, "text/html", b"<html>"), "error[OM0401]: the gateway answered with status 502"),
        (lambda _: (200, "application/json", b"[]"), "error[OM0401]: the gateway answered with status 200"),
    ],
)
def test_what_is_no_result_is_an_error_with_a_code(
    fleet: FakeFleet, answer: Any, text: str, capsys: Capture
) -> None:
    serve(fleet, answer)
    assert cli.main(["call", "memory__search"]) == Exit.FAILURE
    assert capsys.readouterr().err.startswith(text)


def test_an_unknown_tool_gets_a_suggestion(fleet: FakeFleet, capsys: Capture) -> None:
    serve(fleet, {})
    assert cli.main(["call", "memory__serach"]) == Exit.FAILURE
    assert "did you mean memory__search?" in capsys.readouterr().err


@pytest.mark.parametrize("given", ["{", "[]", "nope"])
def test_arguments_that_are_no_object_are_usage(fleet: FakeFleet, given: str, capsys: Capture) -> None:
    assert cli.main(["call", "memory__search", given]) == Exit.USAGE
    assert capsys.readouterr().err.startswith("error[OM0402]")
    assert fleet.requests == []


def test_a_gateway_that_is_gone_is_an_error_with_a_code(fleet: FakeFleet, capsys: Capture) -> None:
    fleet.endpoint = "http://127.0.0.1:1/mcp"
    fleet.write_record()
    assert cli.main(["list"]) == Exit.FAILURE
    assert capsys.readouterr().err.startswith("error[OM0401]: the gateway does not answer")
