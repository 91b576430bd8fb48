"""A server in this process, asked as a client of the reference servers would ask it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
from mcp import Client
from mcp.types import CallToolResult

from omnimind.servers import ServerContext, build


class Session:
    """A server of its own, asked one call at a time."""

    def __init__(self, name: str, state: Path, args: list[str]) -> None:
        self.server = build(ServerContext(name, state, args))

    def ask(self, work: Callable[[Client], Any]) -> Any:
        async def run() -> Any:
            async with Client(self.server) as client:
                return await work(client)

        return anyio.run(run)

    def call(self, tool: str, **arguments: Any) -> CallToolResult:
        result: CallToolResult = self.ask(lambda client: client.call_tool(tool, arguments))
        return result

    def text(self, tool: str, **arguments: Any) -> str:
        """The text of a call that succeeds."""
        result = self.call(tool, **arguments)
        assert not result.is_error, result.content
        return str(result.content[0].text)  # type: ignore[union-attr]

    def data(self, tool: str, **arguments: Any) -> Any:
        """The structured content of a call that succeeds; a text-only client can read the same."""
        result = self.call(tool, **arguments)
        assert not result.is_error, result.content
        return result.structured_content

    def problem(self, tool: str, **arguments: Any) -> str:
        """The text of a call that fails."""
        result = self.call(tool, **arguments)
        assert result.is_error, result.content
        return str(result.content[0].text)  # type: ignore[union-attr]

    def json(self, tool: str, **arguments: Any) -> Any:
        return json.loads(self.text(tool, **arguments))
