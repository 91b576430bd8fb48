"""A report for a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from textwrap import fill
from typing import Any, Final

from omnimind.stress.report import Latency, Part, Report

_WIDTH: Final = 80
_NAME: Final = 26
_MIB: Final = 2**20


def render(report: Report) -> str:
    """All of it; the same numbers as its JSON, rounded."""
    load = report.load
    parts = [
        _head(report),
        _counts(report),
        _latency("latency ms", load.latency_ms),
        "                counted from the instant a call was due, to 0.1 %",
    ]
    for title, rows in load.tables():
        parts += ["", _table(title, rows)]
    parts += ["", _errors(report)]
    if report.kills:
        parts += ["", _kills(report)]
    if report.uses:
        parts += ["", _uses(report)]
    parts += ["", *_generator(report)]
    return "\n".join(parts) + "\n"


def headline(plan: Mapping[str, Any]) -> str:
    """What kind of run it is, in a line."""
    if plan["loop"] == "open":
        kind = f"open loop, {plan['rate_per_s']:g} calls/s ({plan['arrivals']})"
    else:
        kind = f"closed loop, {plan['concurrency']} callers"
    memory = ", nothing from memory" if plan["no_store"] else ""
    return f"{kind}, {plan['profile']}, {plan['eras']}{memory}; {plan['duration_s']:g} s after {plan['warm_up_s']:g} s"


def time(ms: float) -> str:
    """Milliseconds with three digits, or two after the point if there are more before it."""
    return f"{ms:.3f}" if ms < 10 else f"{ms:.2f}" if ms < 100 else f"{ms:.1f}" if ms < 1000 else f"{ms:.0f}"


def times(part: Part, *values: float) -> list[str]:
    """Latencies of a part; dashes where nothing was answered right."""
    return [time(value) if part.right else "-" for value in values]


def _head(report: Report) -> str:
    cut = "\nended early by Ctrl-C" if report.interrupted else ""
    return f"omnimind stress: {report.plan['url']}\n{fill(headline(report.plan), _WIDTH)}{cut}\n"


def _counts(report: Report) -> str:
    load = report.load
    offered = f" of {load.offered_per_s:,.1f} offered" if load.offered_per_s else ""
    lines = [
        f"throughput      {load.throughput_per_s:,.1f} right answers/s{offered}, over {load.elapsed_s:.1f} s",
        f"calls           {load.sent:,} sent, {load.right:,} right, {sum(load.errors.values()):,} failed, "
        f"{load.wrong + load.duplicate + load.unasked:,} wrong",
        f"measured        {load.measured:,} after the warm-up, {100 * load.failed_share:.3g} % not answered right",
    ]
    if load.waited_for_a_place:
        lines.append(
            f"waited          {load.waited_for_a_place:,} calls, for one of {report.plan['concurrency']} connections;"
            f" {load.unsent:,} never sent"
        )
    return "\n".join(lines)


def _latency(name: str, ms: Latency) -> str:
    words = (("p50", ms.p50), ("p90", ms.p90), ("p99", ms.p99), ("p99.9", ms.p999), ("max", ms.max))
    return f"{name:<16}" + "  ".join(f"{word} {time(value)}" for word, value in words)


def _table(title: str, parts: Sequence[Part]) -> str:
    rows = [
        [
            _cut(part.name),
            f"{part.calls:,}",
            f"{part.throughput_per_s:,.1f}",
            *times(part, part.latency_ms.p50, part.latency_ms.p99, part.latency_ms.max),
            f"{part.failed:,}",
        ]
        for part in parts
    ]
    return _aligned([title, "calls", "right/s", "p50", "p99", "max", "failed"], rows)


def _aligned(head: list[str], rows: Iterable[list[str]]) -> str:
    """Names to the left, numbers to the right."""
    widths = (_NAME, 9, 9, 8, 8, 8, 7)
    lines = []
    for row in (head, *rows):
        cells = [f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=False)]
        lines.append(f"{row[0]:<{_NAME}}" + "".join(cells))
    return "\n".join(lines)


def _cut(name: str) -> str:
    return name if len(name) < _NAME else name[: _NAME - 2] + "…"


def _errors(report: Report) -> str:
    load = report.load
    if not load.errors:
        return "errors          none"
    lines = []
    for kind, count in sorted(load.errors.items(), key=lambda item: -item[1]):
        after = load.refusal_ms.get(kind)
        when = f", answered after p50 {time(after.p50)} p99 {time(after.p99)} ms" if after else ""
        lines.append(f"error           {kind}: {count:,}{when}")
    return "\n".join(lines)


def _kills(report: Report) -> str:
    kills = [
        f"{kill.server} at {kill.at_s:.1f} s, "
        + ("not back" if kill.back_s is None else f"back after {kill.back_s:.1f} s")
        for kill in report.kills
    ]
    return "\n".join(f"{'kill -9':<16}{kill}" for kill in kills)


def _uses(report: Report) -> str:
    head = ["process", "CPU s", "us/call", "RSS MB", "peak MB", "PSS MB"]
    rows = [
        [
            _cut(use.name if use.processes == 1 else f"{use.name} ({use.processes} processes)"),
            f"{use.cpu_s:.2f}",
            f"{use.cpu_us_per_call(report.load.sent):.1f}",
            f"{use.rss_last_bytes / _MIB:.0f}",
            f"{use.rss_peak_bytes / _MIB:.0f}",
            "-" if use.pss_bytes is None else f"{use.pss_bytes / _MIB:.0f}",
        ]
        for use in report.uses
    ]
    return _aligned(head, rows)


def _generator(report: Report) -> list[str]:
    load = report.load
    late = f", late by p99 {time(load.lag_ms.p99)} ms" if load.offered_per_s else ""
    lines = [
        f"generator       {load.cpu_us_per_call:.1f} us CPU a call, busy {100 * load.busy:.0f} %{late}, "
        f"{report.generator_rss_bytes / _MIB:.0f} MB"
    ]
    lines += [f"SATURATED       {why}:" for why in load.saturated_by]
    lines += (
        ["                these figures may show the generator, not the target"] if load.saturated else []
    )
    lines += [f"WRONG           {sample[: _WIDTH - 16]}" for sample in load.samples]
    return lines
