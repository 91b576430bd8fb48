"""`omnimind up` as a person sees it: how to connect once it is ready, and Ctrl-C ends everything.

The gateway is a double, so this needs no extension; watched are the command, the guard and the orchestrator.
"""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import omnimind
from omnimind.cli import fleet
from omnimind.linux import proc

HERE = Path(__file__).parent
PATHS = os.pathsep.join([str(Path(omnimind.__file__).resolve().parents[1]), str(HERE / "fleet_fixtures")])
UP = """
import sys
from omnimind import cli
from omnimind.cli import up
command = up.orchestrator_command
up.orchestrator_command = lambda arguments: [*command(arguments), "--gateway-module=fake_gateway"]
sys.exit(cli.main(sys.argv[1:]))
"""
READY_S = 30.0


class Running:
    """An `omnimind up` on a terminal of its own; stdout is a file where `terminal` is False."""

    def __init__(self, folder: Path, terminal: bool) -> None:
        config = folder / "mcp_servers.json"
        tiny = {"command": sys.executable, "args": ["-S", str(HERE / "fleet_fixtures" / "tiny_server.py")]}
        config.write_text(json.dumps({"gateway": {"port": 0}, "mcpServers": {"tiny": tiny}}))
        self.state = folder / "state"
        self.keyboard, inside = pty.openpty()
        os.set_blocking(self.keyboard, False)
        self._file = folder / "stdout"
        self._terminal = terminal
        self._seen = b""
        with self._file.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-c", UP, "up", f"--config={config}", f"--state={self.state}"],
                stdin=inside,
                stdout=inside if terminal else file,
                stderr=inside,
                env={**os.environ, "PYTHONPATH": PATHS},
                cwd=folder,
                start_new_session=True,
                preexec_fn=_take_terminal,
            )
        os.close(inside)

    def said(self) -> str:
        """Everything on the terminal, or in stdout where that is a file."""
        try:
            while part := os.read(self.keyboard, 65536):
                self._seen += part
        except OSError:
            pass
        return (self._seen if self._terminal else self._file.read_bytes()).decode().replace("\r\n", "\n")

    def wait_for(self, text: str) -> str:
        """What was said, once it holds this text."""
        end = time.monotonic() + READY_S
        while text not in self.said():
            assert self.process.poll() is None, self._seen.decode()
            assert time.monotonic() < end, self._seen.decode()
            time.sleep(0.02)
        return self.said()


def _take_terminal() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@pytest.fixture
def up(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Running]:
    running = Running(tmp_path, request.param)
    yield running
    if running.process.poll() is None:
        running.process.terminate()
    running.process.wait(20)
    os.close(running.keyboard)


def entry_in(said: str) -> dict[str, object]:
    text = said[said.index('{\n  "mcpServers"') :]
    found: dict[str, object] = json.JSONDecoder().raw_decode(text)[0]["mcpServers"]["omnimind"]
    return found


@pytest.mark.parametrize("up", [True], indirect=True)
def test_a_terminal_gets_endpoint_token_and_entry_and_control_c_ends_all(up: Running) -> None:
    said = up.wait_for("\n  }\n}\n")
    record = fleet.need(up.state)
    token = (up.state / "token").read_text().strip()
    assert f"endpoint    {record.endpoint}\n" in said
    assert f"token       {token}\n" in said
    assert entry_in(said) == {
        "type": "http",
        "url": record.endpoint,
        "headers": {"Authorization": f"Bearer {token}"},
    }
    assert record.pid == up.process.pid
    below = [(p.pid, p.start_time) for p in proc.descendants(up.process.pid, proc.scan())]
    assert below
    os.write(up.keyboard, b"\x03")
    assert up.process.wait(20) == 0
    assert [
        pid for pid, start in below if (p := proc.read(pid)) and p.start_time == start and p.state != "Z"
    ] == []


@pytest.mark.parametrize("up", [False], indirect=True)
def test_a_file_gets_the_tokens_place_and_never_the_token(up: Running) -> None:
    said = up.wait_for("\n  }\n}\n")
    token = (up.state / "token").read_text().strip()
    assert f"token file  {up.state / 'token'}\n" in said
    assert token not in said
    assert entry_in(said)["headers"] == {"Authorization": "Bearer ${OMNIMIND_TOKEN}"}
