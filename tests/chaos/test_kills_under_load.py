"""Kill -9 of a worker, the orchestrator and the guard while a real gateway is under load.

Every call comes over a connection of its own, so that a listening socket that closed for an instant shows as
a refused connection. Calls that were in flight may fail; nobody may be turned away.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from tests.calling import Calls
from tests.fleet import Fleet, fixture_entry, wait_until

KILLS = 20 if os.environ.get("OMNIMIND_FULL") else 4
GONE_S = 2.0


def listing(fleet: Fleet, server: str) -> Calls:
    """Clients that list the tools of one server again and again."""
    return Calls(fleet.url(server), "tools/list", fresh=True)


@contextmanager
def fleet_of_two() -> Iterator[Fleet]:
    servers = {
        "thinking": {"port": 0, "restart": {"max_attempts": 100}},
        "echo": fixture_entry("slow_echo"),
    }
    with Fleet(servers, orchestrator={"restart": {"backoff_max_ms": 1000}}) as fleet:
        yield fleet


def process_of(fleet: Fleet, server: str) -> psutil.Process:
    """The process that the fleet's own status names."""
    from omnimind.cli.fleet import ask

    answer = ask(fleet.state, {"cmd": "status"})
    pid = next(row["pid"] for row in answer["servers"] if row["name"] == server)
    return psutil.Process(pid)


def assert_gone(family: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(family, timeout=GONE_S)
    left = [process for process in alive if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    assert left == []


@pytest.mark.bar
@pytest.mark.timeout(300)
def test_a_killed_worker_is_back_and_nobody_is_turned_away() -> None:
    with fleet_of_two() as fleet, listing(fleet, "thinking") as load, listing(fleet, "echo") as other:
        load.goes_on()
        for _ in range(KILLS):
            killed = process_of(fleet, "thinking")
            killed.kill()
            wait_until(lambda pid=killed.pid: is_another(fleet, pid), 20, "a new worker runs")  # type: ignore[misc]
            load.goes_on()
            other.goes_on()
    assert load.seen["refused"] == 0
    assert set(other.seen) == {"answered"}


def is_another(fleet: Fleet, pid: int) -> bool:
    try:
        return process_of(fleet, "thinking").pid != pid
    except (psutil.NoSuchProcess, TypeError):
        return False


@pytest.mark.bar
@pytest.mark.timeout(300)
def test_a_killed_orchestrator_takes_its_tree_along_and_calls_are_answered_again() -> None:
    with fleet_of_two() as fleet, listing(fleet, "thinking") as load:
        load.goes_on()
        family = fleet.descendants()
        (orchestrator,) = psutil.Process(fleet.pid).children()
        orchestrator.kill()
        assert_gone(family)
        load.goes_on()
        assert process_of(fleet, "thinking") not in family
    assert load.seen["refused"] == 0


@pytest.mark.bar
@pytest.mark.timeout(300)
def test_a_killed_guard_leaves_nothing() -> None:
    with fleet_of_two() as fleet:
        with listing(fleet, "thinking") as load:
            load.goes_on()
        family = fleet.descendants()
        os.kill(fleet.pid, signal.SIGKILL)
        assert_gone(family)
