"""What a run calls, and who calls: from a file, or the cheapest harmless tool of each of our servers.

A mix file is JSON: `{"calls": [{"tool": "memory__open_nodes", "arguments": {"names": ["x"]}, "weight": 3}]}`. In the
arguments `$CANARY` (must come back in the answer), `$RUN` and `$NUMBER` (together a name nobody had before) and
`$PAD` (`size_bytes` bytes) are replaced in every call. docs/stress.md has all keys.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from omnimind.errors import UsageError, closest

CHEAPEST: Final[dict[str, tuple[str, str]]] = {
    "filesystem": ("list_allowed_directories", "{}"),
    "memory": ("open_nodes", '{"names":["nobody"]}'),
    "thinking": ("list_thinking_sessions", "{}"),
    "context": ("list_context", "{}"),
    "git": ("git_list_repositories", "{}"),
    "python": ("list_sessions", "{}"),
    "sqlite": ("list_databases", "{}"),
    "system_info": ("memory_info", "{}"),
    "logging": ("log_sources", "{}"),
}
"""The tool of each built-in that does least and changes nothing, with its arguments."""

CALL_KEYS: Final = (
    "tool",
    "server",
    "arguments",
    "weight",
    "size_bytes",
    "sizes_bytes",
    "deadline_ms",
    "class",
)
"""What an entry of a mix file may have."""
_SEPARATOR: Final = "__"


@dataclass(frozen=True, slots=True)
class Call:
    """One kind of call. `arguments` is JSON text with placeholders; `deadline_ms` the least and the most."""

    tool: str
    server: str
    arguments: str = "{}"
    weight: int = 1
    size_bytes: int = 0
    deadline_ms: tuple[int, int] | None = None
    klass: str | None = None

    def encoded(self) -> dict[str, Any]:
        """As the generator reads it."""
        return {
            "tool": self.tool,
            "server": self.server,
            "arguments": self.arguments,
            "weight": self.weight,
            "size_bytes": self.size_bytes,
            "deadline_ms": self.deadline_ms,
            "class": self.klass,
        }


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls; the token never shows."""

    name: str
    token: str | None

    def __repr__(self) -> str:
        return f"Principal({self.name!r})"


@dataclass(frozen=True, slots=True)
class Mix:
    """What is called, and by whom; without principals it is the one that runs the test."""

    calls: tuple[Call, ...]
    principals: tuple[Principal, ...] = ()


def harmless(tools: Sequence[Mapping[str, Any]], servers: Sequence[str]) -> Mix:
    """A mix for these tools, as `tools/list` names them: ours, else whatever says it only reads and asks for nothing.

    Raises UsageError (OM0901) if there is no such tool.
    """
    offered = {str(tool.get("name")): tool for tool in tools}
    calls = [
        Call(name, server, arguments)
        for server, (tool, arguments) in CHEAPEST.items()
        for name in (f"{server}{_SEPARATOR}{tool}", tool)
        if name in offered and _reads(offered[name]) and (server in servers or not servers)
    ]
    if not calls:
        calls = [
            Call(name, server_of(name, servers))
            for name, tool in offered.items()
            if _reads(tool) and _needs_nothing(tool)
        ]
    if not calls:
        raise UsageError(
            "OM0901",
            "no tool there is known to be harmless when it is called again and again",
            help="name one: --tool NAME --arguments JSON, or several: --mix FILE",
        )
    return Mix(tuple(calls))


def _reads(tool: Mapping[str, Any]) -> bool:
    hints = tool.get("annotations")
    return isinstance(hints, Mapping) and hints.get("readOnlyHint") is True


def _needs_nothing(tool: Mapping[str, Any]) -> bool:
    schema = tool.get("inputSchema")
    return isinstance(schema, Mapping) and not schema.get("required")


def server_of(tool: str, servers: Sequence[str]) -> str:
    """Whose tool this is by its name, for the report; a dash if the name does not tell."""
    return max((name for name in servers if tool.startswith(name + _SEPARATOR)), key=len, default="-")


def read(path: Path, servers: Sequence[str]) -> Mix:
    """The mix of a file. Raises UsageError (OM0901) that says which entry is wrong and how."""
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from None
    except (ValueError, RecursionError) as error:
        raise _unusable(path, f"it is not JSON: {error}") from None
    if not isinstance(document, dict) or not isinstance(document.get("calls"), list):
        raise _unusable(path, 'it is not an object with a list "calls"')
    _known(path, document, ("calls", "principals"), "the file")
    calls = [
        call for at, entry in enumerate(document["calls"]) for call in _calls(path, at, entry, tuple(servers))
    ]
    if not any(call.weight for call in calls):
        raise _unusable(path, "no call has a weight above 0")
    principals = [_principal(path, at, entry) for at, entry in enumerate(document.get("principals", []))]
    return Mix(tuple(calls), tuple(principals))


def _calls(path: Path, at: int, entry: Any, servers: tuple[str, ...]) -> Iterable[Call]:
    """One entry; with several sizes it is a call of each, all of the entry's weight."""
    where = f"calls[{at}]"
    if not isinstance(entry, dict) or not isinstance(entry.get("tool"), str):
        raise _unusable(path, f'{where} is not an object with a "tool"')
    _known(path, entry, CALL_KEYS, where)
    arguments = entry.get("arguments", {})
    if not isinstance(arguments, dict | str):
        raise _unusable(path, f"{where}.arguments is neither an object nor JSON text with placeholders")
    sizes = entry.get("sizes_bytes", [entry.get("size_bytes", 0)])
    if not isinstance(sizes, list) or not sizes:
        raise _unusable(path, f"{where}.sizes_bytes is not a list of numbers")
    deadline = entry.get("deadline_ms")
    if deadline is not None and not (isinstance(deadline, list) and len(deadline) == 2):
        raise _unusable(path, f"{where}.deadline_ms is not a list of the least and the most")
    for size in sizes:
        yield Call(
            tool=entry["tool"],
            server=str(entry.get("server") or server_of(entry["tool"], servers)),
            arguments=arguments if isinstance(arguments, str) else json.dumps(arguments),
            weight=_number(path, f"{where}.weight", entry.get("weight", 1)),
            size_bytes=_number(path, f"{where}.size_bytes", size),
            deadline_ms=None
            if deadline is None
            else (
                _number(path, f"{where}.deadline_ms", deadline[0]),
                _number(path, f"{where}.deadline_ms", deadline[1]),
            ),
            klass=None if entry.get("class") is None else str(entry["class"]),
        )


def _principal(path: Path, at: int, entry: Any) -> Principal:
    where = f"principals[{at}]"
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise _unusable(path, f'{where} is not an object with a "name"')
    _known(path, entry, ("name", "token_file"), where)
    token = token_of(path.parent / str(entry["token_file"]), path) if "token_file" in entry else None
    return Principal(entry["name"], token)


def token_of(file: Path, asked_by: Path | None = None) -> str:
    """The token that a file holds. Raises UsageError (OM0901)."""
    try:
        return file.expanduser().read_text().strip()
    except (OSError, ValueError) as error:
        why = f"the token in {file} cannot be read: {getattr(error, 'strerror', None) or error}"
        raise _unusable(asked_by or file, why) from None


def _number(path: Path, where: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 2**31:
        raise _unusable(path, f"{where} is not a whole number from 0: {value!r}")
    return value


def _known(path: Path, entry: Mapping[str, Any], keys: tuple[str, ...], where: str) -> None:
    for key in entry:
        if key not in keys:
            near = closest(key, keys)
            raise _unusable(
                path, f"{where} has no key {key!r}" + (f"; did you mean {near!r}?" if near else "")
            )


def _unusable(path: Path, why: str) -> UsageError:
    return UsageError(
        "OM0901",
        f"the mix of calls cannot be used: {why}",
        where=str(path),
        help="docs/stress.md shows a mix and says what each key means",
    )
