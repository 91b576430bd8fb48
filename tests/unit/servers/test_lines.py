"""Framing: every message becomes exactly one line, also one that cannot be written."""

from __future__ import annotations

import json
from typing import Any

import mcp_types as types
import pytest
from mcp.shared.message import SessionMessage

from omnimind.servers import lines


def encoded(result: dict[str, Any]) -> dict[str, Any]:
    line = lines._encode(SessionMessage(types.JSONRPCResponse(jsonrpc="2.0", id=7, result=result)))
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    message: dict[str, Any] = json.loads(line)
    return message


def test_newlines_in_a_result_stay_inside_the_line() -> None:
    assert encoded({"text": "a\nb\r\u2028"})["result"] == {"text": "a\nb\r\u2028"}


def test_what_json_cannot_hold_becomes_an_error_to_the_same_request() -> None:
    message = encoded({"text": "\ud800"})
    assert (message["id"], message["error"]["code"]) == (7, types.INTERNAL_ERROR)


def test_an_answer_over_the_limit_becomes_an_error_to_the_same_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lines, "LINE_BYTES", 500)
    assert encoded({"text": "x" * 400})["result"]
    message = encoded({"text": "x" * 600})
    assert message["id"] == 7
    assert "500 bytes" in message["error"]["message"]
