"""What a client holds to go on with: signed, not hidden, and good for one caller, one tool and the same arguments.

A cursor says how far the caller is, which run it was a page of, and when it ends. Whose it is, and of what call, is not
written in it but covered by its signature (HMAC-SHA256), so that one of another caller, or with other arguments, is no
different from a forged one. The key is this process's own unless one is given.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import pydantic_core
from mcp.server.mcpserver.exceptions import ResourceNotFoundError

LONGEST: Final = 4_096
"""Characters of a cursor."""
KEY_BYTES: Final = 32
_MAC_BYTES: Final = 32
_PURPOSE: Final = b"omnimind stream cursor 1"


class CursorError(ResourceNotFoundError):
    """A cursor that does not lead anywhere: a tool's error result, in words for a model; -32602 for a resource."""


class Mark(NamedTuple):
    """Where a page ended."""

    run: str
    """The run it was a page of."""
    position: int
    """Items that were given, from the first one on."""
    after: Any
    """What the producer goes on after, if it knows how to."""


def bound_to(principal: str, tool: str, arguments: Mapping[str, Any]) -> bytes:
    """A digest of what a cursor is good for."""
    plain = pydantic_core.to_jsonable_python(dict(arguments), fallback=repr)
    parts = (principal, tool, json.dumps(plain, sort_keys=True, separators=(",", ":")))
    digest = hashlib.sha256(_PURPOSE)
    for part in (part.encode() for part in parts):
        digest.update(len(part).to_bytes(8))
        digest.update(part)
    return digest.digest()


def seal(key: bytes, binding: bytes, mark: Mark, expires_s: int) -> str:
    """A cursor. Raises CursorError if what it would have to carry is too long."""
    body = json.dumps([expires_s, *mark], separators=(",", ":")).encode()
    cursor = base64.urlsafe_b64encode(_mac(key, binding, body) + body).decode().rstrip("=")
    if len(cursor) > LONGEST:
        raise CursorError("what this list goes on after is too long for a cursor")
    return cursor


def unseal(key: bytes, binding: bytes, cursor: str, now_s: float) -> Mark:
    """Where to go on. Raises CursorError."""
    cursor = cursor[:LONGEST]
    try:
        sealed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), "-_", validate=True)
    except (binascii.Error, ValueError):
        sealed = b""
    mac, body = sealed[:_MAC_BYTES], sealed[_MAC_BYTES:]
    if not hmac.compare_digest(mac, _mac(key, binding, body)):
        raise CursorError(
            "this cursor is not of this call: repeat the arguments of the call that gave it, or leave it out"
        )
    expires_s, run, position, after = json.loads(body)
    if now_s > expires_s:
        raise CursorError("this cursor is too old: leave it out to begin again")
    return Mark(run, position, after)


def _mac(key: bytes, binding: bytes, body: bytes) -> bytes:
    return hmac.digest(key, binding + body, "sha256")
