"""A benchmark's report for a terminal of 80 columns: the original document's block, then all that is beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from textwrap import fill
from typing import Final

from omnimind.bench import verdict
from omnimind.bench.report import Benchmark, Phase, Row, Tokens
from omnimind.monitor.histogram import Histogram
from omnimind.stress.text import time
from omnimind.stress.usage import Use

WIDTH: Final = 80
_LABEL: Final = 16
_MIB: Final = 2**20


def render(found: Benchmark) -> str:
    """All of it, with the numbers of the JSON."""
    parts = [_head(found)]
    if found.phases:
        parts += [_block(found), *map(_phase, found.phases)]
        shown = found.judged or found.phases[-1]
        parts += [_servers(shown), _tools(shown)]
        parts += [_ports(found)] if found.ports else []
        parts += [_processes(found.phases)]
    else:
        parts.append("nothing was measured")
    parts += [_health(found)] if found.health else []
    parts += [_verdict(found), _advice(found)]
    return "\n\n".join(parts) + "\n"


def _head(found: Benchmark) -> str:
    machine = found.machine
    memory = ", nothing from the gateway's memory" if found.no_store else ""
    rate = f", then 50, 70 and 90 % of {found.rate_per_s:,.1f} calls/s" if len(found.phases) > 1 else ""
    clocks = [clock.name for clock in found.phases[0].clocks] if found.phases else []
    lines = [
        f"omnimind bench {found.version}, {found.began_utc}",
        *_labelled("machine", f"{machine.cpus} CPUs, {machine.model}, {machine.kernel}"),
        *_labelled("fleet", found.fleet),
        *_labelled(
            "load", f"{found.concurrency} callers{rate}; {found.duration_s:g} s, seed {found.seed}{memory}"
        ),
        *_labelled("clocks", ", ".join(clocks) or "none"),
    ]
    for note in found.notes:
        lines += _labelled("note", note)
    if found.interrupted:
        lines += _labelled("ended early", "by Ctrl-C; this is what was measured until then")
    return "\n".join(lines)


def _block(found: Benchmark) -> str:
    whole = found.whole("kernel") or found.whole("gateway")
    return (
        ""
        if whole is None
        else "\n".join([f"all phases, by the {whole.source.clock}'s clock", *whole.block()])
    )


def _phase(phase: Phase) -> str:
    load = phase.client.load
    offered = f" of {load.offered_per_s:,.1f}" if load.offered_per_s else ""
    failed = load.sent - load.right + load.unsent
    head = f"{phase.name}: {load.throughput_per_s:,.1f}{offered} right answers/s, {failed:,} failed"
    busy = f", CPUs {100 * phase.around.cpu_busy:.0f} % busy" if phase.around.cpu_busy is not None else ""
    lines = [head + busy, _cells("ms", ["calls", ">50ms", "p50", "p90", "p99", "p99.9"])]
    for clock in phase.clocks:
        times = map(_ms, (clock.p50, clock.p90, clock.p99, clock.p999))
        name = "kernel, total" if clock.name == "kernel" else clock.name
        lines.append(_cells(name, [f"{clock.calls:,}", _count(clock.high), *times]))
        for part, p50, p99 in (
            ("  wait", clock.wait_p50, clock.wait_p99),
            ("  service", clock.service_p50, clock.service_p99),
        ):
            if p50 is not None:
                lines.append(_cells(part, ["", "", _ms(p50), "", _ms(p99), ""]))
    return "\n".join(lines)


def _servers(phase: Phase) -> str:
    waits = phase.around.waits
    lines = [_row(24, f"{phase.name}, ms", ["client", "p50", "p99", "gateway", "p50", "p99", "queued"])]
    for row in phase.servers:
        waited = waits[row.name].wait if row.name in waits else Histogram()
        us = waited.percentile_us(99)
        lines.append(_row(24, row.name, [*_both(row), "-" if us is None else time(us / 1000)]))
    return "\n".join([*lines, "(each clock's calls, p50 and p99; queued: p99 of the wait before the server)"])


def _tools(phase: Phase) -> str:
    lines = [_row(31, f"{phase.name}, ms", ["client", "p50", "p99", "gateway", "p50", "p99"])]
    lines += [_row(31, row.name, _both(row)) for row in phase.tools]
    return "\n".join(
        [*lines, "(a tool that is called in several ways has the client's times of the slowest)"]
    )


def _both(row: Row) -> list[str]:
    return [
        cell
        for clock in (row.client, row.gateway)
        for cell in ((f"{clock.calls:,}", _ms(clock.p50), _ms(clock.p99)) if clock else ("-", "-", "-"))
    ]


def _ports(found: Benchmark) -> str:
    head = ["calls", ">50ms", "p50", "p99", "p50", "p99", "p50", "p99"]
    lines = [
        f"{'kernel, ms':<20}{'':15}{'wait':>14}{'service':>14}{'total':>14}",
        _narrow("port", head),
    ]
    for name, clock in found.ports.items():
        times = (clock.wait_p50, clock.wait_p99, clock.service_p50, clock.service_p99, clock.p50, clock.p99)
        lines.append(_narrow(name, [f"{clock.calls:,}", _count(clock.high), *map(_ms, times)]))
    return "\n".join(lines)


def _processes(phases: Sequence[Phase]) -> str:
    """Over all phases: CPU adds up, memory is the last and the most."""
    sent = sum(phase.client.load.sent for phase in phases)
    uses: dict[str, list[Use]] = {}
    for phase in phases:
        for use in phase.client.uses:
            uses.setdefault(use.name, []).append(use)
    lines = [_row(24, "process", ["CPU s", "us/call", "RSS MB", "peak MB", "PSS MB"])]
    for name, of in uses.items():
        cpu_s = sum(use.cpu_s for use in of)
        peak = max(use.rss_peak_bytes for use in of)
        pss = of[-1].pss_bytes
        cells = [
            f"{cpu_s:.2f}",
            f"{cpu_s * 1e6 / max(1, sent):.1f}",
            _mib(of[-1].rss_last_bytes),
            _mib(peak),
            _mib(pss),
        ]
        lines.append(_row(24, name, cells))
    cpu_s = sum(phase.client.load.cpu_s for phase in phases)
    rss = phases[-1].client.generator_rss_bytes
    lines.append(
        _row(24, "(generator)", [f"{cpu_s:.2f}", f"{cpu_s * 1e6 / max(1, sent):.1f}", _mib(rss), "", ""])
    )
    return "\n".join(lines)


def _health(found: Benchmark) -> str:
    health = found.health
    if health is None:
        return ""
    kills = f", {health.kills} killed on purpose" if health.kills else ""
    crashes = (
        f"{100 * health.crash_rate:.3g} %: {health.exits} unplanned exits of {health.starts} starts{kills}"
    )
    lines = [
        *_labelled("crash rate", crashes),
        *_labelled("tokens saved", _saved(health.shipped, "as shipped")),
    ]
    if health.compressing:
        lines += _labelled("", _saved(health.compressing, "with compression on, of what can be compressed"))
    return "\n".join(lines)


def _saved(tokens: Tokens, how: str) -> str:
    return f"{100 * tokens.saved:.1f} % {how}: {tokens.results:,} results, {tokens.before:,} to {tokens.after:,} tokens"


def _verdict(found: Benchmark) -> str:
    reached = found.verdict
    if reached is None:
        return "\n".join(_labelled("verdict", "none: the run did not come so far"))
    client = (
        f", {time(reached.client_p99_ms)} ms by the client's" if reached.client_p99_ms is not None else ""
    )
    words = f"{reached.level}: p99 at open 70 % is {time(reached.p99_ms)} ms by the {reached.clock}'s clock{client}"
    low, high = reached.bounds_ms
    lines = _labelled("verdict", words)
    lines += _labelled(
        "", f"(it is between {time(low)} and {time(high)} ms)" if high else f"(it is above {time(low)} ms)"
    )
    for line in verdict.TABLE:
        mark = "*" if line.level == reached.level else " "
        lines.append(f"{mark} {line.p99:<14}{line.level}; original: {line.original}")
        lines.append(fill(line.ours, WIDTH, initial_indent=" " * _LABEL, subsequent_indent=" " * _LABEL))
    return "\n".join([*lines, fill(verdict.NO_MODULE, WIDTH)])


def _advice(found: Benchmark) -> str:
    lines = found.advice or ("nothing stands out",)
    return "\n".join(
        ["advice", *(fill(line, WIDTH, initial_indent="- ", subsequent_indent="  ") for line in lines)]
    )


def _labelled(label: str, words: str) -> list[str]:
    return fill(words, WIDTH, initial_indent=f"{label:<{_LABEL}}", subsequent_indent=" " * _LABEL).split("\n")


def _cells(name: str, cells: Iterable[str]) -> str:
    return f"{name:<{_LABEL}}" + "".join(f"{cell:>10}" for cell in cells).rstrip()


def _row(width: int, name: str, cells: Iterable[str]) -> str:
    return (f"{_cut(name, width):<{width}}" + "".join(f"{cell:>8}" for cell in cells)).rstrip()


def _narrow(name: str, cells: Iterable[str]) -> str:
    return f"{_cut(name, 20):<20}" + "".join(
        f"{cell:>{width}}" for cell, width in zip(cells, (9, 6, 7, 7, 7, 7, 7, 7), strict=False)
    )


def _cut(name: str, width: int) -> str:
    return name if len(name) < width else name[: width - 2] + "…"


def _ms(value: float | None) -> str:
    return "-" if value is None else time(value)


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _mib(value: int | None) -> str:
    return "-" if value is None else f"{value / _MIB:.0f}"
