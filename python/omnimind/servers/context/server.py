"""The MCP face of the context server: what agents keep on four levels and take back within a budget of tokens.

Every tool works on the entries of the calling principal alone. `context://index` lists them and
`context://entry/{id}` is one; who subscribed to them is told of changes.
"""

from __future__ import annotations

import sqlite3
from typing import Any, Final

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ResourceError

from omnimind.compression import handles
from omnimind.servers import ServerContext
from omnimind.servers.changes import Changes
from omnimind.servers.context import entries, limits, originals, store, texts, wire
from omnimind.servers.context.keeping_tools import add_keeping_tools
from omnimind.servers.context.originals import Originals
from omnimind.servers.context.retrieval_tools import add_retrieval_tools, whole_text
from omnimind.servers.context.schema import MIGRATIONS
from omnimind.servers.context.session_tools import add_session_tools
from omnimind.servers.context.shelf import ENTRY_URI, INDEX_URI, Shelf
from omnimind.servers.context.snapshot_tools import add_snapshot_tools
from omnimind.servers.database import Databases
from omnimind.servers.depends import FILES, rests_on
from omnimind.servers.problem import Problem
from omnimind.servers.tools import Toolbox, in_thread, new_server
from omnimind.servers.worker import lowlevel

_CAPS: Final = ("--working-tokens", "--session-tokens")
_SMALLEST_CAP: Final = 100
_LARGEST_CAP: Final = 10_000_000


def build(context: ServerContext) -> MCPServer:
    """The context server on the state folder's `db/context`."""
    changes = Changes()
    databases = Databases(context.state_dir / "db" / "context", MIGRATIONS)
    shelf = Shelf(databases, caps_of(context.args), changes)
    box = Toolbox()
    add_keeping_tools(box, shelf)
    kept = Originals(context.state_dir)
    add_retrieval_tools(box, shelf, kept)
    add_session_tools(box, shelf)
    add_snapshot_tools(box, shelf)
    server = new_server(
        context,
        box,
        title="Context",
        instructions=(
            "Keeps texts on four levels: working (small, now), session, project, archive (compressed at rest). "
            "store_context keeps one, get_context gives back what fits a budget of tokens, snapshot_context and "
            "restore_context go back in time. What a full level pushes out goes on to the next and is not lost."
        ),
    )
    _add_resources(server, shelf)
    _add_originals(server, shelf, kept)
    changes.serve_on(lowlevel(server))
    return server


def caps_of(args: list[str]) -> limits.Caps:
    """The caps that `--working-tokens N` and `--session-tokens N` set. Raises ValueError."""
    found: dict[str, int] = {}
    words = [word for argument in args for word in argument.split("=", 1)]
    for name, value in zip(words[::2], [*words[1::2], ""], strict=False):
        if name not in _CAPS:
            raise ValueError(f"the context server takes {' and '.join(_CAPS)}, not {name!r}")
        if not value.isdecimal() or not _SMALLEST_CAP <= int(value) <= _LARGEST_CAP:
            raise ValueError(
                f"{name} takes a number of {_SMALLEST_CAP:,} to {_LARGEST_CAP:,} tokens, not {value!r}"
            )
        found[name] = int(value)
    default = limits.Caps()
    return limits.Caps(found.get(_CAPS[0], default.working), found.get(_CAPS[1], default.session))


def _add_resources(server: MCPServer, shelf: Shelf) -> None:
    @server.resource(
        INDEX_URI,
        name="context-index",
        title="Context index",
        description="The latest entries of all levels, without their texts",
        mime_type="application/json",
    )
    async def index() -> str:
        return await _said(shelf, _index)

    @server.resource(
        ENTRY_URI,
        name="context-entry",
        title="Context entry",
        description="The whole text of one entry, by its id",
        mime_type="text/plain",
    )
    async def entry(id: str) -> str:
        return await _said(shelf, lambda data, _: texts.read(data, entries.find(data, id).handle))


def _add_originals(server: MCPServer, shelf: Shelf, kept: Originals) -> None:
    @server.resource(
        handles.URI + "{hash}{?lines}",
        name="omnimind-original",
        title="Original",
        description="The original of what was cut: all of it, or lines as 3-9, or bytes as B1200-5300",
        mime_type="text/plain",
    )
    async def original(hash: str, lines: str = "") -> str:
        rests_on(FILES)
        try:
            text = await whole_text(shelf, kept, hash)
            return (await in_thread(originals.part, text, lines)).text if lines else text
        except Problem as problem:
            raise ResourceError(str(problem)) from problem


async def _said(shelf: Shelf, work: Any) -> str:
    rests_on(FILES)
    try:
        return str(await shelf.read(work))
    except Problem as problem:
        raise ResourceError(str(problem)) from problem


def _index(data: sqlite3.Connection, _: int) -> str:
    found, total = store.listed(data, None, None, [], limits.PAGE, 0)
    return wire.printed({"entries": [wire.entry(one) for one in found], "total": total})
