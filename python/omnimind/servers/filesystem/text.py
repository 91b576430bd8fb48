"""Text of files: what counts as text, its first and last lines.

A file is UTF-8 unless it opens with a UTF-16 mark; other bytes become replacement characters, as readers of
mixed encodings expect. Bytes with NUL are no text in any of these and are refused with the way to read them.
"""

from __future__ import annotations

import codecs
import os

from omnimind.servers.filesystem import limits
from omnimind.servers.problem import Problem

_BLOCK_BYTES = 64 * 1024


def decode(data: bytes, shown: str) -> str:
    """The text of a whole file."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", errors="replace")
    if b"\0" in data[:_BLOCK_BYTES]:
        raise Problem(f"{shown} is not a text file; read_media_file returns its bytes")
    return data.decode("utf-8", errors="replace")


def whole(descriptor: int, shown: str, limit_bytes: int = limits.READ_BYTES) -> str:
    """All of an open file, if it is within the limit."""
    size = os.fstat(descriptor).st_size
    data = read_up_to(descriptor, limit_bytes + 1)
    if len(data) > limit_bytes:
        raise Problem(
            f"{shown} has {max(size, len(data)):,} bytes; the limit for one answer is {limit_bytes:,}. "
            "Read a part of it with head or tail"
        )
    return decode(data, shown)


def read_up_to(descriptor: int, count: int) -> bytes:
    """At most `count` bytes from where the descriptor stands."""
    parts: list[bytes] = []
    while count > 0 and (part := os.read(descriptor, min(count, 1024 * 1024))):
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def first_lines(descriptor: int, lines: int, shown: str) -> str:
    """The first `lines` lines, without the newline of the last."""
    data = bytearray()
    found = 0
    while found < lines and (block := os.read(descriptor, _BLOCK_BYTES)):
        data += block
        found += block.count(b"\n")
        _check(len(data), lines, shown)
    kept = data.split(b"\n", lines)[:lines]
    text = decode(b"\n".join(kept), shown)
    return text if found >= lines else text.removesuffix("\n")


def last_lines(descriptor: int, lines: int, shown: str) -> str:
    """The last `lines` lines; a newline at the end of the file ends the last line and opens no new one."""
    end = os.fstat(descriptor).st_size
    at = end
    data = b""
    while at > 0 and data.removesuffix(b"\n").count(b"\n") < lines:
        step = min(_BLOCK_BYTES, at)
        at -= step
        data = os.pread(descriptor, step, at) + data
        _check(len(data), lines, shown)
    kept = data.removesuffix(b"\n").split(b"\n")[-lines:] if lines else []
    return decode(b"\n".join(kept), shown)


def _check(size: int, lines: int, shown: str) -> None:
    if size > limits.READ_BYTES + _BLOCK_BYTES:
        raise Problem(
            f"{lines:,} lines of {shown} are more than {limits.READ_BYTES:,} bytes, the limit for one "
            "answer; ask for fewer lines"
        )
