"""An `echo` server on the official Python SDK, over streamable HTTP or stdio: the real server behind the contenders.

    python benches/peers/sdk_server.py --port 0 | --stdio [--seen FILE]

Over HTTP it is stateless and answers with JSON, the SDK's fastest legacy mode. Beside `/mcp` it has `/seen`, which says
how many requests came so far, and how many of them were `initialize`: a proxy that opens a client for each call is
seen there. Over stdio it adds a letter to FILE when it starts and for what it reads (`STARTED`, `READ`, `OPENED`), so
that a bridge that starts a child for each call is seen as well.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any, Final

import anyio
import uvicorn
from mcp.server.mcpserver import MCPServer
from mcp.server.stdio import stdio_server
from starlette.responses import JSONResponse

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]
STARTED: Final = "s"
READ: Final = "r"
OPENED: Final = "o"
INITIALIZE: Final = b'"initialize"'
"""Nothing else that a client of these benchmarks says has this word."""


def server() -> MCPServer:
    made = MCPServer("echo", log_level="ERROR")

    @made.tool(structured_output=False)
    async def echo(text: str) -> str:
        """Returns its text."""
        return text

    return made


def over_http(port: int) -> None:
    """Serves until it is ended; the first line of output is JSON that says where."""
    # With the protocol named, or asyncio does not take it for TCP, and leaves answers waiting for acknowledgements.
    held = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", port))
    held.listen(1024)
    host, port = held.getsockname()
    app = server().streamable_http_app(stateless_http=True, json_response=True)
    print(json.dumps({"pid": os.getpid(), "port": port, "url": f"http://{host}:{port}/mcp"}), flush=True)
    config = uvicorn.Config(counted(app), log_level="error", access_log=False)
    asyncio.run(uvicorn.Server(config).serve(sockets=[held]))


def counted(app: App) -> App:
    """The app, and how often it was asked."""
    requests = openings = 0

    async def seen(scope: Scope, receive: Any, send: Any) -> None:
        nonlocal requests, openings
        if scope["type"] != "http":
            return await app(scope, receive, send)
        if scope["path"] == "/seen":
            return await JSONResponse({"requests": requests, "openings": openings})(scope, receive, send)
        requests += 1

        async def heard() -> Any:
            nonlocal openings
            message = await receive()
            openings += INITIALIZE in message.get("body", b"")
            return message

        await app(scope, heard, send)

    return seen


class Counting(io.BufferedReader):
    """Standard input that writes down what is read of it."""

    def __init__(self, raw: io.RawIOBase, seen: Path) -> None:
        super().__init__(raw)
        self._seen = seen.open("a", buffering=1)
        self._seen.write(STARTED)
        self._seen.flush()

    def read1(self, size: int = -1, /) -> bytes:
        read = super().read1(size)
        self._seen.write(OPENED * read.count(INITIALIZE) + READ * read.count(b"\n"))
        self._seen.flush()
        return read


async def over_stdio(seen: Path) -> None:
    """Serves until its input ends."""
    read = io.TextIOWrapper(Counting(io.FileIO(0, closefd=False), seen), encoding="utf-8", errors="replace")
    made = server()._lowlevel_server  # the SDK's own way to say which input has no public name
    async with stdio_server(stdin=anyio.wrap_file(read)) as (came, said):
        await made.run(came, said, made.create_initialization_options())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    way = parser.add_mutually_exclusive_group(required=True)
    way.add_argument("--port", type=int)
    way.add_argument("--stdio", action="store_true")
    parser.add_argument("--seen", type=Path, default=Path(os.devnull))
    options = parser.parse_args()
    if options.stdio:
        anyio.run(over_stdio, options.seen)
    else:
        over_http(options.port)


if __name__ == "__main__":
    main()
