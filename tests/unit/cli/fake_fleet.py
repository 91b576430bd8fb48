"""A fleet as commands see it: `run.json`, a control socket, an MCP endpoint; all answers are the test's."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import msgpack

from omnimind.linux import proc

STATUS = {
    "ok": True,
    "gateway": {
        "state": "up",
        "pid": 9,
        "restarts": 1,
        "endpoint": "http://127.0.0.1:4320/mcp",
        "reason": None,
    },
    "servers": [
        {
            "name": "memory",
            "state": "ready",
            "tier": "critical",
            "kind": "worker",
            "pid": os.getpid(),
            "restarts": 0,
            "port": 4321,
        },
        {
            "name": "thinking",
            "state": "parked",
            "tier": "critical",
            "kind": "worker",
            "restarts": 3,
            "reason": "3 crashes; mend it",
            "retry_after_s": 41.2,
            "last_stderr": "ImportError: no\x1b[31m",
        },
    ],
}


@dataclass
class FakeFleet:
    """What was asked of it, and what it answers."""

    state: Path
    endpoint: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    requests: list[tuple[dict[str, str], dict[str, Any]]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    answer: Callable[[dict[str, Any]], Any] = lambda request: (
        STATUS if request["cmd"] == "status" else {"ok": True}
    )
    respond: Callable[[dict[str, Any]], tuple[int, str, bytes]] = lambda body: (500, "text/plain", b"")

    def hold(self) -> None:
        """Take the state folder, as a guard does."""
        own = proc.read(os.getpid())
        assert own is not None
        (self.state / "lock").write_text(f"{own.pid} {own.start_time}\n")

    def write_record(self, **changes: Any) -> None:
        own = proc.read(os.getpid())
        assert own is not None
        record = {
            "pid": own.pid,
            "start_time": own.start_time,
            "boot_id": proc.boot_id(),
            "version": "0.1.0",
            "endpoints": {"gateway": self.endpoint, "servers": {"memory": "http://127.0.0.1:4321/mcp"}},
            "token_file": str(self.state / "token"),
        }
        (self.state / "run.json").write_text(json.dumps(record | changes))


def result(body: dict[str, Any], value: dict[str, Any]) -> tuple[int, str, bytes]:
    message = {"jsonrpc": "2.0", "id": body["id"], "result": {"resultType": "complete", **value}}
    return 200, "application/json", json.dumps(message).encode()


def serve(listener: socket.socket, fake: FakeFleet) -> None:
    while True:
        try:
            link, _ = listener.accept()
        except OSError:
            return
        with link, link.makefile("rb") as file:
            head = file.read(4)
            if not head:
                continue  # somebody only looked whether anybody listens
            size = int.from_bytes(head, "big")
            request = msgpack.unpackb(file.read(size))
            fake.asked.append(request)
            answer = fake.answer(request)
            body = answer if isinstance(answer, bytes) else msgpack.packb(answer)
            link.sendall(len(body).to_bytes(4, "big") + body)


def handler(fake: FakeFleet) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            fake.paths.append(self.path)
            fake.requests.append(({key.lower(): value for key, value in self.headers.items()}, body))
            status, kind, content = fake.respond(body)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler
