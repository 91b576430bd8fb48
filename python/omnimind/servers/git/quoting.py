"""Paths as git prints them: quoted as in C where they hold more than plain ASCII."""

from __future__ import annotations

_NAMED = {7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r", 34: '\\"', 92: "\\\\"}


def quoted(path: bytes, *, high: bool = True) -> str:
    """The path as a text; with `high` (core.quotePath) bytes above 127 are written in octal."""
    said, changed = [], False
    for byte in path:
        if byte in _NAMED:
            said.append(_NAMED[byte].encode())
        elif byte < 32 or byte == 127 or (byte > 127 and high):
            said.append(b"\\%03o" % byte)
        else:
            said.append(bytes([byte]))
            continue
        changed = True
    text = b"".join(said).decode("utf-8", "replace")
    return f'"{text}"' if changed else text
