"""An ASGI application for hypercorn: a modern MCP server that knows over which connections it is asked.

Its tools: `meet` answers when so many calls are there, `seen` tells over how many connections they came.
Run in the toolbox's own environment, so nothing is imported but the standard library.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

VERSION = "2026-07-28"
TOOLS = [
    {"name": "meet", "inputSchema": {"type": "object", "properties": {"others": {"type": "integer"}}}},
    {"name": "seen", "inputSchema": {"type": "object"}},
]

Message = MutableMapping[str, Any]

ports: set[int] = set()
versions: set[str] = set()
there = 0
all_there = asyncio.Event()


async def app(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    if scope["type"] == "lifespan":
        await _live(receive, send)
        return
    ports.add(scope["client"][1])
    versions.add(scope["http_version"])
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    asked = json.loads(body)
    if "id" not in asked:
        await _answer(send, 202, b"")
        return
    result = {"resultType": "complete", **await _result(asked)}
    await _answer(send, 200, json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}).encode())


async def _result(asked: dict[str, Any]) -> dict[str, Any]:
    match asked["method"], asked.get("params", {}):
        case "server/discover", _:
            return {
                "supportedVersions": [VERSION],
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "http2", "version": "1"},
                "ttlMs": 0,
                "cacheScope": "public",
            }
        case "tools/list", _:
            return {"tools": TOOLS, "ttlMs": 0, "cacheScope": "public"}
        case "tools/call", {"name": "meet", "arguments": {"others": others}}:
            return await _meet(others)
        case "tools/call", _:
            return _text(json.dumps({"connections": len(ports), "versions": sorted(versions)}))
    return {}


async def _meet(others: int) -> dict[str, Any]:
    global there
    there += 1
    if there > others:
        all_there.set()
    await all_there.wait()
    return _text("met")


def _text(text: str) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": text}]}


async def _answer(send: Callable[[Message], Awaitable[None]], status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _live(
    receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
