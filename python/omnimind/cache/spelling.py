"""A key for the plain arguments of a function: equal only for equal arguments of equal types.

`1`, `1.0` and `True` are three arguments, and so are a tuple and a list. What is not plain is refused, because
nobody but its class knows when two of it are the same: give the decorator a `key` then.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

LONGEST = 256
"""Longer spellings are digested."""


def of_call(function: bytes, arguments: tuple[Any, ...], named: Mapping[str, Any]) -> bytes:
    """The key of a call; raises TypeError for an argument that is not plain."""
    parts = [function]
    for argument in arguments:
        _spell(argument, parts)
    if named:
        parts.append(b";")
        _spell(dict(named), parts)
    spelled = b"".join(parts)
    return spelled if len(spelled) <= LONGEST else blake2b(spelled, digest_size=32).digest()


def _spell(value: Any, parts: list[bytes]) -> None:
    # By exact type: a subclass may mean something else by being equal.
    kind = type(value)
    if kind is str:
        _with_length(b"s", value.encode("utf-8", "surrogatepass"), parts)
    elif kind is bytes:
        _with_length(b"b", value, parts)
    elif kind is int:
        _with_length(b"i", b"%x" % value, parts)
    elif kind is float:
        parts.append(b"d" + struct.pack(">d", value))
    elif value is None or kind is bool:
        parts.append(b"n" if value is None else b"t" if value else b"f")
    elif kind is tuple or kind is list:
        parts.append(b"%b%d:" % (b"(" if kind is tuple else b"[", len(value)))
        for item in value:
            _spell(item, parts)
    elif kind is dict and all(type(name) is str for name in value):
        parts.append(b"{%d:" % len(value))
        for name in sorted(value):
            _spell(name, parts)
            _spell(value[name], parts)
    else:
        raise TypeError(f"no key can be made of a {kind.__qualname__}; pass key= to memoize()")


def _with_length(kind: bytes, text: bytes, parts: list[bytes]) -> None:
    parts.append(b"%b%d:%b" % (kind, len(text), text))
