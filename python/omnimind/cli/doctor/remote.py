"""A server that the fleet does not start: does somebody answer there, and how fast."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
from urllib.parse import urlsplit

import anyio.to_thread

from omnimind.cli.doctor.finding import Finding, fail, ok, warn
from omnimind.linux import unixpath
from omnimind.settings import ServerSettings

_DISCOVER = {"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": {}}
_TOO_MANY = 429


async def ask(server: ServerSettings, patience_s: float) -> Finding:
    """One question to a server that runs elsewhere."""
    return await anyio.to_thread.run_sync(_ask, server, min(patience_s, 10.0))


def _ask(server: ServerSettings, patience_s: float) -> Finding:
    check = f"reach {server.name}"
    began_s = time.monotonic()
    try:
        status = _post(server, patience_s) if server.path is None else _connect(server.path, patience_s)
    except (OSError, http.client.HTTPException) as fault:
        return fail(check, f"{server.url}: {fault or type(fault).__name__}", "start it, or correct its url")
    took_s = time.monotonic() - began_s
    detail = f"{server.url} answered after {took_s:.2f} s" + (f" (HTTP {status})" if status else "")
    if status in (401, 403):
        return fail(check, detail, "give it credentials: headers of its entry in the configuration")
    if status == http.client.NOT_FOUND:
        return fail(check, detail, "correct the path of its url")
    if status >= http.client.INTERNAL_SERVER_ERROR or status == _TOO_MANY:
        return warn(check, detail, "see that server's own log")
    return ok(check, detail)


def _connect(path: str, patience_s: float) -> int:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller, unixpath.address(path) as short:
        caller.settimeout(patience_s)
        caller.connect(short)
    return 0


def _post(server: ServerSettings, patience_s: float) -> int:
    url = urlsplit(server.url or "")
    host = url.hostname or ""
    connection = (
        http.client.HTTPSConnection(host, url.port, timeout=patience_s, context=ssl.create_default_context())
        if url.scheme == "https"
        else http.client.HTTPConnection(host, url.port, timeout=patience_s)
    )
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": "server/discover",
        **server.headers,
    }
    try:
        target = (url.path or "/") + (f"?{url.query}" if url.query else "")
        connection.request("POST", target, json.dumps(_DISCOVER), headers)
        return connection.getresponse().status
    finally:
        connection.close()
