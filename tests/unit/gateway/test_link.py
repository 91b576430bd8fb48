"""The gateway's translation between msgpack maps and the plane's JSON."""

from __future__ import annotations

import base64
import json

import pytest

from omnimind.gateway import link


def test_bytes_become_base64_and_all_else_stays() -> None:
    message = {
        "t": "child",
        "ok": True,
        "leftover": b"\xff\x00",
        "n": 2**53,
        "name": "caf\u00e9",
        "none": None,
    }
    made = json.loads(link.to_plane(message))
    assert made == {**message, "leftover": base64.b64encode(b"\xff\x00").decode()}


def test_what_json_cannot_hold_is_an_error() -> None:
    with pytest.raises(TypeError):
        link.to_plane({"t": object()})


@pytest.mark.parametrize("text", ["[]", "5", "{", ""])
def test_what_is_no_map_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        link.from_plane(text)


def test_a_message_of_the_plane_is_a_map() -> None:
    assert link.from_plane('{"t":"up","pid":1}') == {"t": "up", "pid": 1}
