"""`omnimind doctor`: what it finds wrong, and that it always says what to do."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from fake_fleet import STATUS, FakeFleet

from omnimind import cli
from omnimind.cli import doctor
from omnimind.cli.doctor import finding, kernel, machine
from omnimind.cli.doctor.finding import Finding
from omnimind.errors import Exit
from omnimind.linux import features, proc
from omnimind.orchestrator import ledger

Capture = pytest.CaptureFixture[str]
ANSWER = """
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    result = {"supportedVersions": ["2026-07-28"], "capabilities": {}}
    print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}), flush=True)
"""
LEGACY = """
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    if asked["method"] != "initialize":
        sys.exit(3)
    result = {"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {"name": "old"}}
    print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}), flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "mcp_servers.json"
    path.write_text('{"mcpServers": {}, "gateway": {"port": 0}}')
    path.chmod(0o600)
    return path


def script(text: str) -> dict[str, Any]:
    return {"command": sys.executable, "args": ["-S", "-c", text]}


def examined(config: Path, state: Path, *, start: bool = False) -> dict[str, Finding]:
    return {found.check: found for found in doctor.examine(config, state, lambda text: None, start=start)}


def test_a_finding_that_is_not_ok_must_have_a_fix() -> None:
    with pytest.raises(ValueError, match="no fix"):
        Finding("warn", "disk", "full")
    with pytest.raises(ValueError, match="no fix"):
        finding.fail("disk", "full", "")


def test_whatever_is_not_ok_ends_with_a_fix_also_on_the_terminal(
    state: Path, config: Path, capsys: Capture
) -> None:
    (state / "tokens.json").chmod(0o644)
    assert cli.main(["doctor", "--no-start", "--config", str(config)]) == Exit.FAILURE
    lines = capsys.readouterr().out.splitlines()
    for number, line in enumerate(lines):
        if line.startswith(("warn", "fail")):
            assert lines[number + 1].startswith("      help: "), line
    assert lines[-1].endswith("wrong")


def test_a_missing_kernel_feature_is_told_with_what_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    for probe in ("has_pidfd", "has_openat2", "has_seccomp_filter", "has_user_namespaces", "has_btf"):
        monkeypatch.setattr(features, probe, lambda: False)
    monkeypatch.setattr(features, "landlock_abi", lambda: 0)
    monkeypatch.setattr(features, "tracefs", lambda: None)
    found = {row.check: row.level for row in kernel.examine()}
    assert found["pidfd"] == "fail"
    for check in ("openat2", "landlock", "seccomp", "user namespaces", "btf", "tracefs"):
        assert found[check] == "warn"


def test_an_sdk_of_another_series_is_a_failure(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = machine.metadata.version
    monkeypatch.setattr(machine.metadata, "version", lambda name: "3.0.1" if name == "mcp" else real(name))
    found = {row.check: row for row in machine.examine(state)}
    assert found["package mcp"].level == "fail"
    assert "2.3 or newer, below 3" in found["package mcp"].detail


def test_a_clock_behind_the_last_write_is_told(state: Path) -> None:
    os.utime(state / "tokens.json", (2**32, 2**32))
    found = {row.check: row for row in machine.examine(state)}
    assert found["clock"].level == "warn"


def test_modes_of_run_and_log_files_are_looked_at(state: Path, config: Path) -> None:
    assert examined(config, state)["modes"].level == "ok"
    (state / "logs").mkdir(mode=0o700, exist_ok=True)
    (state / "logs" / "memory.log").write_text("secret\n")
    (state / "logs" / "memory.log").chmod(0o644)
    found = examined(config, state)["modes"]
    assert found.level == "warn"
    assert found.help == f"chmod go-rwx {state / 'logs' / 'memory.log'}"


def test_what_an_earlier_run_left_is_told_and_left_alone(state: Path, config: Path) -> None:
    mark = "c" * 32
    orphan = int(
        subprocess.check_output(
            ["sh", "-c", "sleep 600 > /dev/null 2>&1 & echo $!"],
            env={**os.environ, ledger.MARK: mark},
            start_new_session=True,
        )
    )
    try:
        ledger.write(state / ledger.FILE, [ledger.Life(mark, proc.boot_id(), os.geteuid())])
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(state / "control.sock"))
        found = examined(config, state)
        assert f"(pid {orphan})" in found["leftover"].detail
        assert found["leftover"].help == "omnimind down --stale"
        assert found["stale socket"].level == "warn"
        assert proc.read(orphan) is not None
        assert (state / "control.sock").exists()
    finally:
        os.kill(orphan, signal.SIGKILL)


def test_a_running_fleet_is_asked_for_what_is_not_ready(fleet: FakeFleet, config: Path) -> None:
    found = examined(config, fleet.state)
    assert found["running memory"].level == "ok"
    assert found["running thinking"].level == "fail"
    assert "3 crashes" in found["running thinking"].detail
    assert "omnimind start thinking" in str(found["running thinking"].help)
    assert "gateway" not in found  # its restart was asked for
    gateway = STATUS["gateway"] | {"reason": "killed by SIGKILL"}  # type: ignore[operator]
    fleet.answer = lambda request: STATUS | {"version": "0.0.1", "gateway": gateway}
    found = examined(config, fleet.state)
    assert "0.0.1" in found["fleet"].detail
    assert "killed by SIGKILL" in found["gateway"].detail


def test_each_server_is_started_once_and_timed(state: Path, config: Path) -> None:
    servers = {
        "modern": script(ANSWER),
        "old": script(LEGACY),
        "broken": script("import nothing_of_this_name"),
        "off": script(ANSWER) | {"enabled": False},
    }
    config.write_text(json.dumps({"mcpServers": servers, "gateway": {"port": 0}}))
    before = sorted(state.rglob("*"))
    found = examined(config, state, start=True)
    assert found["start modern"].level == "ok"
    assert "speaks 2026-07-28" in found["start modern"].detail
    assert "speaks 2025-11-25" in found["start old"].detail
    assert found["start broken"].level == "fail"
    assert "nothing_of_this_name" in found["start broken"].detail
    assert "start off" not in found
    assert sorted(state.rglob("*")) == before
    assert proc.below(os.getpid()) == []


def test_who_ended_before_it_was_asked_is_told_by_its_last_words(
    state: Path, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pipe breaks before the end of the process is known."""
    waits = tmp_path / "waits"
    text = "import signal\nsignal.signal(signal.SIGTERM, lambda *_: __import__('nothing_of_this_name'))\n"
    text += f"open({str(waits)!r}, 'w')\nwhile 1: signal.pause()"
    config.write_text(json.dumps({"mcpServers": {"late": script(text)}, "gateway": {"port": 0}}))

    async def asked(*_: object) -> None:
        while not waits.exists():  # noqa: ASYNC110
            await anyio.sleep(0.01)
        waits.unlink()
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr("omnimind.orchestrator.negotiate.with_child", asked)
    assert "nothing_of_this_name" in examined(config, state, start=True)["start late"].detail


def test_a_built_in_is_started_in_a_folder_that_is_thrown_away(state: Path, config: Path) -> None:
    config.write_text('{"mcpServers": {"filesystem": {"port": 0}}, "gateway": {"port": 0}}')
    found = examined(config, state, start=True)
    assert found["start filesystem"].level == "ok"
    assert not (state / "workspace").exists()
    assert proc.below(os.getpid()) == []


def test_a_server_that_never_answers_is_not_waited_for_long(state: Path, config: Path) -> None:
    document = {
        "mcpServers": {"silent": script("import time; time.sleep(60)")},
        "gateway": {"port": 0},
        "orchestrator": {"start_timeout_ms": 300},
    }
    config.write_text(json.dumps(document))
    found = examined(config, state, start=True)["start silent"]
    assert found.level == "fail"
    assert "within 0.3 s" in found.detail
    assert proc.below(os.getpid()) == []


def test_a_server_elsewhere_is_asked(state: Path, config: Path, fleet: FakeFleet) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}/mcp"
    fleet.respond = lambda body: (401, "text/plain", b"")
    config.write_text(
        json.dumps(
            {"mcpServers": {"up": {"url": fleet.endpoint}, "down": {"url": nobody}}, "gateway": {"port": 0}}
        )
    )
    found = examined(config, state, start=True)
    assert "HTTP 401" in found["reach up"].detail
    assert "headers" in str(found["reach up"].help)
    assert found["reach down"].level == "fail"
    fleet.respond = lambda body: (200, "application/json", b"{}")
    assert examined(config, state, start=True)["reach up"].level == "ok"


def test_a_fault_in_one_group_does_not_hide_the_others(
    state: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty() -> None:
        raise RuntimeError("no kernel today")

    monkeypatch.setattr(kernel, "examine", faulty)
    found = examined(config, state)
    assert "no kernel today" in found["kernel"].detail
    assert found["modes"].level == "ok"


def test_since_prints_the_incident_table(state: Path, capsys: Capture) -> None:
    assert cli.main(["doctor", "--since", "4h", "--json"]) == Exit.OK
    json.loads(capsys.readouterr().out)
    assert cli.main(["doctor", "--since", "4x"]) == Exit.USAGE
