"""An `echo` server on the official Python SDK, over streamable HTTP or stdio: the real server behind the contenders.

    python benches/peers/sdk_server.py --port 0 | --stdio [--starts FILE]

Over HTTP it is stateless and answers with JSON, the SDK's fastest legacy mode. Beside `/mcp` it has `/requests`, which
says how many requests came so far: a proxy that opens a client for each call is seen there. Over stdio it adds a byte
to FILE when it starts, so that a bridge that starts a child for each call is seen as well.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import uvicorn
from mcp.server.mcpserver import MCPServer
from starlette.requests import Request
from starlette.responses import JSONResponse

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]


def server() -> MCPServer:
    made = MCPServer("echo", log_level="ERROR")

    @made.tool(structured_output=False)
    async def echo(text: str) -> str:
        """Returns its text."""
        return text

    return made


def over_http(port: int) -> None:
    """Serves until it is ended; the first line of output is JSON that says where."""
    held = socket.create_server(("127.0.0.1", port))
    host, port = held.getsockname()
    came = 0
    mcp = server()

    @mcp.custom_route("/requests", methods=["GET"])
    async def requests(_: Request) -> JSONResponse:
        return JSONResponse({"requests": came})

    app = mcp.streamable_http_app(stateless_http=True, json_response=True)

    async def counting(scope: Scope, receive: Any, send: Any) -> None:
        nonlocal came
        came += scope["type"] == "http" and scope["path"] != "/requests"
        await app(scope, receive, send)

    print(json.dumps({"pid": os.getpid(), "port": port, "url": f"http://{host}:{port}/mcp"}), flush=True)
    running = uvicorn.Server(uvicorn.Config(counting, log_level="error", access_log=False))
    asyncio.run(running.serve(sockets=[held]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    way = parser.add_mutually_exclusive_group(required=True)
    way.add_argument("--port", type=int)
    way.add_argument("--stdio", action="store_true")
    parser.add_argument("--starts", type=Path)
    options = parser.parse_args()
    if options.starts:
        with options.starts.open("ab") as file:
            file.write(b".")
    if options.stdio:
        server().run("stdio")
    else:
        over_http(options.port)


if __name__ == "__main__":
    main()
