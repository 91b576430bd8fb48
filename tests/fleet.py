"""A real fleet for tests: the orchestrator as a process of its own, on free ports, in a folder of its own.

    with Fleet({"everything": {"command": ...}}) as fleet:
        fleet.url("everything"), fleet.aggregate

The fleet is known by the `run.json` it writes when ready, never by a log line. When a test fails inside the
block, what the fleet said is printed with the failure.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[1]
FIXTURES = ROOT / "tests" / "fixtures"
START_S = 60.0
STOP_S = 20.0
POLL_S = 0.02
TAIL_BYTES = 6000


def _home_of_omnimind() -> Path:
    """Where this process has its omnimind from: the fleet runs the very same."""
    found = importlib.util.find_spec("omnimind")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parents[1]


class FleetError(Exception):
    """The fleet did not come up, or did not stop; the text holds what it said."""


def wait_until(condition: Callable[[], bool], timeout_s: float, what: str) -> None:
    """Look every 20 ms; the error says what was waited for."""
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            raise FleetError(f"after {timeout_s:g} s still not so: {what}")
        time.sleep(POLL_S)


def fixture_environment() -> dict[str, str]:
    """What a fixture server needs in its environment to be importable."""
    return {"PYTHONPATH": str(FIXTURES), "PYTHONUNBUFFERED": "1"}


def fixture_entry(module: str, *arguments: str, **keys: Any) -> dict[str, Any]:
    """The `mcpServers` entry of a fixture that speaks stdio."""
    return {
        "command": sys.executable,
        "args": ["-m", module, *arguments],
        "env": fixture_environment(),
        **keys,
    }


class Fleet:
    """One orchestrator with what it started; a context manager."""

    def __init__(
        self,
        servers: Mapping[str, Any],
        *,
        auth: bool = False,
        arguments: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
        **sections: Any,
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="omf-"))
        self.state = self.folder / "state"
        self.config = self.folder / "mcp_servers.json"
        self.said = self.folder / "orchestrator.log"
        self._document = {"mcpServers": dict(servers), **sections}
        self._auth = auth
        self._arguments = arguments
        self._environment = dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._run: dict[str, Any] = {}

    def start(self) -> Fleet:
        self.config.write_text(json.dumps(self._document, indent=2))
        command = [sys.executable, "-m", "omnimind.orchestrator", "--config", str(self.config)]
        command += ["--state", str(self.state), "--port", "0", *self._arguments]
        if not self._auth:
            command.append("--no-auth")
        environment = {**os.environ, "PYTHONPATH": str(_home_of_omnimind()), **self._environment}
        with self.said.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )
        try:
            wait_until(self._is_ready, START_S, "the fleet is ready")
        except FleetError as error:
            text = self.report()
            self.stop()
            raise FleetError(f"{error}\n{text}") from None
        return self

    def _is_ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise FleetError(f"the orchestrator ended with {self._process.returncode}")
        try:
            self._run = json.loads((self.state / "run.json").read_bytes())
        except (FileNotFoundError, json.JSONDecodeError):
            return False
        return bool(self._run["pid"] == self._process.pid)  # not the record of a fleet that was killed here

    @property
    def pid(self) -> int:
        """The process this test started: the guard."""
        assert self._process is not None
        return self._process.pid

    @property
    def run(self) -> dict[str, Any]:
        """What `run.json` says."""
        return self._run

    @property
    def base(self) -> str:
        gateway: str = self._run["endpoints"]["gateway"]
        return gateway.rstrip("/").removesuffix("/mcp")

    @property
    def aggregate(self) -> str:
        return f"{self.base}/mcp"

    def url(self, server: str) -> str:
        """The pass-through endpoint of one server."""
        return f"{self.base}/servers/{server}/mcp"

    @property
    def ports(self) -> dict[str, str]:
        """The endpoints of servers that have a port of their own."""
        servers: dict[str, str] = self._run["endpoints"].get("servers", {})
        return servers

    @property
    def token(self) -> str:
        return Path(self._run["token_file"]).read_text().strip()

    def descendants(self) -> list[psutil.Process]:
        try:
            return psutil.Process(self.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def stop(self) -> None:
        """Stop as Ctrl-C does; whatever is left after that is ended and reported."""
        if self._process is None:
            return
        family = self.descendants()
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(STOP_S)
            self._end(family)
            raise FleetError(f"the fleet did not stop within {STOP_S:g} s\n{self.report()}") from None
        finally:
            self._process = None
        left = [process for process in family if process.is_running() and process.status() != "zombie"]
        _, alive = psutil.wait_procs(left, timeout=2)
        names = [f"{process.pid} {process.name()}" for process in alive]
        self._end(alive)
        if names:
            raise FleetError(f"left running after the fleet stopped: {', '.join(names)}\n{self.report()}")

    @staticmethod
    def _end(processes: list[psutil.Process]) -> None:
        for process in processes:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue

    def report(self) -> str:
        """The end of everything the fleet wrote."""
        files = [self.said, *sorted((self.state / "logs").glob("**/*.log"))]
        ends = {file.name: file.read_bytes()[-TAIL_BYTES:] for file in files if file.exists()}
        return "\n".join(f"--- {name}\n{end.decode(errors='replace')}" for name, end in ends.items() if end)

    def __enter__(self) -> Fleet:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            print(self.report())
        try:
            self.stop()
        except FleetError:
            if error is None:
                raise
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)


class Background:
    """A server that the fleet does not start itself; ready when it prints a line, or makes `ready_file`."""

    def __init__(self, module: str, *arguments: str, ready_file: Path | None = None) -> None:
        self._command = [sys.executable, "-m", module, *arguments]
        self._ready_file = ready_file
        self._process: subprocess.Popen[bytes] | None = None
        self.first_line = ""

    def __enter__(self) -> Background:
        environment = {**os.environ, **fixture_environment()}
        printing = self._ready_file is None
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if printing else subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        if printing:
            assert self._process.stdout is not None
            self.first_line = self._process.stdout.readline().decode().strip()
        else:
            file = self._ready_file
            wait_until(lambda: file is not None and file.exists(), START_S, f"{file} exists")
        return self

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(5)
            if self._process.stdout is not None:
                self._process.stdout.close()
