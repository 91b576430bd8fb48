"""A report with a bit of everything, in the generator's own words."""

from __future__ import annotations

from typing import Any

from omnimind.stress.chaos import Kill
from omnimind.stress.mix import Call, Mix
from omnimind.stress.plan import Plan
from omnimind.stress.report import Load, Report
from omnimind.stress.usage import Use

MS = {"mean": 2.5, "p50": 2.1, "p90": 3.4, "p99": 41.25, "p99.9": 180.5, "max": 201.0}


def part(name: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "calls": 1000,
        "right": 990,
        "wrong": 0,
        "errors": {"rpc_42901": 10},
        "throughput_per_s": 99.0,
        "latency_ms": MS,
        **more,
    }


def moment(at_s: float, failed: int = 0) -> dict[str, Any]:
    latency = {"p50_ms": 2.1, "p99_ms": 40.0, "max_ms": 201.0, "by_power": [0, 3, 90, 6, 1]}
    return {"at_s": at_s, "length_s": 1.0, "right": 100, "failed": failed, "latency": latency}


def found(**changes: Any) -> dict[str, Any]:
    """What the generator says."""
    return {
        "transport": "http",
        "elapsed_s": 10.0,
        "throughput_per_s": 99.0,
        "offered_per_s": 100.0,
        "measured": 1000,
        "failed_share": 0.01,
        "sent": 1200,
        "right": 1190,
        "wrong": 0,
        "duplicate": 0,
        "unasked": 0,
        "missing": 0,
        "unsent": 0,
        "waited_for_a_place": 0,
        "errors": {"rpc_42901": 10},
        "samples": [],
        "latency_ms": MS,
        "service_ms": MS,
        "lag_ms": {**MS, "p99": 0.08},
        "refusal_ms": {"rpc_42901": MS},
        "phases": [
            part("before", offered_per_s=100.0, length_s=5.0),
            part("spike", offered_per_s=500.0, length_s=5.0),
        ],
        "tools": [part("memory__open_nodes")],
        "servers": [part("memory")],
        "eras": [part("modern")],
        "curve": [[0.0, 1.0], [50.0, 2.1], [90.0, 3.4], [99.0, 41.25], [99.9, 180.5], [100.0, 201.0]],
        "timeline": [moment(0.0), moment(1.0, failed=10), moment(2.0)],
        "cpu_s": 0.01,
        "cpu_us_per_call": 8.4,
        "busy": 0.03,
        "saturated": False,
        "saturated_by": [],
        **changes,
    }


def plan(**changes: Any) -> Plan:
    calls = (Call("memory__open_nodes", "memory"),)
    given = {"token": "secret-token", "mix": Mix(calls), "rate_per_s": 100.0, "concurrency": 1000}
    return Plan("http://127.0.0.1:4320/mcp", **{**given, "duration_s": 10.0, **changes})


def report(**changes: Any) -> Report:
    """With these changes to what the generator says."""
    uses = [
        Use("gateway", 0.06, 20 << 20, 24 << 20, 25 << 20, 18 << 20, 1),
        Use("memory", 0.6, 60 << 20, 60 << 20, 61 << 20, None, 2),
    ]
    kills = [Kill("memory", 4121, 5.0, 0.4), Kill("git", 4122, 9.0, None)]
    return Report(
        "0.1.0",
        "2026-11-23T00:00:00+00:00",
        plan().described(),
        Load.of(found(**changes)),
        uses,
        kills,
        30 << 20,
    )
