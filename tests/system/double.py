"""Fleets whose gateway is a double, so that guard and orchestrator can be watched from both sides."""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import omnimind
from omnimind.cli import fleet as control
from omnimind.linux import proc
from tests.fleet import Fleet

PYTHON_PATH = Path(omnimind.__file__).parents[1]
"""Where omnimind is imported from; what a fleet's processes need in PYTHONPATH."""

FIXTURES = Path(__file__).with_name("fleet_fixtures")
TINY = FIXTURES / "tiny_server.py"
WHOAMI = {"jsonrpc": "2.0", "id": 4_294_967_297, "method": "tiny/whoami"}


def tiny(*arguments: str, **keys: Any) -> dict[str, Any]:
    """The entry of a tiny stdio server."""
    return {"command": sys.executable, "args": ["-S", str(TINY), *arguments], **keys}


def doubled(servers: dict[str, Any], *arguments: str, **sections: Any) -> Fleet:
    """A fleet with the gateway double, not started yet."""
    environment = {"PYTHONPATH": os.pathsep.join([str(PYTHON_PATH), str(FIXTURES)])}
    return Fleet(
        servers,
        arguments=("--gateway-module", "fake_gateway", *arguments),
        environment=environment,
        **sections,
    )


def ask(fleet: Fleet, request: dict[str, Any], port: int | None = None) -> dict[str, Any]:
    """One request to the gateway double."""
    url = urlsplit(fleet.base)
    with socket.create_connection((url.hostname or "", port or url.port or 0), timeout=30) as end:
        end.sendall(json.dumps(request).encode() + b"\n")
        with end.makefile("rb") as stream:
            answer: dict[str, Any] = json.loads(stream.readline())
            return answer


def whoami(fleet: Fleet, server: str, **want: Any) -> dict[str, Any]:
    """What a tiny server says of itself, asked through the double."""
    call = {"do": "call", "server": server, "principal": "local", "era": "any", "message": WHOAMI}
    return ask(fleet, call | want)


def status(fleet: Fleet) -> dict[str, Any]:
    return control.ask(fleet.state, {"cmd": "status"})


def row(fleet: Fleet, server: str) -> dict[str, Any]:
    found: dict[str, Any] = next(r for r in status(fleet)["servers"] if r["name"] == server)
    return found


def is_ready(fleet: Fleet, server: str, not_pid: int | None = None) -> bool:
    """True if the server is ready, in another process than `not_pid`."""
    found = row(fleet, server)
    return found["state"] == "ready" and found["pid"] != not_pid


def tree(pid: int) -> set[tuple[int, int]]:
    """All processes below `pid`, by pid and start time."""
    return {(p.pid, p.start_time) for p in proc.descendants(pid, proc.scan()) if p.state != "Z"}


def living(processes: set[tuple[int, int]]) -> set[tuple[int, int]]:
    """Those that still run."""
    return {
        (pid, start)
        for pid, start in processes
        if (found := proc.read(pid)) is not None and found.start_time == start and found.state != "Z"
    }


def identity(pid: int) -> tuple[int, int]:
    """A process by pid and start time."""
    found = proc.read(pid)
    assert found is not None
    return found.pid, found.start_time
