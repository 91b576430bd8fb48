"""A built-in server as a process of its own, with all its examples called once and every change it made noted."""

from __future__ import annotations

import contextlib
import sqlite3
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import anyio
from fixtures.examples import Examples, examples_of, structured
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.types import CallToolResult, Tool

ROOT = Path(__file__).resolve().parents[3]
HANG_S = 50.0
_JOURNALS = ("-wal", "-shm", "-journal")


@dataclass
class Seen:
    """What one server listed, and what came of its examples."""

    examples: Examples
    tools: dict[str, Tool] = field(default_factory=dict)
    results: list[tuple[str, CallToolResult]] = field(default_factory=list)
    changed_by: dict[str, list[str]] = field(default_factory=dict)
    """By tool, what of folder and state was different after its call."""
    refusals: dict[str, list[str]] = field(default_factory=dict)
    """By tool, what was different after a call that it should refuse; `taken` if it was not refused."""


def look_at(name: str, folder: Path) -> Seen:
    """Start the server on fresh folders and call all its good examples in order."""
    root, state = folder / "root", folder / "state"
    root.mkdir()
    state.mkdir(mode=0o700)
    return anyio.run(_look, Seen(examples_of(name, root)), state)


async def _look(seen: Seen, state: Path) -> Seen:
    command = ["-m", "omnimind.servers", seen.examples.name, "--stdio", "--state", str(state), "--"]
    server = StdioServerParameters(
        command=sys.executable,
        args=[*command, *seen.examples.args],
        env={"PYTHONPATH": str(ROOT / "python")},
        cwd=state,
    )
    given: dict[str, Any] = {}
    with anyio.fail_after(HANG_S):
        async with Client(stdio_client(server)) as client:
            seen.tools = {tool.name: tool for tool in (await client.list_tools()).tools}
            for example in seen.examples.examples:
                before = _snapshot(seen.examples.root, state)
                result = await client.call_tool(example.tool, seen.examples.good(example, given))
                given[example.tool] = structured(result)
                seen.results.append((example.tool, result))
                after = _snapshot(seen.examples.root, state)
                seen.changed_by.setdefault(example.tool, []).extend(_differences(before, after))
                wrong = seen.examples.bad(example)
                if wrong is not None:
                    refused = (await client.call_tool(example.tool, wrong)).is_error
                    changes = _differences(after, _snapshot(seen.examples.root, state))
                    seen.refusals.setdefault(example.tool, []).extend(changes if refused else ["taken"])
    return seen


def _snapshot(*folders: Path) -> dict[str, str]:
    """Every file by its content; a database by its rows, because its file may be tidied while it is read.

    What lies in a folder called `cache` decides about time only, so filling it is no change; what is called `gone-`
    something was thrown away before and is being removed beside the calls.
    """
    while True:
        with contextlib.suppress(FileNotFoundError):  # removed while it was looked at
            return {
                str(path): _content(path)
                for folder in folders
                for path in folder.rglob("*")
                if not path.name.endswith(_JOURNALS) and not _passes(path.relative_to(folder).parts)
            }


def _passes(parts: tuple[str, ...]) -> bool:
    return "cache" in parts or any(part.startswith("gone-") for part in parts)


def _content(path: Path) -> str:
    if path.is_symlink() or not path.is_file():
        return str(path.readlink()) if path.is_symlink() else "no file"
    content = path.read_bytes()
    if content.startswith(b"SQLite format 3\0"):
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as data:
            content = "\n".join(data.iterdump()).encode()
    return sha256(content).hexdigest()


def _differences(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
