"""The built-in MCP servers, and the worker that runs one of them.

Each server is a folder: plain domain modules that know no MCP, and a thin `server.py` whose
`build(context)` returns the SDK server. Importing this package is cheap, because the orchestrator's
helpers do it; the SDK costs about a second and is imported by `preload` (once, in the zygote) or by the
worker itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from mcp.server import MCPServer

__all__ = ["ServerContext", "build", "names", "preload"]


@dataclass(frozen=True, slots=True)
class ServerContext:
    """What a server is told when it is built."""

    name: str
    state_dir: Path
    args: list[str]


def names() -> tuple[str, ...]:
    """The servers that can be built, in the order of the catalogue."""
    from omnimind import catalog

    return tuple(builtin.name for builtin in catalog.BUILTINS)


def build(context: ServerContext) -> MCPServer:
    """The SDK server of that name; an alias will do. Raises KeyError for a name that is not built in."""
    import importlib

    from omnimind import catalog

    name = catalog.canonical(context.name)
    if name not in names():
        raise KeyError(f"no server is called {context.name!r}; there are {', '.join(names())}")
    module = importlib.import_module(f"omnimind.servers.{name}.server")
    server: MCPServer = module.build(context)
    return server


def preload() -> None:
    """Import all that a worker needs, so that a forked one starts in milliseconds. Starts no thread."""
    import contextlib
    import importlib

    importlib.import_module("omnimind.servers.worker")
    importlib.import_module("omnimind.servers.pulse")
    for name in names():
        importlib.import_module(f"omnimind.servers.{name}.server")
    # What is otherwise imported late, when a server is built and its loop begins to run.
    importlib.import_module("anyio._backends._asyncio")
    with contextlib.suppress(ImportError):
        importlib.import_module("rich.logging")
        importlib.import_module("rich.console")
