"""Visits a server with the Python SDK 1.x and prints what it saw as one JSON object.

Usage: python python_v1.py URL PREFIX
"""

from __future__ import annotations

import json
import sys

import anyio
from mcp import ClientSession, McpError
from mcp.client.streamable_http import streamable_http_client
from mcp.types import ElicitResult


async def answer(context, params):
    return ElicitResult(action="accept", content={"username": "ada", "email": "ada@example.com"})


def text(result):
    return "".join(getattr(part, "text", part.type) for part in result.content)


async def visit(url, prefix):
    progress = []

    async def progressed(done, total, message):
        progress.append([done, total])

    async with (
        streamable_http_client(url) as (read, write, _),
        ClientSession(read, write, elicitation_callback=answer) as session,
    ):
        version = (await session.initialize()).protocolVersion
        tools = [tool.name for tool in (await session.list_tools()).tools]
        counted = await session.call_tool(
            f"{prefix}test_tool_with_progress", {}, progress_callback=progressed
        )
        refused = 0
        try:
            await session.call_tool(f"{prefix}no_such_tool", {})
        except McpError as error:
            refused = error.error.code
        return {
            "version": version,
            "tools": tools,
            "simple": text(await session.call_tool(f"{prefix}test_simple_text", {})),
            "counted": text(counted),
            "progress": progress,
            "failed": (await session.call_tool(f"{prefix}test_error_handling", {})).isError,
            "asked": text(await session.call_tool(f"{prefix}test_elicitation", {"message": "Who are you?"})),
            "refused": refused,
        }


if __name__ == "__main__":
    print(json.dumps(anyio.run(visit, *sys.argv[1:])))
