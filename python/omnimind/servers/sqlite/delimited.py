"""Rows as CSV and JSON, and back. Pure: no database here.

CSV as RFC 4180 has it, with two rules of ours so that little is lost: an empty field is NULL and `""` is the
empty text; bytes are written `base64:...`. CSV knows no types, so reading guesses: a column is INTEGER or REAL
only if every field of it is such a number in plain notation (`007`, `+5` and ids of more than 15 digits with a
point stay texts). JSON keeps every value, with the marks of `values`.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from omnimind.servers.problem import Problem
from omnimind.servers.sqlite import values
from omnimind.servers.sqlite.values import BrokenText, Value

BYTES_MARK: Final = "base64:"
_FIELD: Final = re.compile(r'(?:"((?:[^"]++|"")*+)"|([^",\r\n]*))(,|\r\n|\r|\n|\Z)')
_INTEGER: Final = re.compile(r"-?(?:0|[1-9]\d{0,18})")
_REAL: Final = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d{1,3})?")
_NEEDS_QUOTES: Final = re.compile(r'[",\r\n]')
_EXACT_DIGITS: Final = 15

Cell = tuple[str, bool]
"""A field of CSV, and whether it stood in quotes, which only an empty one needs to say."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """Rows with the names of their columns, and a type for each column ("" for any value)."""

    columns: Sequence[str]
    types: Sequence[str]
    rows: Sequence[Sequence[Value]]


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[Value]], header: bool) -> str:
    """Rows as CSV."""
    lines = [",".join(map(_quoted, columns))] if header else []
    lines += [
        ",".join(_csv_field(value, name) for value, name in zip(row, columns, strict=True)) for row in rows
    ]
    return "".join(f"{line}\n" for line in lines)


def _csv_field(value: Value, column: str) -> str:
    match value:
        case None:
            return ""
        case BrokenText():
            raise Problem(
                f"column {column} holds a text that is not UTF-8, which CSV cannot; export it as json"
            )
        case bytes():
            return BYTES_MARK + base64.b64encode(value).decode()
        case str():
            return _quoted(value)
    return repr(value)


def _quoted(text: str) -> str:
    if text == "" or _NEEDS_QUOTES.search(text):
        return '"' + text.replace('"', '""') + '"'
    return text


def json_text(columns: Sequence[str], rows: Iterable[Sequence[Value]], *, lines: bool) -> str:
    """Rows as a JSON array of objects, or as one object a line."""
    names = values.unique(columns)
    printed = [
        json.dumps(
            {name: values.to_json(value) for name, value in zip(names, row, strict=True)},
            ensure_ascii=False,
            separators=(",", ":"),
            allow_nan=False,
        )
        for row in rows
    ]
    return "".join(f"{one}\n" for one in printed) if lines else "[" + ",\n".join(printed) + "]"


def csv_rows(text: str, check: Callable[[], None]) -> Iterator[list[Cell]]:
    """The records of a CSV text."""
    at, record = 0, 1
    cells: list[Cell] = []
    text = text.removeprefix("\ufeff")
    while at < len(text) or cells:
        found = _FIELD.match(text, at)
        if found is None:
            raise Problem(
                f"record {record} of the CSV has a quotation mark out of place near {text[at : at + 30]!r}"
            )
        inside, plain, end = found.groups()
        cells.append((plain, False) if inside is None else (inside.replace('""', '"'), True))
        at = found.end()
        if end != ",":
            yield cells
            cells, record = [], record + 1
            if record % 1_000 == 0:
                check()
            if end == "":
                return


def read_csv(
    text: str, types: Mapping[str, str], declared: Mapping[str, str] | None, check: Callable[[], None]
) -> Sheet:
    """A CSV text whose first record names the columns; `declared` are the types of a table it goes into."""
    records = csv_rows(text, check)
    columns = [name for name, _ in next(records, [])]
    rows: list[list[Cell]] = []
    for number, cells in enumerate(records, 2):
        if len(columns) > 1 and cells == [("", False)]:
            continue
        if len(cells) != len(columns):
            raise Problem(
                f"record {number} of the CSV has {len(cells)} fields and the first has {len(columns)}"
            )
        rows.append(cells)
    kinds = []
    read = []
    for at, name in enumerate(columns):
        check()
        cells = [row[at] for row in rows]
        kind = types.get(name) or (declared or {}).get(name.lower()) or _guessed(cells)
        kinds.append(kind)
        read.append(
            [_cell(cell, kind, f"record {number}, column {name}") for number, cell in enumerate(cells, 2)]
        )
    return Sheet(columns, kinds, list(zip(*read, strict=True)))


def _guessed(cells: Sequence[Cell]) -> str:
    given = [text for text, quoted in cells if text or quoted]
    if not given:
        return "TEXT"
    if all(_is_integer(text) for text in given):
        return "INTEGER"
    if all(_is_real(text) for text in given):
        return "REAL"
    return "BLOB" if all(text.startswith(BYTES_MARK) for text in given) else "TEXT"


def _is_integer(text: str) -> bool:
    return _INTEGER.fullmatch(text) is not None and text != "-0" and -(2**63) <= int(text) < 2**63


def _is_real(text: str) -> bool:
    if text in ("inf", "-inf"):
        return True
    if _REAL.fullmatch(text) is None:
        return False
    digits = re.split("[eE]", text)[0].lstrip("-").replace(".", "").lstrip("0")
    return len(digits) <= _EXACT_DIGITS or repr(float(text)) == text


def _cell(cell: Cell, kind: str, where: str) -> Value:
    text, quoted = cell
    if text == "" and not quoted:
        return None
    try:
        match kind:
            case "INTEGER" if _is_integer(text):
                return int(text)
            case "REAL" if _is_real(text):
                return float(text)
            case "BLOB" if text.startswith(BYTES_MARK):
                return base64.b64decode(text.removeprefix(BYTES_MARK), validate=True)
    except (ValueError, binascii.Error):
        raise Problem(f"{where}: {text[:40]!r} is no {BYTES_MARK} value") from None
    return text


def read_json(text: str, types: Mapping[str, str], check: Callable[[], None]) -> Sheet:
    """A JSON array of objects, or an object a line. A nested value is kept as its JSON text."""
    objects = _objects(text.removeprefix("\ufeff").strip())
    columns: dict[str, None] = {}
    for number, one in enumerate(objects, 1):
        if not isinstance(one, dict):
            raise Problem(f"row {number} is no JSON object of column and value")
        columns.update(dict.fromkeys(one))
        if number % 1_000 == 0:
            check()
    rows = [
        [_json_value(one.get(name), f"row {number}, column {name}") for name in columns]
        for number, one in enumerate(objects, 1)
    ]
    check()
    kinds = [types.get(name) or _kind([row[at] for row in rows]) for at, name in enumerate(columns)]
    return Sheet(list(columns), kinds, rows)


def _objects(text: str) -> list[Any]:
    try:
        if text.startswith("["):
            read = json.loads(text, parse_constant=_no_constant)
            return read if isinstance(read, list) else [read]
        return [json.loads(line, parse_constant=_no_constant) for line in text.split("\n") if line.strip()]
    except (ValueError, RecursionError) as refusal:
        raise Problem(f"the text is neither a JSON array nor one JSON object a line: {refusal}") from None


def _no_constant(name: str) -> None:
    raise ValueError(f'{name} is not JSON; write {{"$real": "inf"}}')


def _json_value(value: Any, where: str) -> Value:
    marked = isinstance(value, dict) and len(value) == 1 and next(iter(value)).startswith("$")
    if isinstance(value, dict | list) and not marked:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return values.from_json(value, where)


def _kind(column: Sequence[Value]) -> str:
    """A type whose affinity changes none of these values; "" where only no type does that."""
    kinds = {type(value) for value in column if value is not None}
    if kinds == {int}:
        return "INTEGER"
    if kinds == {float} or kinds == {int, float}:
        large = any(isinstance(value, int) and abs(value) > values.SAFE_INTEGER for value in column)
        return "" if large else "REAL"
    if kinds == {bytes}:
        return "BLOB"
    return "TEXT" if kinds <= {str} else ""
