"""Checks that every section of a settings file is made of.

A check takes a place in the document and returns the value, or raises an error that points at it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from omnimind.errors import SettingsError, closest
from omnimind.settings.document import Document, Member, Node

Check = Callable[["Spot"], Any]

_NOTHING_MEANT: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Spot:
    """A value under a check: its document, its node, and its path such as `mcpServers.git.port`."""

    document: Document
    node: Node
    path: str

    def wrong(self, expected: str, help: str | None = None) -> SettingsError:
        """The error "this must be ..."."""
        return self.document.error(
            "OM0105", f"{self.path} must be {expected}, not {self.node.kind}", self.node.at, help=help
        )

    def bad(self, what: str, help: str | None = None) -> SettingsError:
        """The error for a value of the right type that cannot be."""
        return self.document.error("OM0105", f"{self.path} {what}", self.node.at, help=help)

    def within(self, key: str | int, node: Node) -> Spot:
        """The spot of a member or an item."""
        return Spot(
            self.document, node, f"{self.path}[{key}]" if isinstance(key, int) else f"{self.path}.{key}"
        )


def members(spot: Spot) -> dict[str, Member]:
    """The members of an object."""
    if not isinstance(spot.node.value, dict):
        raise spot.wrong("an object", "write { ... }")
    return spot.node.value


def text(spot: Spot) -> str:
    """A string that is not empty and holds no NUL."""
    value = spot.node.value
    if not isinstance(value, str):
        raise spot.wrong("a string", 'quote it: "..."')
    if not value.strip() or "\0" in value:
        raise spot.bad("is empty" if not value.strip() else "holds a NUL character")
    return value


def any_text(spot: Spot) -> str:
    """A string, also an empty one."""
    return text(spot) if spot.node.value != "" else ""


def boolean(spot: Spot) -> bool:
    """true or false."""
    if not isinstance(spot.node.value, bool):
        raise spot.wrong("true or false")
    return spot.node.value


def integer(low: int, high: int) -> Check:
    """A whole number from `low` to `high`."""

    def check(spot: Spot) -> int:
        value = spot.node.value
        if isinstance(value, bool) or not isinstance(value, int):
            raise spot.wrong(f"a whole number from {low} to {high}")
        if not low <= value <= high:
            raise spot.bad(f"is {value}; it must lie from {low} to {high}")
        return value

    return check


def number(low: float, high: float) -> Check:
    """A number from `low` to `high`."""

    def check(spot: Spot) -> int | float:
        value = spot.node.value
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise spot.wrong(f"a number from {low} to {high}")
        if not low <= value <= high:
            raise spot.bad(f"is {value}; it must lie from {low} to {high}")
        return value

    return check


def port(spot: Spot) -> int | None:
    """A TCP port, 0 for a free one, null for none."""
    if spot.node.value is None:
        return None
    return int(integer(0, 65535)(spot))


def choice(*words: str) -> Check:
    """One of the words."""

    def check(spot: Spot) -> str:
        value = spot.node.value
        listed = ", ".join(f'"{word}"' for word in words)
        if not isinstance(value, str):
            raise spot.wrong(f"one of {listed}")
        if value not in words:
            near = closest(value, words)
            raise spot.bad(f'is "{value}"', f'did you mean "{near}"?' if near else f"write one of {listed}")
        return value

    return check


def every(check: Check) -> Check:
    """A list whose items pass `check`."""

    def check_list(spot: Spot) -> tuple[Any, ...]:
        if not isinstance(spot.node.value, list):
            raise spot.wrong("a list", "write [ ... ]")
        return tuple(check(spot.within(index, node)) for index, node in enumerate(spot.node.value))

    return check_list


def strings(spot: Spot) -> Mapping[str, str]:
    """An object of strings; a number counts as its text."""
    found: dict[str, str] = {}
    for key, member in members(spot).items():
        inner, value = spot.within(key, member.node), member.node.value
        if not key or "=" in key or "\0" in key:
            raise spot.document.error("OM0105", f"{spot.path}: {key!r} cannot be a name", member.at)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        found[key] = str(value) if is_number else any_text(inner)
    return MappingProxyType(found)


def section(table: Mapping[str, Check], meant: Mapping[str, str] = _NOTHING_MEANT) -> Check:
    """An object with the keys of a table; returns the keys that stand there.

    `meant` says of keys that people try in vain what to write instead.
    """

    def check(spot: Spot) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, member in members(spot).items():
            if key not in table:
                raise unknown(spot, key, member, tuple(table), meant.get(key))
            found[key] = table[key](spot.within(key, member.node))
        return found

    return check


def switched(table: Mapping[str, Check]) -> Check:
    """true, false, or an object with the keys of a table; what stands there, with `enabled`."""

    def check(spot: Spot) -> dict[str, Any]:
        if isinstance(spot.node.value, bool):
            return {"enabled": spot.node.value}
        return {"enabled": True, **section(table)(spot)}

    return check


def each(check: Check) -> Check:
    """An object of any keys whose values pass `check`."""

    def check_each(spot: Spot) -> dict[str, Any]:
        return {key: check(spot.within(key, member.node)) for key, member in members(spot).items()}

    return check_each


def unknown(
    spot: Spot, key: str, member: Member, known: tuple[str, ...], help: str | None = None
) -> SettingsError:
    """The error for a key that is not known; `help` in place of the key that is nearest to it."""
    near = closest(key, known)
    help = help or (f'did you mean "{near}"?' if near else "known keys: " + ", ".join(sorted(known)))
    where = spot.path or "the file"
    return spot.document.error("OM0104", f'the key "{key}" is not known in {where}', member.at, help=help)
