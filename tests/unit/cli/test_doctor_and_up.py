"""`omnimind doctor`, and what `omnimind up` does before and beside the fleet."""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
from pathlib import Path

import pytest
from fake_fleet import FakeFleet

from omnimind import cli
from omnimind.cli import up
from omnimind.errors import Exit
from omnimind.linux import proc

Capture = pytest.CaptureFixture[str]


def findings(config: Path, capsys: Capture) -> dict[str, tuple[str, str]]:
    cli.main(["doctor", "--no-start", "--config", str(config), "--json"])
    return {row["check"]: (row["level"], row["detail"]) for row in json.loads(capsys.readouterr().out)}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "mcp_servers.json"
    path.write_text('{"mcpServers": {}, "gateway": {"port": 0}}')
    path.chmod(0o600)
    return path


def test_doctor_names_who_holds_a_port(state: Path, config: Path, capsys: Capture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        config.write_text(json.dumps({"gateway": {"port": 0}, "mcpServers": {"memory": {"port": port}}}))
        level, detail = findings(config, capsys)[f"port {port}"]
    assert level == "warn"
    assert f"(pid {os.getpid()})" in detail


def test_doctor_says_that_a_held_port_is_our_fleets(fleet: FakeFleet, config: Path, capsys: Capture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as ours:
        port = ours.getsockname()[1]
        config.write_text(json.dumps({"gateway": {"port": port}, "mcpServers": {}}))
        assert findings(config, capsys)[f"port {port}"][0] == "ok"


def test_doctor_finds_an_invalid_file_a_missing_program_and_open_modes(
    state: Path, config: Path, capsys: Capture
) -> None:
    config.write_text('{"mcpServers": {"a": {"command": "no-such-program-here"}}, "gateway": {"port": 0}}')
    assert findings(config, capsys)["server a"][0] == "fail"
    config.chmod(0o666)
    assert findings(config, capsys)["configuration"][0] == "fail"
    config.write_text("{")
    assert findings(config, capsys)["configuration"][0] == "fail"
    (state / "token").chmod(0o644)
    assert findings(config, capsys)["state folder"][0] == "fail"
    assert cli.main(["doctor", "--no-start", "--config", str(config)]) == Exit.FAILURE
    assert "help: " in capsys.readouterr().out


def test_up_refuses_a_bad_file_before_anything_starts(state: Path, config: Path, capsys: Capture) -> None:
    config.write_text('{"mcpServers": {"a": {"builtin": "gti"}}}')
    assert cli.main(["up", "--config", str(config)]) == Exit.SETTINGS
    assert "error[OM0108]" in capsys.readouterr().err


def test_up_hands_its_options_to_the_fleet() -> None:
    arguments = argparse.Namespace(
        config=Path("a b"), state=None, port=0, max_restart_attempts=3, give_up="exit", no_auth=True
    )
    command = up.orchestrator_command(arguments)
    assert command[0] == sys.executable
    assert command[-7:] == [
        "-m",
        "omnimind.orchestrator",
        "--config=a b",
        "--port=0",
        "--max-restart-attempts=3",
        "--give-up=exit",
        "--no-auth",
    ]


def test_up_announces_its_own_fleet_and_ends_with_it(fleet: FakeFleet) -> None:
    fleet.write_record(pid=os.getppid(), start_time=parent().start_time)
    assert up.wait_until_ready(fleet.state, os.getppid())
    assert not up.wait_until_ready(fleet.state, os.getpid())


def parent() -> proc.Proc:
    found = proc.read(os.getppid())
    assert found is not None
    return found
