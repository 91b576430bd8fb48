"""The table of the original document: which line a p99 reaches, whose p99 it is, when a gate is closed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from benchmarks import benchmark, phase

from omnimind.bench import verdict
from omnimind.bench.report import Level


@pytest.mark.parametrize(
    ("p99_ms", "level"),
    [
        (0.0, "excellent"),
        (9.999, "excellent"),
        (10.0, "good"),
        (49.99, "good"),
        (50.0, "problem"),
        (1e6, "problem"),
    ],
)
def test_the_line_of_a_p99(p99_ms: float, level: Level) -> None:
    assert verdict.level(p99_ms) == level


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


def right(name: str, **changes: object) -> object:
    """A phase in which every call was answered right, but for the changes."""
    return phase(name, **{"sent": 1000, "right": 1000, "errors": {}, **changes})  # type: ignore[arg-type]


def test_a_gate_is_open_when_all_is_well() -> None:
    found = benchmark(phases=(right("open 70 %"),))
    assert found.verdict is not None
    assert verdict.breaches(found, found.verdict.p99_ms) == []
    (closed,) = verdict.breaches(found, found.verdict.p99_ms - 0.001)
    assert closed.startswith("p99 is ")


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
