"""Kill -9 of a worker, the orchestrator and the guard while a real gateway is under load.

Every call comes over a connection of its own, so that a listening socket that closed for an instant shows as
a refused connection. Calls that were in flight may fail; nobody may be turned away.
"""

from __future__ import annotations

import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

import psutil
import pytest

from tests.fleet import Fleet, fixture_entry, wait_until

KILLS = 20 if os.environ.get("OMNIMIND_FULL") else 4
THREADS = 4
GONE_S = 2.0
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


class Load:
    """Threads that list the tools of one server again and again."""

    def __init__(self, fleet: Fleet, server: str) -> None:
        url = urlsplit(fleet.base)
        assert url.hostname is not None
        assert url.port is not None
        self.address = (url.hostname, url.port)
        self.path = f"/servers/{server}/mcp"
        self.seen: Counter[str] = Counter()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(THREADS)]

    def _run(self) -> None:
        while not self._stop.is_set():
            self.seen[self._call()] += 1

    def _call(self) -> str:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": META}})
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": "2026-07-28",
            "Mcp-Method": "tools/list",
        }
        connection = HTTPConnection(*self.address, timeout=20)
        try:
            connection.request("POST", self.path, body, headers)
            response = connection.getresponse()
            answer = json.loads(response.read())
        except ConnectionRefusedError:
            return "refused"
        except (OSError, HTTPException, ValueError):
            return "broken off"
        finally:
            connection.close()
        return "answered" if "result" in answer else f"error {answer['error']['code']}"

    def goes_on(self, calls: int = 20) -> None:
        """Waits until so many more calls were answered."""
        before = self.seen["answered"]
        wait_until(
            lambda: self.seen["answered"] >= before + calls, 30, f"calls are answered again: {self.seen}"
        )

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


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
    with fleet_of_two() as fleet, Load(fleet, "thinking") as load, Load(fleet, "echo") as other:
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
    with fleet_of_two() as fleet, Load(fleet, "thinking") as load:
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
        with Load(fleet, "thinking") as load:
            load.goes_on()
        family = fleet.descendants()
        os.kill(fleet.pid, signal.SIGKILL)
        assert_gone(family)
