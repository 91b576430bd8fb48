"""Kill -9 of what answers, while it answers: nobody whose call may run twice hears of it."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

import pytest

from benches import load
from omnimind.cli import fleet as control
from tests.chaos.test_kills_under_load import listing
from tests.fleet import Fleet, wait_until

KILLS = 30 if os.environ.get("OMNIMIND_FULL") else 2
NEVER_PARKED = {"restart": {"max_attempts": 1000, "backoff_max_ms": 0}}


def pid_of(fleet: Fleet, server: str) -> int | None:
    answer = control.ask(fleet.state, {"cmd": "status"})
    pid: int | None = next(row["pid"] for row in answer["servers"] if row["name"] == server)
    return pid


def kill(fleet: Fleet, server: str) -> None:
    """Kills its process and waits for the next."""
    pid = pid_of(fleet, server)
    if pid is not None:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: pid_of(fleet, server) not in (pid, None), 20, f"another {server} runs")


def kill_under_load(fleet: Fleet, server: str, *arguments: str) -> load.Report:
    """Kills the server's process again and again while calls go on."""
    reports: list[load.Report] = []

    def run() -> None:
        found = load.run(
            *("--http", fleet.url(server), *arguments, "--in-flight", "8", "--allow-saturated"),
            *("--rate", "200", "--duration-s", str(1 + KILLS * 0.75), "--timeout-s", "20"),
        )
        reports.append(found)

    loading = threading.Thread(target=run)
    loading.start()
    for _ in range(KILLS):
        kill(fleet, server)
        threading.Event().wait(0.15)
    loading.join(120)
    return reports[0]


@pytest.mark.bar
@pytest.mark.parametrize("era", ["modern", "legacy"])
@pytest.mark.parametrize("speaks", ["modern", "legacy"])
def test_calls_of_a_trusted_child_are_all_answered(speaks: str, era: str) -> None:
    entry: dict[str, Any] = load.stdio_entry(era=speaks, delay_ms="0..20", trust=["annotations"])
    with Fleet({"child": entry}, orchestrator=NEVER_PARKED) as fleet:
        report = kill_under_load(fleet, "child", "--era", era)
    assert report.is_clean, report.all
    assert report.sent > 100


@pytest.mark.bar
@pytest.mark.timeout(300)
def test_lists_of_a_worker_and_of_a_stranger_are_all_answered() -> None:
    servers = {"filesystem": {"port": 0}, "child": load.stdio_entry(delay_ms="0..20")}
    with (
        Fleet(servers, orchestrator=NEVER_PARKED) as fleet,
        listing(fleet, "filesystem") as of_worker,
        listing(fleet, "child") as of_child,
    ):
        for _ in range(KILLS):
            for server, calls in (("filesystem", of_worker), ("child", of_child)):
                calls.goes_on(5)
                kill(fleet, server)
        of_worker.goes_on()
        of_child.goes_on()
    assert (set(of_worker.seen), set(of_child.seen)) == ({"answered"}, {"answered"})
