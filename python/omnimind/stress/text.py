"""A report for a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from omnimind.pictures.columns import LABEL, WIDTH, count, cut, labelled, rate, row
from omnimind.stress.report import Latency, Part, Report

_WIDTHS: Final = (26, 9, 9, 8, 8, 8, 7)
_MIB: Final = 2**20


def render(report: Report) -> str:
    """All of it; the same numbers as its JSON, rounded."""
    load = report.load
    lines = [
        *_head(report),
        *_counts(report),
        _latency("latency ms", load.latency_ms),
        *labelled("", "counted from the instant a call was due, to 0.1 %"),
    ]
    for title, rows in load.tables():
        lines += ["", *_table(title, rows)]
    lines += ["", *_errors(report)]
    if report.kills:
        lines += ["", *_kills(report)]
    if report.uses:
        lines += ["", *_uses(report)]
    return "\n".join([*lines, "", *_generator(report)]) + "\n"


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


def _head(report: Report) -> list[str]:
    title = "omnimind stress: "
    return [
        title + cut(report.plan["url"], WIDTH - len(title)),
        *labelled("load", headline(report.plan)),
        *(labelled("ended early", "by Ctrl-C") if report.interrupted else []),
        "",
    ]


def _counts(report: Report) -> list[str]:
    load = report.load
    offered = f" of {load.offered_per_s:,.1f} offered" if load.offered_per_s else ""
    lines = [
        *labelled(
            "throughput",
            f"{load.throughput_per_s:,.1f} right answers/s{offered}, over {load.elapsed_s:.1f} s",
        ),
        *labelled(
            "calls",
            f"{load.sent:,} sent, {load.right:,} right, {sum(load.errors.values()):,} failed, "
            f"{load.wrong + load.duplicate + load.unasked:,} wrong",
        ),
        *labelled(
            "measured",
            f"{load.measured:,} after the warm-up, {100 * load.failed_share:.3g} % not answered right",
        ),
    ]
    if load.waited_for_a_place:
        lines += labelled(
            "waited",
            f"{load.waited_for_a_place:,} calls, for one of {report.plan['concurrency']} connections; "
            f"{load.unsent:,} never sent",
        )
    return lines


def _latency(name: str, ms: Latency) -> str:
    words = (("p50", ms.p50), ("p90", ms.p90), ("p99", ms.p99), ("p99.9", ms.p999), ("max", ms.max))
    return f"{name:<{LABEL}}" + "  ".join(f"{word} {time(value)}" for word, value in words)


def _table(title: str, parts: Sequence[Part]) -> list[str]:
    _, calls, right, *_, failed = _WIDTHS
    rows = [
        [
            part.name,
            count(part.calls, calls),
            rate(part.throughput_per_s, right),
            *times(part, part.latency_ms.p50, part.latency_ms.p99, part.latency_ms.max),
            count(part.failed, failed),
        ]
        for part in parts
    ]
    head = [title, "calls", "right/s", "p50", "p99", "max", "failed"]
    return [row(cells, _WIDTHS) for cells in (head, *rows)]


def _errors(report: Report) -> list[str]:
    load = report.load
    if not load.errors:
        return labelled("errors", "none")
    lines = []
    for kind, number in sorted(load.errors.items(), key=lambda item: -item[1]):
        after = load.refusal_ms.get(kind)
        when = f", answered after p50 {time(after.p50)} p99 {time(after.p99)} ms" if after else ""
        lines += labelled("error", f"{kind}: {number:,}{when}")
    return lines


def _kills(report: Report) -> list[str]:
    lines = []
    for kill in report.kills:
        back = "not back" if kill.back_s is None else f"back after {kill.back_s:.1f} s"
        lines += labelled("kill -9", f"{kill.server} at {kill.at_s:.1f} s, {back}")
    return lines


def _uses(report: Report) -> list[str]:
    head = ["process", "CPU s", "us/call", "RSS MB", "peak MB", "PSS MB"]
    rows = [
        [
            use.name if use.processes == 1 else f"{use.name} ({use.processes} processes)",
            f"{use.cpu_s:.2f}",
            f"{use.cpu_us_per_call(report.load.sent):.1f}",
            f"{use.rss_last_bytes / _MIB:.0f}",
            f"{use.rss_peak_bytes / _MIB:.0f}",
            "-" if use.pss_bytes is None else f"{use.pss_bytes / _MIB:.0f}",
        ]
        for use in report.uses
    ]
    return [row(cells, _WIDTHS) for cells in (head, *rows)]


def _generator(report: Report) -> list[str]:
    load = report.load
    late = f", late by p99 {time(load.lag_ms.p99)} ms" if load.offered_per_s else ""
    lines = labelled(
        "generator",
        f"{load.cpu_us_per_call:.1f} us CPU a call, busy {100 * load.busy:.0f} %{late}, "
        f"{report.generator_rss_bytes / _MIB:.0f} MB",
    )
    for why in load.saturated_by:
        lines += labelled("SATURATED", why)
    lines += labelled("", "these figures may show the generator, not the target") if load.saturated else []
    for sample in load.samples:
        lines.append(f"{'WRONG':<{LABEL}}{cut(sample, WIDTH - LABEL)}")
    return lines
