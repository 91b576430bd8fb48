"""Messages over pipes: four bytes of length, then msgpack.

The far end may be in the hands of a stranger, so a length is checked before anything is kept, and a message is
data: numbers, texts, bytes, lists and maps, never an object.
"""

from __future__ import annotations

import os
import struct
from typing import Any, Final

import msgpack

LONGEST: Final = 24 * 1024 * 1024
_LENGTH = struct.Struct("=I")


class BrokenFrameError(Exception):
    """The other end sent what is no message."""


def write(descriptor: int, message: Any) -> None:
    """Write one message; blocks until all of it is written. Raises OSError."""
    payload: bytes = msgpack.packb(message)
    data = memoryview(_LENGTH.pack(len(payload)) + payload)
    while data:
        data = data[os.write(descriptor, data) :]


def read(descriptor: int) -> Any:
    """Read one message, or None at the end; blocks. For the child, which trusts its worker."""
    head = _exactly(descriptor, _LENGTH.size)
    return None if head is None else msgpack.unpackb(_exactly(descriptor, _LENGTH.unpack(head)[0]) or b"")


def _exactly(descriptor: int, count: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < count:
        part = os.read(descriptor, count - len(parts))
        if not part:
            return None
        parts += part
    return bytes(parts)


class Reader:
    """Takes messages out of bytes as they come, from an end that nobody vouches for."""

    def __init__(self, longest: int = LONGEST) -> None:
        self._kept = bytearray()
        self._longest = longest

    def feed(self, data: bytes) -> list[Any]:
        """The messages that are complete now. Raises BrokenFrameError."""
        self._kept += data
        found: list[Any] = []
        while len(self._kept) >= _LENGTH.size:
            length = _LENGTH.unpack_from(self._kept)[0]
            if length > self._longest:
                raise BrokenFrameError(f"a message of {length:,} bytes")
            end = _LENGTH.size + length
            if len(self._kept) < end:
                break
            try:
                found.append(msgpack.unpackb(bytes(self._kept[_LENGTH.size : end])))
            except (ValueError, RecursionError, msgpack.exceptions.UnpackException) as fault:
                raise BrokenFrameError("a message that is not msgpack") from fault
            del self._kept[:end]
        return found
