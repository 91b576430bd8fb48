"""A benchmark with a bit of everything, for the forms of its report; made up, and different by clock and phase."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace
from functools import cache
from typing import Any

from omnimind.bench import verdict
from omnimind.bench.report import Around, Benchmark, Health, Machine, Phase, Tokens
from omnimind.monitor.histogram import Histogram
from omnimind.monitor.report import Calls, Report, Source
from tests.unit.stress import reports

NAMES = ("memory", "git")


def _edges() -> list[int]:
    edges = [1]
    while edges[-1] < 10**10:
        edges.append(int(edges[-1] * 1.1 + 1))
    return edges


EDGES = _edges()
"""Of buckets that are a tenth wide."""


@cache
def times(factor: float = 1.0, calls: int = 1000) -> Histogram:
    """Most calls fast, one in a hundred slow."""
    found: dict[tuple[int, int | None], int] = {}
    for at in range(calls):
        share = (at + 0.5) / calls
        us = factor * (800 + 600 * share + 40 * (1 - share) ** -1.1)
        at_edge = bisect_right(EDGES, us, key=lambda edge: edge * 1.1 + 1)
        bucket = (EDGES[at_edge], EDGES[at_edge + 1])
        found[bucket] = found.get(bucket, 0) + 1
    return Histogram(found)


def calls(factor: float, number: int, *, split: bool = False) -> Calls:
    total = times(factor, number)
    if not split:
        return Calls(total, high=total.at_least(50_000))
    return Calls(total, times(factor * 0.8, number), times(factor * 0.15, number), total.at_least(50_000))


def phase(
    name: str, factor: float = 1.0, *, kernel: bool = True, names: tuple[str, ...] = NAMES, **changes: Any
) -> Phase:
    """As the clocks saw a stretch of load; `changes` are to the generator's words."""
    tools = [f"{server}__read_it" for server in names]
    share = 1000 // max(1, len(names))
    parts = {
        "servers": [reports.part(server, calls=share) for server in names],
        "tools": [reports.part(tool, calls=share) for tool in tools],
        "phases": [reports.part("all", length_s=15.0)],
        "sent": 1000,
        "right": 990,
    }
    client = reports.report(**{**parts, **changes})
    plan = {
        **client.plan,
        "calls": [{"tool": tool, "server": server} for tool, server in zip(tools, names, strict=True)],
    }
    places = {f"{server} read_it": calls(factor * 0.9, share) for server in names}
    ports = {"gateway:4320": calls(factor * 0.95, 1000, split=True)}
    seen = Report(Source("kernel", "tracepoints by bpftrace 0.23.2, ports 4320 to 4329"), 15.0, ports)
    waits = {
        server: Calls(service=times(factor * 0.7, share), wait=times(factor * 0.1, share)) for server in names
    }
    return Phase(
        name,
        replace(client, plan=plan),
        Report(Source("gateway", "from a request's head to the last word of its answer"), 15.0, places),
        seen if kernel else None,
        Around(waits, {"overloaded": 3}, 0.61, 0.01, 2),
    )


def benchmark(**changes: Any) -> Benchmark:
    """Four phases by three clocks."""
    phases = (
        phase("closed", 3.0, offered_per_s=None),
        phase("open 50 %", 0.9),
        phase("open 70 %", 1.0),
        phase("open 90 %", 2.0),
    )
    found = Benchmark(
        "0.1.0",
        "2026-11-23T00:00:00+00:00",
        Machine(2, "A Processor @ 2.1 GHz", "Linux 6.18", 8 << 30, "docker", True, 1.5),
        "a fleet of the nine built-in servers, started for this",
        60.0,
        100,
        1,
        False,
        phases,
        Health(12, 1, 2, Tokens(400, 120_000, 90_000), Tokens(200, 100_000, 21_000)),
        advice=("Slow calls are slow at the servers: p99 9.1 ms there, 12.0 ms in all.", "Tune the unit."),
        notes=("this clock has no bound at 50 ms: counted as high is what took 51.2 ms",),
    )
    found = replace(found, **changes)
    return replace(found, verdict=verdict.judge(found.judged))
