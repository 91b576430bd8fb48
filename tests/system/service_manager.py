"""A launcher that plays systemd: it holds listening sockets, passes them, and hears what a service says.

with Manager(tmp_path) as manager:
    manager.listen("http"), manager.listen("worker", "unix")
    service = manager.start("serve", "thinking", watchdog_s=1)
    manager.heard("READY")
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.fleet import ROOT, _home_of_omnimind, wait_until

READY_S = 40.0
# Puts the passed descriptors where the protocol wants them, says so, and becomes the service.
LAUNCHER = """
import fcntl, os, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # as systemd starts it, however these tests were started
passed, command = [int(word) for word in sys.argv[1].split(",") if word], sys.argv[2:]
high = [fcntl.fcntl(one, fcntl.F_DUPFD, 200) for one in passed]
for place, one in enumerate(high):
    os.dup2(one, 3 + place)
    os.close(one)
if passed:
    os.environ["LISTEN_PID"], os.environ["LISTEN_FDS"] = str(os.getpid()), str(len(passed))
if "WATCHDOG_USEC" in os.environ:
    os.environ["WATCHDOG_PID"] = str(os.getpid())
os.execv(command[0], command)
"""
MODERN = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


class Manager:
    """Sockets, a notification socket, and the services started with them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.runtime = folder / "rt"
        self.runtime.mkdir(mode=0o700)
        self.sockets: dict[str, socket.socket] = {}
        self._said: list[str] = []
        self._services: list[subprocess.Popen[bytes]] = []
        self._notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notified.bind(str(folder / "notify.sock"))
        self._hearing = threading.Thread(target=self._hear, daemon=True)

    # --- what it holds

    def listen(self, name: str, kind: str = "tcp", path: str = "omnimind/thinking.sock") -> socket.socket:
        if kind == "tcp":
            listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        else:
            (self.runtime / path).parent.mkdir(mode=0o700, exist_ok=True)
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(str(self.runtime / path))
            os.chmod(self.runtime / path, 0o600)
            listener.listen(4096)
        self.sockets[name] = listener
        return listener

    # --- services

    def start(
        self,
        *arguments: str,
        module: str = "omnimind",
        names: str | None = None,
        watchdog_s: float = 0.0,
        journal: bool = False,
        passing: bool = True,
        environment: dict[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start `python -m MODULE ARGUMENTS` with all sockets (if `passing`); `names` overrides LISTEN_FDNAMES.

        With `journal` the service is told that its stderr is the journal's.
        """
        passed = [listener.fileno() for listener in self.sockets.values()] if passing else []
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("LISTEN_", "NOTIFY_", "WATCHDOG_", "OMNIMIND_", "JOURNAL_"))
        }
        env = inherited | {
            "PYTHONPATH": f"{_home_of_omnimind()}{os.pathsep}{ROOT}",
            "XDG_RUNTIME_DIR": str(self.runtime),
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "OMNIMIND_STATE": str(self.state),
            "NOTIFY_SOCKET": str(self.folder / "notify.sock"),
        }
        if passed:
            env["LISTEN_FDNAMES"] = ":".join(self.sockets) if names is None else names
        if watchdog_s:
            env["WATCHDOG_USEC"] = str(int(watchdog_s * 1e6))
        command = [sys.executable, "-S", "-c", LAUNCHER, ",".join(map(str, passed))]
        command += [sys.executable, "-m", module, *arguments]
        with (self.folder / f"service{len(self._services)}.log").open("wb") as log:
            if journal:
                stream = os.fstat(log.fileno())
                env["JOURNAL_STREAM"] = f"{stream.st_dev}:{stream.st_ino}"
            service = subprocess.Popen(
                command,
                pass_fds=passed,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=env | (environment or {}),
                start_new_session=True,
            )
        self._services.append(service)
        return service

    def log(self, number: int = -1) -> str:
        """What the service wrote."""
        number = number % len(self._services)
        return (self.folder / f"service{number}.log").read_text()

    # --- what it hears

    def _hear(self) -> None:
        with contextlib.suppress(OSError):
            while message := self._notified.recv(4096).decode():
                self._said += message.split("\n")

    def said(self, name: str) -> list[str]:
        """All values of one name, in order."""
        return [line.partition("=")[2] for line in self._said if line.partition("=")[0] == name]

    def heard(self, name: str, times: int = 1) -> str:
        """Wait until so many have come; the last value."""
        try:
            wait_until(lambda: len(self.said(name)) >= times, READY_S, f"{name} was said")
        except Exception:
            print(self.log())
            raise
        return self.said(name)[-1]

    def ready(self, times: int = 1) -> Endpoint:
        """Wait for READY; the endpoint that STATUS names."""
        self.heard("READY", times)
        found = re.findall(r"http://127\.0\.0\.1:(\d+)/mcp", "\n".join(self.said("STATUS")))
        return Endpoint(int(found[-1]))

    # --- the end

    def __enter__(self) -> Manager:
        self._hearing.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for service in self._services:
            if error is not None:
                print(f"--- exit code {service.poll()}, log:")
            service.kill()
            service.wait()
        if error is not None:
            print("\n".join(self.log(number) for number in range(len(self._services))))
            print(self._said)
        with contextlib.suppress(OSError):
            self._notified.shutdown(socket.SHUT_RDWR)
        self._notified.close()
        for listener in self.sockets.values():
            listener.close()


class Endpoint:
    """An MCP endpoint on loopback, spoken to in either era."""

    def __init__(self, port: int, path: str = "/mcp") -> None:
        self.port = port
        self.path = path
        self.token: str | None = None
        self.session: str | None = None

    def post(
        self, method: str, params: dict[str, Any] | None = None, *, legacy: bool = False, **headers: str
    ) -> tuple[int, dict[str, Any]]:
        """Status and message of the answer."""
        sent = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        params = dict(params or {})
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        if legacy:
            sent |= {"MCP-Protocol-Version": "2025-11-25"} if self.session else {}
            sent |= {"Mcp-Session-Id": self.session} if self.session else {}
        else:
            sent |= {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method}
            sent |= {"Mcp-Name": params["name"]} if "name" in params else {}
            params["_meta"] = MODERN
        message = {"jsonrpc": "2.0", "method": method, "params": params}
        message |= {} if method.startswith("notifications/") else {"id": 1}
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("POST", self.path, json.dumps(message), sent | headers)
            response = connection.getresponse()
            raw = response.read().decode()
        finally:
            connection.close()
        self.session = response.headers["Mcp-Session-Id"] or self.session
        if "text/event-stream" in (response.headers["Content-Type"] or ""):
            events = [json.loads(line[5:]) for line in raw.splitlines() if line.startswith("data:")]
            return response.status, next(event for event in events if "method" not in event)
        return response.status, json.loads(raw) if raw else {}

    def call(self, tool: str, *, legacy: bool = False, **arguments: Any) -> dict[str, Any]:
        """The result of a tool."""
        status, answer = self.post("tools/call", {"name": tool, "arguments": arguments}, legacy=legacy)
        assert status == 200, answer
        result: dict[str, Any] = answer["result"]
        return result

    def initialize(self) -> None:
        """Open a legacy session."""
        hello = {"protocolVersion": "2025-11-25", "capabilities": {}}
        status, answer = self.post(
            "initialize", hello | {"clientInfo": {"name": "test", "version": "1"}}, legacy=True
        )
        assert status == 200, answer
        self.post("notifications/initialized", legacy=True)
