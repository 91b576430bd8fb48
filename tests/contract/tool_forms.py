"""What the shorter forms of a list of tools say, read without any of our code, and held against the original.

Each check returns complaints in words; none means that nothing a call needs is lost.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

Schema = dict[str, Any]
NOT_NEEDED: Final = {"$schema", "$comment", "title", "additionalProperties"}
"""Keywords that tell a caller nothing that it needs; the protocol's servers ignore or refuse what is too much."""
NO_BOUNDS: Final = {"minimum": -(2**53) + 1, "maximum": 2**53 - 1}
"""What libraries write as the bounds of an integer without bounds."""
TYPES: Final = {"string": "str", "integer": "int", "number": "num", "boolean": "bool"}
DEPTH: Final = 4
"""Objects in objects are said no deeper in a signature."""


def pruned_complaints(original: list[Schema], pruned: list[Schema]) -> Iterator[str]:
    """What the pruned list does not say any more."""
    if [tool["name"] for tool in original] != [tool["name"] for tool in pruned]:
        yield "the names differ"
        return
    for before, after in zip(original, pruned, strict=True):
        name = before["name"]
        if words(before.get("description")) != words(after.get("description")):
            yield f"{name}: another description"
        yield from _schema_complaints(name, before["inputSchema"], after["inputSchema"], optional=False)


def _schema_complaints(where: str, before: Any, after: Any, optional: bool) -> Iterator[str]:
    if not isinstance(before, dict) or not isinstance(after, dict):
        if before != after:
            yield f"{where}: {after!r} for {before!r}"
        return
    before, after = _plain(before, optional), _plain(after, optional)
    for keyword in sorted(before.keys() | after.keys()):
        told, left = before.get(keyword), after.get(keyword)
        here = f"{where}.{keyword}"
        if keyword in ("properties", "$defs", "definitions", "patternProperties"):
            if list(told or {}) != list(left or {}):
                yield f"{here}: {list(left or {})} for {list(told or {})}"
                continue
            needed = before.get("required", []) if keyword == "properties" else list(told or {})
            for name, inner in (told or {}).items():
                yield from _schema_complaints(f"{here}.{name}", inner, (left or {})[name], name not in needed)
        elif keyword == "required":
            if sorted(told or []) != sorted(left or []):
                yield f"{here}: {left} for {told}"
        elif keyword == "description":
            if words(told) != words(left):
                yield f"{here}: another text"
        elif keyword in ("anyOf", "oneOf", "allOf", "prefixItems"):
            if len(told or []) != len(left or []):
                yield f"{here}: {left} for {told}"
                continue
            for at, (one, other) in enumerate(zip(told or [], left or [], strict=True)):
                yield from _schema_complaints(f"{here}[{at}]", one, other, optional=False)
        elif keyword in ("items", "propertyNames", "not", "if", "then", "else", "contains"):
            yield from _schema_complaints(here, told, left, optional=False)
        elif told != left:
            yield f"{here}: {left!r} for {told!r}"


def _plain(schema: Schema, optional: bool) -> Schema:
    """The schema in one spelling: without what no call needs, and with null as one of the types. That what may be
    left out may be null instead is not needed either, nor that null is its default."""
    found = {name: value for name, value in schema.items() if name not in NOT_NEEDED}
    found = {name: value for name, value in found.items() if NO_BOUNDS.get(name, schema) != value}
    null = {"type": "null"}
    if null in found.get("anyOf", []) and len(found["anyOf"]) == 2:
        (one,) = (other for other in found["anyOf"] if other != null)
        if isinstance(one.get("type"), str) and not one.keys() & {"enum", "const"}:
            found = {**_plain(one, optional=False), **found, "type": [one["type"], "null"]}
            del found["anyOf"]
    kinds = found.get("type")
    if optional and isinstance(kinds, list):
        kinds = [kind for kind in kinds if kind != "null"]
        found["type"] = kinds[0] if len(kinds) == 1 else kinds
    if optional and found.get("default", found) is None:
        del found["default"]
    if found.get("required") == []:
        del found["required"]
    return found


def words(text: Any) -> list[str]:
    """A text but for its white space."""
    return str(text or "").split()


def signature_complaints(original: list[Schema], text: str) -> Iterator[str]:
    """What the lines do not say: names, parameters, which of them are needed, types, enums."""
    _, *lines = text.split("\n")
    if len(lines) != len(original):
        yield f"{len(lines)} lines for {len(original)} tools"
        return
    for tool, line in zip(original, lines, strict=True):
        name = tool["name"]
        if not line.startswith(f"{name}("):
            yield f"{name}: the line is {line[:60]!r}"
            continue
        inside, _ = _enclosed(line[len(name) :])
        yield from _object_complaints(name, tool["inputSchema"], inside, tool["inputSchema"], DEPTH)


def _object_complaints(where: str, schema: Schema, inside: str, root: Schema, depth: int) -> Iterator[str]:
    said = dict(map(_parameter, _split(inside, ",")))
    properties = schema.get("properties", {})
    if list(said) != list(properties):
        yield f"{where}: {list(said)} for {list(properties)}"
        return
    for name, inner in properties.items():
        optional, kind = said[name]
        if optional == (name in schema.get("required", [])):
            yield f"{where}.{name}: {'optional' if optional else 'needed'}"
        yield from _kind_complaints(f"{where}.{name}", inner, kind, root, depth)


def _kind_complaints(where: str, schema: Schema, kind: str, root: Schema, depth: int) -> Iterator[str]:
    while "$ref" in schema and depth:
        target: Any = root
        for step in schema["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        schema, depth = target, depth - 1
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        others = [one for one in choices if one != {"type": "null"}]
        if len(others) != 1:
            return
        schema, kind = others[0], "|".join(part for part in _split(kind, "|") if part != "null")
        yield from _kind_complaints(where, schema, kind, root, depth)
    elif "enum" in schema:
        values = {_literal(value) for value in schema["enum"] if value is not None}
        if values != {part for part in map(_read, _split(kind, "|")) if part != _literal(None)}:
            yield f"{where}: {kind} for {schema['enum']}"
    elif schema.get("type") == "array":
        if not kind.endswith("[]"):
            yield f"{where}: {kind} is no list"
            return
        inner = kind[:-2]
        inner = _enclosed(inner)[0] if inner.startswith("(") else inner
        if "items" in schema and depth:
            yield from _kind_complaints(f"{where}[]", schema["items"], inner, root, depth - 1)
    elif schema.get("properties") and depth:
        if not kind.startswith("{"):
            yield f"{where}: {kind} is no object"
            return
        yield from _object_complaints(where, schema, _enclosed(kind)[0], root, depth - 1)
    elif isinstance(schema.get("type"), str) and schema["type"] in TYPES and kind != TYPES[schema["type"]]:
        yield f"{where}: {kind} for {schema['type']}"


def _parameter(text: str) -> tuple[str, tuple[bool, str]]:
    """`name`, `name?`, `name:type`, `name?:type=default`: the name, whether it may be left out, the type."""
    head, _, _ = _cut(text, "=")
    name, colon, kind = _cut(head, ":")
    return name.removesuffix("?"), (name.endswith("?"), kind if colon else "str")


def _literal(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _read(word: str) -> str:
    """A value of an enum, which stands bare if that is clear."""
    try:
        return _literal(json.loads(word))
    except ValueError:
        return _literal(word)


def _steps(text: str) -> Iterator[tuple[int, str, int]]:
    """Signs outside of quotes with how deep they stand."""
    depth = 0
    for found in re.finditer(r'"(?:[^"\\]|\\.)*"|.', text, re.DOTALL):
        sign = found.group()
        if sign in ("(", "{", "["):
            depth += 1
        yield found.start(), sign, depth
        if sign in (")", "}", "]"):
            depth -= 1


def _split(text: str, by: str) -> list[str]:
    places = [at for at, sign, depth in _steps(text) if sign == by and depth == 0]
    parts = [text[begin + 1 : end] for begin, end in zip([-1, *places], [*places, len(text)], strict=True)]
    return [part.strip() for part in parts if part.strip()]


def _cut(text: str, by: str) -> tuple[str, str, str]:
    at = next((at for at, sign, depth in _steps(text) if sign == by and depth == 0), None)
    return (text, "", "") if at is None else (text[:at], by, text[at + 1 :])


def _enclosed(text: str) -> tuple[str, str]:
    """What stands in the brackets that the text begins with, and what follows them."""
    end = next(at for at, sign, depth in _steps(text) if depth == 1 and sign in (")", "}", "]"))
    return text[1:end], text[end + 1 :]
