"""Values of SQLite in JSON, and back, with nothing lost on the way.

JSON has no bytes, no infinity, and in many readers no integer beyond 2^53. Such a value becomes an object with
one key: `{"$blob": base64}`, `{"$integer": digits}`, `{"$real": "inf"}`, and `{"$text": base64}` for a text
that is not valid UTF-8. The same objects are taken where a caller gives values.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from omnimind.servers.problem import Problem

SAFE_INTEGER: Final = 2**53
_LARGEST: Final = 2**63 - 1

Value = None | int | float | str | bytes
Parameters = Sequence[Value] | Mapping[str, Value]


class BrokenText(bytes):
    """A text in the database whose bytes are not UTF-8."""

    def __repr__(self) -> str:
        return f"text({bytes(self)!r})"


def text_factory(data: bytes) -> str | BrokenText:
    """How a connection makes a Python value of a text."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return BrokenText(data)


def to_json(value: Value) -> Any:
    """The value as JSON holds it."""
    match value:
        case BrokenText():
            return {"$text": base64.b64encode(value).decode()}
        case bytes():
            return {"$blob": base64.b64encode(value).decode()}
        case int() if abs(value) > SAFE_INTEGER:
            return {"$integer": str(value)}
        case float() if not math.isfinite(value):
            return {"$real": str(value)}
    return value


def from_json(value: Any, where: str) -> Value:
    """The value that JSON stands for; `where` is named if there is none."""
    match value:
        case bool():
            return int(value)
        case int():
            if not -_LARGEST - 1 <= value <= _LARGEST:
                raise Problem(f"{where}: {value} does not fit in 64 bits; give it as a text")
            return value
        case None | float():
            return value
        case str():
            return _checked(value, where)
        case dict() if len(value) == 1:
            ((kind, said),) = value.items()
            if kind in _KINDS and isinstance(said, str):
                return _tagged(kind, said, where)
    raise Problem(
        f"{where} is no value of SQLite; give null, a number, a text, true or false, or one of "
        '{"$blob": base64}, {"$integer": digits}, {"$real": "inf"}'
    )


_KINDS: Final = ("$blob", "$integer", "$real", "$text")


def _tagged(kind: str, said: str, where: str) -> Value:
    try:
        match kind:
            case "$integer":
                return from_json(int(said), where)
            case "$real":
                return float(said)
            case "$blob":
                return base64.b64decode(said, validate=True)
            case _:
                return BrokenText(base64.b64decode(said, validate=True))
    except (ValueError, binascii.Error):
        raise Problem(f"{where}: {said[:40]!r} cannot be read as {kind}") from None


def _checked(text: str, where: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as refusal:
        raise Problem(f"{where} is not valid Unicode text (at character {refusal.start})") from None
    return text


def parameters(given: Sequence[Any] | Mapping[str, Any] | None) -> Parameters:
    """What a caller gives for the `?` or `:name` of a statement."""
    if given is None:
        return ()
    if isinstance(given, Mapping):
        return {name.lstrip(":@$"): _bound(value, f"parameter {name}") for name, value in given.items()}
    return tuple(_bound(value, f"parameter {number}") for number, value in enumerate(given, 1))


def _bound(value: Any, where: str) -> Value:
    bound = from_json(value, where)
    if isinstance(bound, BrokenText):
        raise Problem(f"{where}: a text that is not UTF-8 cannot be bound; give CAST(? AS TEXT) a $blob")
    return bound


def size(value: Value) -> int:
    """About how many bytes the value takes in an answer."""
    match value:
        case bytes():
            return len(value) * 4 // 3 + 12
        case str():
            return len(value) + 4
    return 12


def unique(names: Sequence[str]) -> list[str]:
    """The names, with a number behind one that was there before."""
    taken: set[str] = set()
    result = []
    for name in names:
        candidate, number = name, 2
        while candidate in taken:
            candidate, number = f"{name}_{number}", number + 1
        taken.add(candidate)
        result.append(candidate)
    return result


def readable(value: Value) -> str:
    """A text of the database for people, also if its bytes are not UTF-8."""
    return value.decode("utf-8", "backslashreplace") if isinstance(value, BrokenText) else str(value)


def quoted(name: str | BrokenText) -> str:
    """A name as SQL takes it, whatever it holds."""
    if isinstance(name, BrokenText):
        raise Problem(f"the name {readable(name)} is not valid UTF-8, so no statement can name it")
    return '"' + _checked(name, "the name").replace("\0", "").replace('"', '""') + '"'
