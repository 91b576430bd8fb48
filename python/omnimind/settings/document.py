"""JSON with places: every key and value of a file knows its line and column.

The standard reader forgets where a value stood and lets a second key of the same name win in silence;
a settings file needs the opposite. Rules: a duplicate key is an error; comments (`//`, `/* */`) are
allowed, as editors write them into such files; nothing else beyond RFC 8259 is. Depth is bounded.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

from omnimind.errors import SettingsError

_SPACE = re.compile(r"(?:[ \t\r\n]+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_WORD = re.compile(r"[A-Za-z_]+")
_WORDS: Final[dict[str, bool | None]] = {"true": True, "false": False, "null": None}
_DEPTH = 64
_FILE_BYTES = 4 * 1024 * 1024

KINDS: Final[dict[type, str]] = {
    dict: "an object",
    list: "a list",
    str: "a string",
    bool: "true or false",
    int: "a number",
    float: "a number",
    type(None): "null",
}


@dataclass(frozen=True, slots=True)
class Node:
    """A value and where it begins. An object's value maps keys to `Member`, a list's holds `Node`."""

    value: Any
    at: int

    @property
    def kind(self) -> str:
        """What the value is, in words."""
        return KINDS[type(self.value)]

    def plain(self) -> Any:
        """The value without places."""
        if isinstance(self.value, dict):
            return {key: member.node.plain() for key, member in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value


@dataclass(frozen=True, slots=True)
class Member:
    """A key's place and its value."""

    at: int
    node: Node


@dataclass(frozen=True, slots=True)
class Document:
    """A file that was read: its text, its path and its root."""

    path: Path
    text: str
    root: Node

    def place(self, at: int) -> str:
        """`file:line:column` of an offset; lines and columns count from 1, columns in characters."""
        return _place(self.path, self.text, at)

    def error(self, code: str, what: str, at: int, *, help: str | None = None) -> SettingsError:
        """An error that points at an offset of this file."""
        return SettingsError(code, what, where=self.place(at), why=_excerpt(self.text, at), help=help)


def read(path: Path) -> Document:
    """Read a file; raises `SettingsError` if it cannot be read or is not JSON."""
    try:
        with path.open("rb") as file:
            raw = file.read(_FILE_BYTES + 1)
    except OSError as error:
        raise SettingsError(
            "OM0101",
            f"the configuration cannot be read: {error.strerror}",
            where=str(path),
            help="check the path given with --config",
        ) from None
    if len(raw) > _FILE_BYTES:
        raise SettingsError("OM0101", f"the file is larger than {_FILE_BYTES} bytes", where=str(path))
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise SettingsError(
            "OM0102", "the file is not UTF-8", where=f"{path}:{line}", help="save it as UTF-8"
        ) from None
    return parse(text, path)


def parse(text: str, path: Path) -> Document:
    """Read a text as if it stood in `path`."""
    reader = _Reader(text, path)
    return Document(path, text, reader.document())


class _Reader:
    """One pass over the text; `at` is the offset of the next character."""

    def __init__(self, text: str, path: Path) -> None:
        self.text = text
        self.path = path
        self.at = 0

    def document(self) -> Node:
        node = self.value(0)
        self.space()
        if self.at < len(self.text):
            self.fail("there is text after the end of the document", help="remove it")
        return node

    def value(self, depth: int) -> Node:
        self.space()
        start, here = self.at, self.text[self.at : self.at + 1]
        if depth > _DEPTH:
            self.fail(f"values are nested deeper than {_DEPTH} levels")
        if here == "{":
            return Node(self.members(depth), start)
        if here == "[":
            return Node(self.items(depth), start)
        if here == '"':
            return Node(self.string(), start)
        if number := _NUMBER.match(self.text, self.at):
            return self.number(number.group(), start)
        if word := _WORD.match(self.text, self.at):
            return self.word(word.group(), start)
        if not here:
            self.fail("the file ends where a value is expected", help="close what is open: } or ]")
        if here == "'":
            self.fail("strings stand in double quotes", help="write \" instead of '")
        if here in "}]":
            self.fail(f"a value is expected before {here}", help="remove the comma before it")
        self.fail(f"{here!r} does not begin a value")

    def members(self, depth: int) -> dict[str, Member]:
        found: dict[str, Member] = {}
        self.at += 1
        if self.closes("}"):
            return found
        while True:
            self.space()
            at = self.at
            if self.text[at : at + 1] != '"':
                comma = self.text[at : at + 1] == "}"
                self.fail(
                    "a key in double quotes is expected",
                    help="remove the comma before }" if comma else 'write "key": value',
                )
            key = self.string()
            if key in found:
                first = _place(self.path, self.text, found[key].at)
                self.fail(
                    f'the key "{key}" stands twice in this object',
                    at,
                    "OM0103",
                    help=f"remove one of them; the first is at {first}",
                )
            self.expect(":", f'":" is expected after the key "{key}"')
            found[key] = Member(at, self.value(depth + 1))
            if self.closes("}"):
                return found
            self.expect(",", '"," or "}" is expected')

    def items(self, depth: int) -> list[Node]:
        found: list[Node] = []
        self.at += 1
        if self.closes("]"):
            return found
        while True:
            found.append(self.value(depth + 1))
            if self.closes("]"):
                return found
            self.expect(",", '"," or "]" is expected')

    def string(self) -> str:
        match = _STRING.match(self.text, self.at)
        if match is None:
            self.fail("the string is not closed, or holds a raw control character", help='close it with "')
        try:
            value = str(json.loads(match.group()))
        except json.JSONDecodeError as error:
            self.fail("the string holds an escape that does not exist", self.at + error.pos)
        if any("\ud800" <= character <= "\udfff" for character in value):
            self.fail("the string holds half of a surrogate pair")
        self.at = match.end()
        return value

    def number(self, text: str, start: int) -> Node:
        if len(text) > 40:
            self.fail("the number is too long")
        self.at += len(text)
        return Node(int(text) if text.lstrip("-").isdigit() else float(text), start)

    def word(self, text: str, start: int) -> Node:
        if text not in _WORDS:
            near = {"True": "true", "False": "false", "None": "null"}.get(text)
            self.fail(f"{text} is not a JSON value", help=f"write {near}" if near else 'quote it: "..."')
        self.at += len(text)
        return Node(_WORDS[text], start)

    def space(self) -> None:
        match = _SPACE.match(self.text, self.at)
        self.at = match.end() if match else self.at

    def closes(self, bracket: str) -> bool:
        self.space()
        if self.text[self.at : self.at + 1] != bracket:
            return False
        self.at += 1
        return True

    def expect(self, character: str, what: str) -> None:
        self.space()
        if self.text[self.at : self.at + 1] != character:
            self.fail(what, help=f"add {character} here")
        self.at += 1

    def fail(
        self, what: str, at: int | None = None, code: str = "OM0102", help: str | None = None
    ) -> NoReturn:
        at = self.at if at is None else at
        raise SettingsError(
            code, what, where=_place(self.path, self.text, at), why=_excerpt(self.text, at), help=help
        )


def _place(path: Path, text: str, at: int) -> str:
    line = text.count("\n", 0, at) + 1
    column = at - (text.rfind("\n", 0, at) + 1) + 1
    return f"{path}:{line}:{column}"


def _excerpt(text: str, at: int) -> str:
    """The line of an offset with a caret under it, cut to what a terminal shows."""
    begin = text.rfind("\n", 0, at) + 1
    end = text.find("\n", at)
    line = text[begin : end if end >= 0 else len(text)].replace("\t", " ").rstrip("\r")
    column = at - begin
    left = max(0, column - 60)
    shown = "".join(c if c.isprintable() else "?" for c in line[left : left + 100])
    return f"{shown}\n{' ' * (column - left)}^"
