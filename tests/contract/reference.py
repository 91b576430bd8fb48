"""A reference server and ours side by side, each over stdio on a folder of its own, given the same.

Rule: nothing differs in silence. What is listed and what is answered must be equal, or the difference stands
in a table of the test with its reason; and an entry of such a table that no longer differs fails too.
"""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.types import CallToolResult, Tool

from tests.fleet import ROOT

_NOT_COMPARED = ("$schema", "description", "title", "additionalProperties", "$defs")
_HINTS = ("read_only_hint", "destructive_hint", "idempotent_hint", "open_world_hint")


@dataclass(frozen=True)
class Side:
    """One of the two servers, connected, with the folder it works on."""

    client: Client
    folder: Path

    async def tools(self) -> dict[str, Tool]:
        return {tool.name: tool for tool in (await self.client.list_tools()).tools}


@dataclass(frozen=True)
class Pair:
    """Theirs and ours."""

    theirs: Side
    ours: Side


@asynccontextmanager
async def side_by_side(
    theirs: Sequence[Sequence[str]], name: str, base: Path, **environment: str
) -> AsyncIterator[Pair]:
    """Start both; `theirs` is the command and the arguments that both take. `{folder}` is each one's own."""
    command, arguments = theirs
    folders = {which: base / which / "folder" for which in ("theirs", "ours")}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    ours = [sys.executable, "-m", "omnimind.servers", name, "--stdio", "--state", str(base / "state"), "--"]
    async with AsyncExitStack() as stack:
        sides = []
        for which, words in (("theirs", command), ("ours", ours)):
            placed = [word.replace("{folder}", str(folders[which])) for word in (*words, *arguments)]
            added = {
                key: value.replace("{folder}", str(folders[which])) for key, value in environment.items()
            }
            server = StdioServerParameters(
                command=placed[0],
                args=placed[1:],
                env={"TZ": "UTC", "PYTHONPATH": str(ROOT / "python"), **added},
            )
            client = await stack.enter_async_context(Client(stdio_client(server)))
            sides.append(Side(client, folders[which]))
        yield Pair(*sides)


async def differences_listed(pair: Pair) -> set[str]:
    """`tool: what` for everything of theirs that ours does not list alike, and for every parameter of ours more."""
    theirs, ours = await pair.theirs.tools(), await pair.ours.tools()
    missing = {f"{name}: missing" for name in theirs.keys() - ours.keys()}
    both = theirs.keys() & ours.keys()
    return missing | {f"{name}: {what}" for name in both for what in _different(theirs[name], ours[name])}


def _different(theirs: Tool, ours: Tool) -> Iterator[str]:
    if theirs.title != ours.title:
        yield "title"
    for hint in _HINTS:
        said = getattr(theirs.annotations, hint)
        if said is not None and getattr(ours.annotations, hint) is not said:
            yield hint.removesuffix("_hint")
    wanted, given = theirs.input_schema, ours.input_schema
    if set(wanted.get("required", [])) != set(given.get("required", [])):
        yield "required"
    for name, schema in wanted["properties"].items():
        if name not in given["properties"]:
            yield f"no {name}"
        elif _plain(schema, wanted) != _plain(given["properties"][name], given):
            yield name
    yield from (f"more: {name}" for name in given["properties"].keys() - wanted["properties"].keys())
    output = ours.output_schema
    if output is None or _plain(theirs.output_schema, theirs.output_schema) != _plain(output, output):
        yield "output"


def _plain(schema: Any, whole: Any) -> Any:
    """What a schema allows, without words, with references resolved."""
    if isinstance(schema, list):
        return [_plain(part, whole) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _plain(whole["$defs"][schema["$ref"].rpartition("/")[2]], whole)
    kept = {key: value for key, value in schema.items() if key not in _NOT_COMPARED}
    plain = {
        key: {name: _plain(part, whole) for name, part in value.items()}
        if key == "properties"
        else _plain(value, whole)
        for key, value in kept.items()
    }
    if isinstance(plain.get("required"), list):
        plain["required"] = sorted(plain["required"])
    return plain


View = Callable[[str], Any]


def as_it_is(text: str) -> Any:
    """Every character counts."""
    return text


def as_json(text: str) -> Any:
    """Ours is printed without spaces."""
    return json.loads(text)


@dataclass(frozen=True)
class Step:
    """One call of both. `differs` is the reason why the answers are not alike; empty where they must be."""

    tool: str
    arguments: Mapping[str, Any]
    differs: str = ""
    view: View = as_it_is


@dataclass
class Answer:
    """An answer without what must differ: the folder's own name, and the words of a refusal."""

    refused: bool
    shown: list[Any] = field(default_factory=list)
    structured: Any = None


async def ask(side: Side, step: Step) -> Answer:
    """Make this call."""
    result = await side.client.call_tool(step.tool, _with_folder(step.arguments, side.folder))
    return _answer(result, step.view, str(side.folder))


def _with_folder(value: Any, folder: Path) -> Any:
    return json.loads(json.dumps(value).replace("{folder}", str(folder)))


def _answer(result: CallToolResult, view: View, folder: str) -> Answer:
    if result.is_error:
        return Answer(True)
    shown: list[Any] = []
    for block in result.content:
        text = getattr(block, "text", None)
        if text is None:
            shown.append(json.loads(block.model_dump_json(exclude_none=True).replace(folder, "{folder}")))
        else:
            shown.append(view(text.replace(folder, "{folder}")))
    structured = json.loads(json.dumps(result.structured_content).replace(folder, "{folder}"))
    content = structured.get("content") if isinstance(structured, dict) else None
    return Answer(False, shown, view(content) if isinstance(content, str) else structured)


async def unexpected(pair: Pair, steps: Sequence[Step]) -> list[str]:
    """Make all calls, in their order, on both; what differs without a reason, or has a reason and does not differ."""
    wrong: list[str] = []
    for step in steps:
        theirs, ours = await ask(pair.theirs, step), await ask(pair.ours, step)
        if (theirs != ours) != bool(step.differs):
            wrong.append(
                f"{step.tool} {json.dumps(dict(step.arguments))}: "
                + (
                    f"no longer differs ({step.differs})"
                    if step.differs
                    else f"\n  theirs {theirs}\n  ours   {ours}"
                )
            )
    return wrong
