"""Logs of a real fleet: floods, secrets, held ports, a full disk, and what is left of it all afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from calling import Caller
from fleet import Fleet, fixture_entry, wait_until

from omnimind.cli import fleet as control
from omnimind.cli import incident
from omnimind.linux import proc

HERE = Path(__file__).parent / "fleet_fixtures"
FULL = bool(os.environ.get("OMNIMIND_FULL"))
FLOOD_S = 10.0 if FULL else 2.0


def tiny(*arguments: str, **keys: Any) -> dict[str, Any]:
    command = [str(HERE / "tiny_server.py"), *arguments]
    return {"command": sys.executable, "args": ["-S", *command], **keys}


def noisy(while_file: Path) -> dict[str, Any]:
    return {"command": sys.executable, "args": ["-S", str(HERE / "noisy_server.py"), str(while_file)]}


def row(fleet: Fleet, name: str) -> dict[str, Any]:
    rows = control.ask(fleet.state, {"cmd": "status"})["servers"]
    return next(found for found in rows if found["name"] == name)


def log_text(fleet: Fleet, name: str) -> list[str]:
    path = fleet.state / "logs" / f"{name}.log"
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line)["line"] for line in lines]


def orchestrator_of(fleet: Fleet) -> psutil.Process:
    return psutil.Process(int(control.ask(fleet.state, {"cmd": "status"})["orchestrator"]["pid"]))


def written_by(file: Path) -> tuple[int, float]:
    try:
        total, at_s = Path(f"{file}.written").read_text().split()
    except (FileNotFoundError, ValueError):
        return 0, 0.0
    return int(total), float(at_s)


@pytest.mark.alone
def test_a_flood_is_taken_at_full_speed_and_keeps_nobody_waiting(tmp_path: Path) -> None:
    switch = tmp_path / "flood"
    with Fleet({"noisy": noisy(switch), "calm": tiny()}) as fleet:
        orchestrator = orchestrator_of(fleet)
        switch.touch()
        wait_until(lambda: written_by(switch)[0] > 0, 10, "the flood runs")
        (began_bytes, began_s), cpu = written_by(switch), orchestrator.cpu_times()
        waits: list[float] = []
        end = time.monotonic() + FLOOD_S
        while time.monotonic() < end:
            asked = time.monotonic()
            assert row(fleet, "calm")["state"] == "ready"
            waits.append(time.monotonic() - asked)
            time.sleep(0.01)
        (total, at_s), used = written_by(switch), orchestrator.cpu_times()
        switch.unlink()
        wait_until(
            lambda: any("dropped" in text for text in log_text(fleet, "noisy")), 10, "the flood is told"
        )
        rate = (total - began_bytes) / (at_s - began_s)
        cpu_share = (used.user + used.system - cpu.user - cpu.system) / FLOOD_S
        waits.sort()
        print(
            f"flood {rate / 1e6:.0f} MB/s, orchestrator {cpu_share:.0%} of a core, status p50 "
            f"{waits[len(waits) // 2] * 1000:.1f} ms, p99 {waits[int(len(waits) * 0.99)] * 1000:.1f} ms, "
            f"max {waits[-1] * 1000:.1f} ms, log {(fleet.state / 'logs' / 'noisy.log').stat().st_size} bytes"
        )
        assert rate > 2e6
        assert waits[len(waits) // 2] < 0.25
        assert len(log_text(fleet, "noisy")) < 1000 + 50 * (FLOOD_S + 12) + 10
        assert row(fleet, "noisy")["state"] == "ready"
        status = control.ask(fleet.state, {"cmd": "status"})
        assert status["logs"] is None


def test_a_secret_of_the_configuration_is_in_no_log(tmp_path: Path) -> None:
    secret = "kept-to-itself-4711"
    fails = tiny(
        "--fail", f"cannot log in with {secret} at https://u:p4ssw0rd@host/", env={"API_TOKEN": secret}
    )
    with Fleet({"failing": fails, "calm": tiny()}) as fleet:
        wait_until(lambda: row(fleet, "failing")["state"] == "parked", 20, "it is parked")
        assert "cannot log in with [redacted]" in row(fleet, "failing")["last_stderr"]
        state = fleet.state
        everything = b"".join(path.read_bytes() for path in (state / "logs").iterdir())
        assert secret.encode() not in everything
        assert b"p4ssw0rd" not in everything
        assert secret not in json.dumps(control.ask(state, {"cmd": "status"}))


def test_a_held_port_is_explained_and_the_table_tells_it_of_a_dead_fleet() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mine:
        port = mine.getsockname()[1]
        script = f"import socket; socket.create_server(('127.0.0.1', {port}))"
        binds = {"command": sys.executable, "args": ["-c", script]}
        with Fleet({"binder": binds, "calm": tiny()}) as fleet:
            wait_until(lambda: row(fleet, "binder")["state"] == "parked", 20, "it is parked")
            own = proc.read(os.getpid())
            assert own is not None
            held = f"port {port} is held by {own.name} (pid {own.pid})"
            assert row(fleet, "binder")["reason"].startswith(held)
            assert "stop it" in row(fleet, "binder")["fix"]
            running = json.loads(incident.table(fleet.state, 3600, json=True))
            os.kill(orchestrator_of(fleet).pid, 9)
            psutil.Process(fleet.pid).kill()
            wait_until(lambda: control.find(fleet.state) is None, 10, "the fleet is dead")
            dead = json.loads(incident.table(fleet.state, 3600, json=True))
            fleet.stop()
    for found in (running, dead):
        binder = next(each for each in found["servers"] if each["server"] == "binder")
        assert binder["failures"] >= 3
        assert binder["kind"] == "port held"
        assert binder["cause"].startswith(held)
        assert "Address already in use" in binder["last_stderr"]
        assert found["servers"][0] == binder


def test_completed_calls_and_deaths_of_the_gateway_are_in_the_table() -> None:
    with Fleet({"echo": fixture_entry("slow_echo")}) as fleet:
        psutil.Process(control.ask(fleet.state, {"cmd": "status"})["gateway"]["pid"]).kill()
        wait_until(lambda: incident_of(fleet)["gateway_ends"] == 1, 10, "the end of the gateway is known")
        wait_until(
            lambda: control.ask(fleet.state, {"cmd": "status"})["gateway"]["state"] == "ready",
            10,
            "the next serves",
        )
        caller = Caller(fleet.url("echo"))
        for _ in range(5):
            assert "result" in caller.call("tools/call", {"name": "echo", "arguments": {"text": "x"}})
        caller.close()
        fleet.stop()
        found = incident_of(fleet)
        assert [(row["server"], row["calls"], row["failures"]) for row in found["servers"]] == [
            ("echo", 5, 0)
        ]


def incident_of(fleet: Fleet) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(incident.table(fleet.state, 3600, json=True))
    return found


def test_a_reset_empties_the_logs_of_a_running_fleet() -> None:
    fails = tiny("--fail", "no luck today")
    with Fleet({"failing": fails, "calm": tiny()}) as fleet:
        wait_until(lambda: row(fleet, "failing")["state"] == "parked", 20, "it is parked")
        assert "no luck today" in log_text(fleet, "failing")
        done = subprocess.run(
            [sys.executable, "-m", "omnimind", "logs", "--reset", "--state", str(fleet.state)],
            capture_output=True,
            text=True,
            check=True,
        )
        assert "failing" in done.stdout
        assert "events" in done.stdout
        assert log_text(fleet, "failing") == []
        control.ask(fleet.state, {"cmd": "restart", "server": "failing"})
        wait_until(lambda: log_text(fleet, "failing") != [], 10, "it is logged again")


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    folder.mkdir(parents=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        pytest.skip("a tmpfs cannot be mounted here: the full disk is tested with a double only")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_costs_log_lines_and_nothing_else(tmp_path: Path) -> None:
    switch = tmp_path / "flood"
    fleet = Fleet({"calm": tiny(), "noisy": noisy(switch)})
    fleet.state.mkdir(mode=0o700)
    with small_disk(fleet.state / "logs", "1m"), fleet:
        ballast = fleet.state / "logs" / "ballast"
        fill(ballast)
        switch.touch()

        def trouble() -> dict[str, Any]:
            return control.ask(fleet.state, {"cmd": "status"})["logs"] or {}

        wait_until(lambda: trouble().get("lost_lines", 0) > 100, 20, "lines are lost")
        assert trouble()["why"] == "No space left on device"
        assert trouble()["logs"] == ["noisy"]
        assert {row(fleet, "calm")["state"], row(fleet, "noisy")["state"]} == {"ready"}
        ballast.unlink()
        wait_until(
            lambda: any("lines lost: No space left on device" in line for line in log_text(fleet, "noisy")),
            20,
            "it goes on and says what was lost",
        )
        assert trouble()["why"] is None
        switch.unlink()


def fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 1024)
