"""The table of the original document: which line a p99 reaches, whose p99 it is, when a gate is closed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from benchmarks import benchmark, phase

from omnimind.bench import verdict
from omnimind.bench.report import Level, Phase
from omnimind.monitor.histogram import Histogram
from omnimind.monitor.report import Calls


@pytest.mark.parametrize(
    ("p99_ms", "level"),
    [(0.0, "excellent"), (9.999, "excellent"), (10.0, "good"), (49.99, "good"), (50.0, "good")],
)
def test_the_line_of_a_p99(p99_ms: float, level: Level) -> None:
    assert verdict.level(p99_ms, is_above=False) == level
    assert verdict.level(p99_ms, is_above=True) == "problem"


@pytest.mark.parametrize(
    ("high", "level", "bounds"), [(10, "good", (32.768, 50.0)), (11, "problem", (50.0, 65.536))]
)
def test_a_coarse_clock_knows_by_count_whether_p99_is_above_50_ms(
    high: int, level: Level, bounds: tuple[float, float]
) -> None:
    """980 of 1,000 calls are fast, and 20 somewhere between 33 and 66 ms: interpolation alone would guess."""
    found = phase("open 70 %")
    assert found.kernel is not None
    coarse = Calls(Histogram({(1024, 2048): 980, (32768, 65536): 20}), high=high)
    reached = verdict.judge(replace(found, kernel=replace(found.kernel, places={"gateway:1": coarse})))
    assert reached is not None
    assert (reached.level, reached.bounds_ms) == (level, bounds)
    assert bounds[0] <= reached.p99_ms <= bounds[1]
    well = replace(right("open 70 %"), kernel=replace(found.kernel, places={"gateway:1": coarse}))
    closed = verdict.breaches(benchmark(phases=(well,)), 50)
    assert bool(closed) == (level == "problem")


def test_the_table_is_the_originals() -> None:
    assert [(line.level, line.p99, line.original) for line in verdict.TABLE] == [
        ("excellent", "< 10 ms", "systemd is enough, kernel module optional"),
        ("good", "10-50 ms", "optimise Docker + systemd"),
        ("problem", "> 50 ms", "zero-copy kernel module (LKM) needed"),
    ]


def test_the_kernels_total_is_judged_and_the_gateways_without_it() -> None:
    both = phase("open 70 %", 3.0)
    by_kernel, by_gateway = verdict.judge(both), verdict.judge(replace(both, kernel=None))
    assert by_kernel is not None
    assert by_gateway is not None
    clocks = {clock.name: clock for clock in both.clocks}
    assert (by_kernel.clock, by_kernel.p99_ms) == ("kernel", clocks["kernel"].p99)
    assert (by_gateway.clock, by_gateway.p99_ms) == ("gateway", clocks["gateway"].p99)
    assert by_kernel.p99_ms != by_gateway.p99_ms
    assert by_kernel.client_p99_ms == clocks["client"].p99
    low_ms, high_ms = by_kernel.bounds_ms
    assert high_ms is not None
    assert low_ms <= by_kernel.p99_ms <= high_ms


def test_without_the_phase_or_without_calls_there_is_no_verdict() -> None:
    assert verdict.judge(None) is None
    assert verdict.judge(phase("open 70 %", names=(), kernel=False)) is None
    assert benchmark(phases=(phase("closed"),)).verdict is None


def right(name: str, **changes: Any) -> Phase:
    """A phase in which every call was answered right, but for the changes."""
    return phase(name, **{"sent": 1000, "right": 1000, "errors": {}, **changes})


def test_a_gate_is_open_when_all_is_well() -> None:
    found = benchmark(phases=(right("open 70 %"),))
    assert found.verdict is not None
    assert verdict.breaches(found, found.verdict.p99_ms) == []
    (closed,) = verdict.breaches(found, found.verdict.p99_ms - 0.001)
    assert closed.startswith("p99 is above ")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"wrong": 1}, "calls got another's answer, or more than one"),
        ({"duplicate": 1}, "calls got another's answer, or more than one"),
        ({"right": 990}, "1 % of the calls failed"),
        ({"unsent": 30}, "2.91 % of the calls failed"),
    ],
)
def test_what_closes_a_gate_at_any_p99(changes: dict[str, int], why: str) -> None:
    assert verdict.breaches(benchmark(phases=(right("open 70 %", **changes),)), 1e9) == [why]
    assert verdict.breaches(benchmark(phases=(right("open 70 %", right=991),)), 1e9) == []


def test_a_gate_is_closed_if_nothing_was_judged() -> None:
    (why,) = verdict.breaches(benchmark(phases=(right("closed"),)), 1e9)
    assert why.startswith("nothing was judged")
