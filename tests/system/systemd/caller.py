"""A client inside the machine: `python caller.py WHAT SERVER [...]` prints one JSON value.

call SERVER ERA           one tool call at the server's own port, era modern or legacy
unix SERVER               one tool call over the server's Unix socket, with the worker protocol and its key
steady SERVER SECONDS     calls one after the other, each on a connection of its own: [answered, failed]
"""

from __future__ import annotations

import json
import os
import socket
import sys
import urllib.request
from pathlib import Path
from typing import Any

from omnimind import catalog, settings, tokens
from omnimind.cli.mcp_client import Client
from omnimind.systemd import rendezvous

WAIT_S = 30
OLD = "2025-11-25"
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "thinking": (
        "sequentialthinking",
        {"thought": "is it up?", "nextThoughtNeeded": False, "thoughtNumber": 1, "totalThoughts": 1},
    ),
    "memory": ("read_graph", {}),
    "filesystem": ("list_allowed_directories", {}),
    "context": ("list_context", {}),
    "git": ("git_list_repositories", {}),
    "python": ("execute", {"code": "6 * 7", "engine": "jail"}),
    "sqlite": ("list_databases", {}),
    "system_info": ("memory_info", {}),
    "logging": ("log_sources", {}),
}


def url(server: str) -> str:
    """Its own port, or the gateway's for `gateway/NAME`."""
    if server.startswith("gateway/"):
        return f"http://127.0.0.1:{catalog.GATEWAY_PORT}/servers/{server.removeprefix('gateway/')}/mcp"
    builtin = catalog.find(server)
    assert builtin is not None
    return f"http://127.0.0.1:{builtin.port}/mcp"


def modern(server: str) -> dict[str, Any]:
    name, arguments = CALLS[server.removeprefix("gateway/")]
    with Client(url(server), tokens.local_token(settings.state_dir()), WAIT_S) as client:
        return client.call({"name": name}, arguments)


def legacy(server: str) -> dict[str, Any]:
    name, arguments = CALLS[server.removeprefix("gateway/")]
    session: dict[str, str] = {}
    hello = {"protocolVersion": OLD, "capabilities": {}, "clientInfo": {"name": "caller", "version": "1"}}
    post(server, session, {"id": 1, "method": "initialize", "params": hello})
    post(server, session, {"method": "notifications/initialized"})
    call = {"id": 2, "method": "tools/call", "params": {"name": name, "arguments": arguments}}
    return post(server, session, call)["result"]


def post(server: str, session: dict[str, str], message: dict[str, Any]) -> Any:
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "Authorization": f"Bearer {tokens.local_token(settings.state_dir())}",
        "MCP-Protocol-Version": OLD,
        **session,
    }
    body = json.dumps({"jsonrpc": "2.0", **message}).encode()
    with urllib.request.urlopen(urllib.request.Request(url(server), body, headers), timeout=WAIT_S) as answer:
        if answer.headers.get("Mcp-Session-Id"):
            session["Mcp-Session-Id"] = answer.headers["Mcp-Session-Id"]
        text = answer.read().decode()
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith(("data: {", "{"))]
    return json.loads(lines[-1]) if lines else None


def over_unix(server: str) -> dict[str, Any]:
    state = settings.state_dir()
    ours = {"omnimind/principal": "local"}
    name, arguments = CALLS[server.removeprefix("gateway/")]
    hello = {"protocolVersion": OLD, "capabilities": {}, "clientInfo": {"name": "caller", "version": "1"}}
    messages = [
        {"id": 1, "method": "initialize", "params": hello},
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/call", "params": {"name": name, "arguments": arguments, "_meta": ours}},
    ]
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(WAIT_S)
        link.connect(str(rendezvous.socket_path(server, state, os.environ["XDG_RUNTIME_DIR"])))
        lines = [rendezvous.key(state, server).hex()]
        lines += [json.dumps({"jsonrpc": "2.0", **message}) for message in messages]
        link.sendall("".join(f"{line}\n" for line in lines).encode())
        for line in link.makefile():
            if json.loads(line).get("id") == 2:
                return json.loads(line)["result"]
    raise SystemExit("the server hung up")


def steady(server: str) -> int:
    failed = 0
    with Path("steady").open("a") as answered:
        while not Path("steady.end").exists():
            try:
                modern(server)
                print(end=".", file=answered, flush=True)
            except Exception as error:
                print(error, file=sys.stderr)
                failed += 1
    return failed


def main(what: str, server: str, *rest: str) -> None:
    if what == "call":
        print(json.dumps(legacy(server) if rest == ("legacy",) else modern(server)))
    elif what == "unix":
        print(json.dumps(over_unix(server)))
    else:
        print(steady(server))


if __name__ == "__main__":
    main(*sys.argv[1:])
