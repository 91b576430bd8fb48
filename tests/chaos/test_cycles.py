"""Starting and stopping again and again costs nothing that stays: no descriptor, no process, no memory.

Growth is the slope of a line through the measurements after the first tenth, which may still fill caches. A
leak of one descriptor, process or page a cycle is far above the bound, and the last test shows that it is seen.
"""

from __future__ import annotations

import shutil
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from tests.chaos.neighbours import FULL, ask, echo_once, is_ready, own_processes, row
from tests.fleet import Fleet, fixture_entry, wait_until

CYCLES = 1000 if FULL else 18
FLEETS = 30 if FULL else 3
SAMPLES = 100


@dataclass(frozen=True)
class Bound:
    """What may be added by one cycle: far below one of anything."""

    count: float
    kb: float


A_SERVER = Bound(0.002, 1.0) if FULL else Bound(0.2, 60.0)
A_FLEET = Bound(0.1, 20.0) if FULL else Bound(1.2, 200.0)
"""Each fleet is measured in new processes, so noise of a few counts is spread over few cycles."""
RESTART = {"max_attempts": 3, "window_s": 1}


def anonymous_kb(pid: int) -> float:
    """Its own memory; unlike private pages, the count does not depend on which forks share them just now."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(float(line.split()[1]) for line in status if line.startswith("RssAnon:"))


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def slope(values: list[float]) -> float:
    """Growth a step, by least squares."""
    return statistics.linear_regression(range(len(values)), values).slope if len(values) > 2 else 0.0


@dataclass
class Growth:
    """Measurements of the fleet's own processes, one each few cycles."""

    every: int
    bound: Bound
    values: dict[str, list[float]] = field(default_factory=dict)

    def measure(self, fleet: Fleet) -> None:
        for name, pid in own_processes(fleet).items():
            self.note(f"{name} descriptors", descriptors(pid))
            self.note(f"{name} memory KB", anonymous_kb(pid))
        self.note("processes", len(fleet.descendants()))

    def note(self, what: str, value: float) -> None:
        self.values.setdefault(what, []).append(value)

    def a_cycle(self, what: str) -> float:
        values = self.values[what]
        return slope(values[len(values) // 10 :]) / self.every

    def assert_none(self, what: str) -> None:
        for name, values in self.values.items():
            print(
                f"{what}: {name:24} {values[0]:10.0f} → {values[-1]:10.0f}, {self.a_cycle(name):+.4f} a cycle"
            )
        for name in self.values:
            bound = self.bound.kb if name.endswith("KB") else self.bound.count
            assert self.a_cycle(name) <= bound, f"{name} grow by {self.a_cycle(name):.4f} a cycle"


WAYS = (("restart",), ("stop", "start"), ("roll",))
"""How a server is replaced by a fresh process, in turn."""


def cycle(fleet: Fleet, server: str, number: int) -> None:
    """Stop a server and start it again; it serves in another process."""
    before = row(fleet, server)["pid"]
    for command in WAYS[number % len(WAYS)]:
        ask(fleet, cmd=command, server=server)
    wait_until(lambda: is_ready(fleet, server, not_pid=before), 20, f"{server} is ready again")


@pytest.mark.bar
@pytest.mark.timeout(1800)
def test_starting_and_stopping_servers_leaves_nothing_behind() -> None:
    servers = {"thinking": {"port": 0}, "echo": fixture_entry("slow_echo", restart=RESTART)}
    with Fleet(servers) as fleet:
        growth = Growth(max(1, CYCLES // SAMPLES), A_SERVER)
        for number in range(CYCLES):
            cycle(fleet, "thinking", number)
            cycle(fleet, "echo", number)
            assert echo_once(fleet, "echo") == "answered"
            if number % growth.every == 0:
                growth.measure(fleet)
        growth.assert_none(f"{CYCLES} cycles")


@pytest.mark.roomy
@pytest.mark.bar
@pytest.mark.timeout(600)
def test_starting_and_stopping_the_fleet_leaves_nothing_behind() -> None:
    servers = {"thinking": {"port": 0}, "memory": {"port": 0}, "echo": fixture_entry("slow_echo")}
    fleet = Fleet(servers)
    growth, took_s = Growth(1, A_FLEET), []
    for _ in range(FLEETS):
        began_s = time.monotonic()
        with_fleet_up(fleet, growth)
        took_s.append(time.monotonic() - began_s)
        sockets = [path for path in fleet.state.rglob("*") if path.is_socket()]
        growth.note("socket files", len(sockets))
        growth.note("files", sum(1 for path in fleet.state.rglob("*") if path.is_file()))
        assert sockets == []
        assert not (fleet.state / "run.json").exists()
    shutil.rmtree(fleet.folder)
    print(f"a start and a stop: {statistics.median(took_s):.2f} s")
    growth.assert_none(f"{FLEETS} fleets")


def with_fleet_up(fleet: Fleet, growth: Growth) -> None:
    """One start and one stop in the same state folder; `stop` raises if a process is left."""
    fleet.start()
    try:
        assert echo_once(fleet, "echo") == "answered"
        growth.measure(fleet)
        family = fleet.descendants()
    finally:
        fleet.stop()
    assert [process for process in family if psutil.pid_exists(process.pid) and process.is_running()] == []


def test_a_leak_of_one_descriptor_a_cycle_would_be_seen() -> None:
    growth = Growth(1, A_SERVER)
    for number in range(CYCLES):
        growth.note("leaky descriptors", 20 + number)
        growth.note("leaky memory KB", 20_000 + 2 * A_SERVER.kb * number)
    with pytest.raises(AssertionError, match="leaky descriptors"):
        growth.assert_none("a leak")
    del growth.values["leaky descriptors"]
    with pytest.raises(AssertionError, match="leaky memory"):
        growth.assert_none("a leak")
