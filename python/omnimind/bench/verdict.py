"""What the p99 means, by the table of the original document, and what we do instead of its last line. Pure.

Judged is the p99 of an open loop at 70 % of what the fleet can do: by the kernel's total at the gateway's port where
it was watched, else by the gateway's own clock. Both count the calls above 50 ms exactly, so whether p99 is above that
is certain even where a clock's buckets are coarse.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from omnimind.bench.report import Benchmark, Level, Phase, Verdict, at_gateway

EXCELLENT_MS: Final = 10.0
GATE_MS: Final = 50.0
MOST_ERRORS: Final = 0.01
"""The share of calls from which on a gate is closed."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table: which p99 it is about, what the document says there, and what we say."""

    level: Level
    p99: str
    original: str
    ours: str


TABLE: Final = (
    Line(
        "excellent",
        "< 10 ms",
        "systemd is enough, kernel module optional",
        "nothing to do; the units of `omnimind systemd install` are enough",
    ),
    Line(
        "good",
        "10-50 ms",
        "optimise Docker + systemd",
        "tune container and unit (see advice), then what the advice names first",
    ),
    Line(
        "problem",
        "> 50 ms",
        "zero-copy kernel module (LKM) needed",
        "no kernel module helps: the time is in wait, queue or server (see advice)",
    ),
)
NO_MODULE: Final = (
    "No kernel module is shipped. All that one could save is the way through the socket: a round trip between two "
    "processes takes 13 us over loopback TCP and 8 us over a Unix socket, 40 % less, and gateway and servers speak "
    "over Unix sockets already. A p99 above 50 ms is never the socket; a module would put our faults into the kernel."
)


def judge(phase: Phase | None) -> Verdict | None:
    """The verdict on this phase; None without one, or if no call was seen."""
    if phase is None:
        return None
    calls = at_gateway(phase.kernel) if phase.kernel else phase.gateway.all
    clock = phase.clock("kernel" if phase.kernel else "gateway")
    bucket = calls.total.bucket_at(99)
    if clock is None or clock.p99 is None or bucket is None:
        return None
    client = phase.clock("client")
    low_ms, high_ms = bucket[0] / 1000, None if bucket[1] is None else bucket[1] / 1000
    is_above = calls.high * 100 > calls.total.calls
    if low_ms < GATE_MS < (high_ms or float("inf")):
        low_ms, high_ms = (GATE_MS, high_ms) if is_above else (low_ms, GATE_MS)
    p99_ms = min(max(clock.p99, low_ms), high_ms or float("inf"))
    return Verdict(
        level(p99_ms, is_above=is_above),
        clock.name,
        p99_ms,
        client.p99 if client else None,
        (low_ms, high_ms),
    )


def level(p99_ms: float, *, is_above: bool) -> Level:
    """The line of the table that this p99 reaches; whether it is above 50 ms is known by count."""
    if is_above:
        return "problem"
    return "excellent" if p99_ms < EXCELLENT_MS else "good"


def breaches(benchmark: Benchmark, limit_ms: float) -> list[str]:
    """Why a gate at this p99 is closed; nothing if it is open."""
    loads = [phase.client.load for phase in benchmark.phases]
    found = []
    if benchmark.verdict is None:
        found.append("nothing was judged: no call was answered at the rate that is")
    elif benchmark.verdict.level == "problem" if limit_ms == GATE_MS else benchmark.verdict.p99_ms > limit_ms:
        found.append(f"p99 is above {limit_ms:g} ms: {benchmark.verdict.p99_ms:g} ms")
    if not all(load.is_correct for load in loads):
        found.append("calls got another's answer, or more than one")
    failed = sum(load.sent - load.right + load.unsent for load in loads)
    share = failed / max(1, sum(load.sent + load.unsent for load in loads))
    if share >= MOST_ERRORS:
        found.append(f"{100 * share:.3g} % of the calls failed")
    return found
