"""Asks a fenced logging server in this process: `python journal_asker.py STATE '[["tool", {...}], ...]'`.

For machines of tests, where it is run with the journal that is there. Prints an object of JSON for each call. An
argument `$cursor` or `$id` is that of the call before.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import anyio
from mcp import Client
from mcp.server import MCPServer

from omnimind.servers import ServerContext, build, sandbox


async def ask(server: MCPServer[Any], calls: list[tuple[str, dict[str, Any]]]) -> None:
    last: dict[str, Any] = {}
    async with Client(server) as client:
        for tool, arguments in calls:
            placed = {
                name: last.get(value, value) if isinstance(value, str) else value
                for name, value in arguments.items()
            }
            result = await client.call_tool(tool, placed)
            found = result.structured_content or {}
            records = found.get("records") or [{}]
            last = {"$cursor": found.get("cursor"), "$id": records[-1].get("id")}
            texts = [getattr(block, "text", "") for block in result.content]
            print(json.dumps({"error": result.is_error, "text": texts, "data": result.structured_content}))


def main() -> None:
    state = Path(sys.argv[1])
    state.mkdir(exist_ok=True)
    server = build(ServerContext("logging", state, []))
    sandbox.confine("logging", state, [])
    anyio.run(ask, server, json.loads(sys.argv[2]))


if __name__ == "__main__":
    main()
