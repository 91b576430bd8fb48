"""Each line of advice comes with its numbers, and not without."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from benchmarks import phase, times

from omnimind.bench.advice import advise
from omnimind.bench.report import Around, Health, Machine, Phase, Tokens
from omnimind.monitor.histogram import Histogram
from omnimind.monitor.report import Calls
from tests.unit.stress import reports

PLAIN = Machine(2, "A Processor", "Linux 6.18", 8 << 30)


def calm(name: str = "open 70 %", factor: float = 1.0, **changes: Any) -> Phase:
    """Nothing was refused, nothing failed, and there was CPU left."""
    around = phase(name, factor).around
    ms = {**reports.MS, "p99": 8.0}
    well = {"latency_ms": ms, "sent": 1000, "right": 1000, "errors": {}, "saturated": False, **changes}
    return replace(phase(name, factor, **well), around=Around(around.waits, {}, 0.5, 0.0, 0))


def lines(*phases: Phase, machine: Machine = PLAIN, health: Health | None = None) -> tuple[str, ...]:
    return advise(phases, phases[0] if phases else None, machine, health)


def one(found: tuple[str, ...], word: str) -> str:
    (line,) = [line for line in found if word in line]
    return line


def test_a_calm_run_says_where_the_time_goes_and_no_more() -> None:
    assert [line.split()[0] for line in lines(calm())] == ["Slow", "Callers", "Of"]
    assert lines() == ()


@pytest.mark.parametrize(
    ("wait", "queue", "service", "place", "help"),
    [
        (9.0, 1.0, 1.0, "unread in the socket", "too little CPU"),
        (1.0, 9.0, 1.0, "in the gateway's queue", "omnimind status --limits"),
        (1.0, 1.0, 9.0, "at the servers", "the tools' own time"),
    ],
)
def test_the_stretch_that_takes_most_of_a_slow_call(
    wait: float, queue: float, service: float, place: str, help: str
) -> None:
    found = calm()
    assert found.kernel is not None
    gateway = Calls(times(10.0), times(1.0), times(wait))
    waits = {
        "memory": Calls(service=times(service), wait=times(queue)),
        "git": Calls(service=times(0.01), wait=times(0.01)),
    }
    line = lines(
        replace(
            found,
            kernel=replace(found.kernel, places={"gateway:4320": gateway}),
            around=replace(found.around, waits=waits),
        )
    )[0]
    assert place in line
    assert help in line
    assert ("100 % of it memory" in line) == (place != "unread in the socket")


def test_the_server_and_the_tool_that_callers_wait_for() -> None:
    slow = {**reports.MS, "mean": 30.0}
    parts = {
        "servers": [
            reports.part("memory", calls=900, right=900),
            reports.part("git", calls=100, right=100, latency_ms=slow),
        ],
        "tools": [
            reports.part("memory__read_it", calls=900, right=900),
            reports.part("git__read_it", calls=100, right=100, latency_ms=slow),
        ],
    }
    line = one(lines(calm(**parts)), "Callers wait most")
    assert "for git: 57 % of all waiting, with 10 % of the calls" in line
    assert "of the tools for git read_it (57 %)" in line


def test_who_makes_the_tail_is_told_by_the_gateway() -> None:
    found = calm()
    slow = Histogram({(1000, 2000): 900, (90_000, 100_000): 30})
    places = {"memory read_it": Calls(Histogram({(1000, 2000): 1000})), "git read_it": Calls(slow)}
    found = replace(found, gateway=replace(found.gateway, places=places))
    assert "100 % are of git read_it" in one(lines(found), "Of the slowest")


def test_the_clients_own_way() -> None:
    ms = {**reports.MS, "p99": 500.0}
    assert "the rest is the client's own way" in one(
        lines(calm(latency_ms=ms)), "The client's p99 is 500.0 ms"
    )


def test_where_it_bends() -> None:
    half, most = calm("open 50 %", 0.2), calm("open 90 %", 2.0)
    line = one(advise((half, most), None, PLAIN, None), "plan for fewer")
    found = re.search(r"p99 is ([\d.]+) times that", line)
    assert found is not None
    assert 9 < float(found[1]) < 11


def test_what_was_refused_and_what_failed() -> None:
    found = phase("open 70 %", errors={"rpc_42901": 7, "timeout": 2})
    found = replace(found, around=replace(found.around, refusals={"overloaded": 7, "host": 1}))
    told = lines(found)
    assert "7 calls were refused, overloaded" in one(told, "omnimind status --limits")
    assert one(told, "refused, host").endswith("docs/errors.md says what that means.")
    assert one(told, "failed for the client").startswith(
        "9 calls failed for the client: rpc_42901 7, timeout 2"
    )


def test_full_and_stolen_cpus_and_a_generator_at_its_end() -> None:
    found = calm(saturated=True, saturated_by=["it made 5 of 9 arrivals"])
    found = replace(found, around=replace(found.around, cpu_busy=0.97, cpu_stolen=0.2))
    told = lines(found)
    assert "at open 70 %" in one(told, "CPUs were full")
    assert "up to 20 %" in one(told, "host gave")
    assert "it made 5 of 9 arrivals" in one(told, "In 1 of 1 phases the generator")


def test_container_and_unit() -> None:
    bridged = Machine(2, "A Processor", "Linux 6.18", 8 << 30, "docker", True, 1.5)
    found = calm()
    told = lines(replace(found, around=replace(found.around, throttled=12)), machine=bridged)
    assert "the limit of 1.5 CPUs made it stand still 12 times" in one(told, "Tune the unit")
    assert "--network host" in one(told, "Tune the container (docker)")
    assert "nothing to tune" in one(
        lines(found, machine=replace(bridged, bridged=False)), "container (docker)"
    )


def test_processes_that_ended() -> None:
    health = Health(12, 2, 0, Tokens(0, 0, 0))
    assert one(lines(calm(), health=health), "omnimind logs").startswith("2 processes ended by themselves")
