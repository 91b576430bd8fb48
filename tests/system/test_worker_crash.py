"""A server, the zygote or the gateway dies: it alone comes back, the others do not notice."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from omnimind.cli import fleet as control
from tests.fleet import Fleet, wait_until
from tests.system.double import ask, doubled, is_ready, row, status, tiny, whoami

DISCOVER = {
    "jsonrpc": "2.0",
    "id": 4_294_967_297,
    "method": "server/discover",
    "params": {
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        }
    },
}


def kill_and_wait(fleet: Fleet, server: str) -> None:
    pid = row(fleet, server)["pid"]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: is_ready(fleet, server, not_pid=pid), 20, f"{server} is ready again")


def call_worker(fleet: Fleet, server: str) -> dict[str, object]:
    call = {"do": "call", "server": server, "principal": "local", "era": "modern", "message": DISCOVER}
    result: dict[str, object] = ask(fleet, call)["got"]["result"]
    return result


def test_a_killed_worker_is_ready_again_with_a_new_key() -> None:
    with doubled({"filesystem": {"port": 0}, "plain": tiny()}) as fleet:
        other = row(fleet, "plain")["pid"]
        key = ask(fleet, {"do": "heard"})["servers"]["filesystem"]["key"]
        assert "capabilities" in call_worker(fleet, "filesystem")
        kill_and_wait(fleet, "filesystem")
        assert "capabilities" in call_worker(fleet, "filesystem")
        assert ask(fleet, {"do": "heard"})["servers"]["filesystem"]["key"] not in (key, None)
        assert row(fleet, "filesystem")["restarts"] == 1
        assert row(fleet, "filesystem")["crashes"] == 1
        assert row(fleet, "plain")["pid"] == other


def test_a_killed_child_is_started_again_and_the_gateway_is_told() -> None:
    with doubled({"plain": tiny()}) as fleet:
        number = whoami(fleet, "plain")["child"]["child"]
        kill_and_wait(fleet, "plain")
        heard = ask(fleet, {"do": "heard"})
        assert heard["gone"][0]["child"] == number
        assert heard["gone"][0]["reason"] == "killed by SIGKILL"
        assert whoami(fleet, "plain")["got"]["result"]["pid"] == row(fleet, "plain")["pid"]


def test_three_crashes_park_one_server_with_its_last_words_and_touch_no_other() -> None:
    doomed = tiny("--fail", "Traceback\nValueError: no such database", "--code", "9")
    with doubled({"doomed": doomed, "plain": tiny()}) as fleet:
        wait_until(lambda: row(fleet, "doomed")["state"] == "parked", 20, "it is parked")
        parked = row(fleet, "doomed")
        assert parked["reason"] == "exit code 9"
        assert parked["last_stderr"] == "ValueError: no such database"
        assert parked["restarts"] == 2
        assert row(fleet, "plain")["restarts"] == 0
        log = (fleet.state / "logs" / "doomed.log").read_text()
        assert log.count("ValueError") == 1
        assert log.count("ended after 2 lines, the same as pid") == 2


def test_three_kills_in_the_window_park_a_worker() -> None:
    with doubled({"filesystem": {"port": 0}, "plain": tiny()}) as fleet:
        kill_and_wait(fleet, "filesystem")
        kill_and_wait(fleet, "filesystem")
        os.kill(row(fleet, "filesystem")["pid"], signal.SIGKILL)
        wait_until(lambda: row(fleet, "filesystem")["state"] == "parked", 10, "it is parked")
        assert row(fleet, "filesystem")["reason"] == "killed by SIGKILL"
        assert is_ready(fleet, "plain")


def test_max_restart_attempts_on_the_command_line_decides_when_to_park() -> None:
    with doubled({"doomed": tiny("--fail", "no")}, "--max-restart-attempts=1") as fleet:
        assert row(fleet, "doomed")["state"] == "parked"
        assert row(fleet, "doomed")["restarts"] == 0


def test_a_missing_command_is_parked_at_once_with_what_to_do() -> None:
    with doubled({"typo": {"command": "no-such-command-here"}, "plain": tiny()}) as fleet:
        parked = row(fleet, "typo")
        assert parked["state"] == "parked"
        assert parked["reason"].startswith("command not found: no-such-command-here")
        assert parked["restarts"] == 0


def test_a_missing_import_is_named() -> None:
    broken = {"command": tiny()["command"], "args": ["-c", "import no_such_module_here"]}
    with doubled({"broken": broken}) as fleet:
        wait_until(lambda: row(fleet, "broken")["state"] == "parked", 20, "it is parked")
        assert row(fleet, "broken")["reason"] == "import error: No module named 'no_such_module_here'"


def test_a_parked_server_serves_again_when_it_is_called_and_its_fault_is_gone(tmp_path: Path) -> None:
    fault = tmp_path / "fault"
    fault.touch()
    entry = tiny("--fail", "not now", "--fail-while", str(fault), restart={"max_attempts": 2, "window_s": 2})
    with doubled({"moody": entry}) as fleet:
        wait_until(lambda: row(fleet, "moody")["state"] == "parked", 20, "it is parked")
        fault.unlink()
        refused = whoami(fleet, "moody")
        assert refused["refused"]["state"] == "parked"
        assert refused["refused"]["retry_after_ms"] > 0
        wait_until(lambda: "got" in whoami(fleet, "moody"), 10, "a call starts it once the window has room")
        assert row(fleet, "moody")["state"] == "ready"


def test_the_operator_restarts_a_parked_server_at_once(tmp_path: Path) -> None:
    fault = tmp_path / "fault"
    fault.touch()
    entry = tiny("--fail", "not now", "--fail-while", str(fault))
    with doubled({"moody": entry}) as fleet:
        wait_until(lambda: row(fleet, "moody")["state"] == "parked", 20, "it is parked")
        fault.unlink()
        control.ask(fleet.state, {"cmd": "restart", "server": "moody"})
        wait_until(lambda: is_ready(fleet, "moody"), 10, "it is ready")


def test_workers_live_on_when_the_zygote_is_killed_and_the_next_restart_works() -> None:
    with doubled({"filesystem": {"port": 0}}) as fleet:
        zygote, worker = status(fleet)["zygote"]["pid"], row(fleet, "filesystem")["pid"]
        assert zygote is not None
        os.kill(zygote, signal.SIGKILL)
        wait_until(lambda: status(fleet)["zygote"]["pid"] not in (zygote, None), 10, "there is a new zygote")
        assert row(fleet, "filesystem")["pid"] == worker
        kill_and_wait(fleet, "filesystem")
        assert "capabilities" in call_worker(fleet, "filesystem")


def test_a_dead_gateway_takes_nothing_with_it_and_the_next_one_gets_the_same_pipes() -> None:
    with doubled({"plain": tiny(), "filesystem": {"port": 0}}) as fleet:
        before = whoami(fleet, "plain")
        worker = row(fleet, "filesystem")["pid"]
        assert before["child"]["inherited"] is False
        gateway = status(fleet)["gateway"]
        os.kill(gateway["pid"], signal.SIGKILL)
        wait_until(
            lambda: status(fleet)["gateway"]["epoch"] == gateway["epoch"] + 1, 10, "there is a second gateway"
        )
        wait_until(lambda: status(fleet)["gateway"]["state"] == "ready", 10, "it is up")
        after = whoami(fleet, "plain")
        assert after["child"]["inherited"] is True
        assert after["child"]["child"] == before["child"]["child"]
        assert after["got"]["result"]["pid"] == before["got"]["result"]["pid"]
        assert row(fleet, "filesystem")["pid"] == worker
        assert "capabilities" in call_worker(fleet, "filesystem")


@pytest.mark.roomy
def test_a_doubted_worker_that_answers_stays_and_one_that_hangs_is_replaced() -> None:
    with doubled({"filesystem": {"port": 0}}) as fleet:
        worker = row(fleet, "filesystem")["pid"]
        doubt = {"do": "tell", "message": {"t": "down", "server": "filesystem", "reason": "no answer"}}
        ask(fleet, doubt)
        wait_until(lambda: row(fleet, "filesystem")["state"] == "ready", 10, "it is ready again")
        assert row(fleet, "filesystem")["pid"] == worker
        os.kill(worker, signal.SIGSTOP)
        began_s = time.monotonic()
        ask(fleet, doubt)
        wait_until(lambda: is_ready(fleet, "filesystem", not_pid=worker), 20, "it is replaced")
        assert time.monotonic() - began_s < 15


def test_a_worker_that_was_restarted_politely_is_reachable_under_the_same_path() -> None:
    with doubled({"filesystem": {"port": 0}}) as fleet:
        path = ask(fleet, {"do": "heard"})["servers"]["filesystem"]["path"]
        for _ in range(2):
            pid = row(fleet, "filesystem")["pid"]
            control.ask(fleet.state, {"cmd": "restart", "server": "filesystem"})
            wait_until(lambda p=pid: is_ready(fleet, "filesystem", not_pid=p), 10, "it is ready again")
        assert "capabilities" in call_worker(fleet, "filesystem")
        assert ask(fleet, {"do": "heard"})["servers"]["filesystem"]["path"] == path
