"""Translation between the orchestrator's link and the Rust plane, and nothing else.

On the link: msgpack maps with descriptors. In the plane: JSON bytes with descriptor numbers. Bytes become
base64 text on the way in; nothing that comes out holds bytes. The shape of every message is the plane's
matter (`rust/gateway/src/control.rs`), so that a new message needs no change here.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any, Final

DRAINED: Final = "drained"
"""The one message of the plane that is for its process and not for the orchestrator."""


def to_plane(message: Mapping[str, Any]) -> bytes:
    """A message of the orchestrator as JSON."""
    return json.dumps(message, default=_text, separators=(",", ":"), ensure_ascii=False).encode()


def from_plane(text: str | bytes) -> dict[str, Any]:
    """A message of the plane as a map. Raises ValueError if it is none."""
    message = json.loads(text)
    if not isinstance(message, dict):
        raise ValueError("a message is a map")
    return message


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    raise TypeError(f"{type(value).__name__} cannot cross to the plane")
