"""A benchmark's report for a terminal of 80 columns: the original document's block, then all that is beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from omnimind.bench import verdict
from omnimind.bench.report import Benchmark, Phase, Row, Tokens
from omnimind.monitor.histogram import Histogram
from omnimind.pictures.columns import LABEL, count, labelled, row, wrapped
from omnimind.stress import usage
from omnimind.stress.text import time

_CLOCKS: Final = (LABEL, *(10,) * 6)
_SERVERS: Final = (24, *(8,) * 7)
_TOOLS: Final = (31, *(8,) * 6)
_PORTS: Final = (20, 9, 6, *(7,) * 6)
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
        *labelled("machine", f"{machine.cpus} CPUs, {machine.model}, {machine.kernel}"),
        *labelled("fleet", found.fleet),
        *labelled(
            "load", f"{found.concurrency} callers{rate}; {found.duration_s:g} s, seed {found.seed}{memory}"
        ),
        *labelled("clocks", ", ".join(clocks) or "none"),
    ]
    for note in found.notes:
        lines += labelled("note", note)
    if found.interrupted:
        lines += labelled("ended early", "by Ctrl-C; this is what was measured until then")
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
    lines = [*wrapped(head + busy), _row(_CLOCKS, "ms", ["calls", ">50ms", "p50", "p90", "p99", "p99.9"])]
    for clock in phase.clocks:
        times = map(_ms, (clock.p50, clock.p90, clock.p99, clock.p999))
        name = "kernel, total" if clock.name == "kernel" else clock.name
        lines.append(_row(_CLOCKS, name, [count(clock.calls, 10), _count(clock.high, 10), *times]))
        for part, p50, p99 in (
            ("  wait", clock.wait_p50, clock.wait_p99),
            ("  service", clock.service_p50, clock.service_p99),
        ):
            if p50 is not None:
                lines.append(_row(_CLOCKS, part, ["", "", _ms(p50), "", _ms(p99), ""]))
    return "\n".join(lines)


def _servers(phase: Phase) -> str:
    waits = phase.around.waits
    lines = [_row(_SERVERS, f"{phase.name}, ms", ["client", "p50", "p99", "gateway", "p50", "p99", "queued"])]
    for server in phase.servers:
        waited = waits[server.name].wait if server.name in waits else Histogram()
        us = waited.percentile_us(99)
        lines.append(_row(_SERVERS, server.name, [*_both(server), "-" if us is None else time(us / 1000)]))
    return "\n".join([*lines, "(each clock's calls, p50 and p99; queued: p99 of the wait before the server)"])


def _tools(phase: Phase) -> str:
    lines = [_row(_TOOLS, f"{phase.name}, ms", ["client", "p50", "p99", "gateway", "p50", "p99"])]
    lines += [_row(_TOOLS, tool.name, _both(tool)) for tool in phase.tools]
    return "\n".join(
        [*lines, "(a tool that is called in several ways has the client's times of the slowest)"]
    )


def _both(row: Row) -> list[str]:
    return [
        cell
        for clock in (row.client, row.gateway)
        for cell in ((count(clock.calls, 8), _ms(clock.p50), _ms(clock.p99)) if clock else ("-", "-", "-"))
    ]


def _ports(found: Benchmark) -> str:
    head = ["calls", ">50ms", "p50", "p99", "p50", "p99", "p50", "p99"]
    lines = [
        f"{'kernel, ms':<20}{'':15}{'wait':>14}{'service':>14}{'total':>14}",
        _row(_PORTS, "port", head),
    ]
    for name, clock in found.ports.items():
        times = (clock.wait_p50, clock.wait_p99, clock.service_p50, clock.service_p99, clock.p50, clock.p99)
        cells = [count(clock.calls, 9), _count(clock.high, 6), *map(_ms, times)]
        lines.append(_row(_PORTS, name, cells))
    return "\n".join(lines)


def _processes(phases: Sequence[Phase]) -> str:
    sent = sum(phase.client.load.sent for phase in phases)
    lines = [_row(_SERVERS, "process", ["CPU s", "us/call", "RSS MB", "peak MB", "PSS MB"])]
    for use in usage.together(phase.client.uses for phase in phases):
        cells = [
            f"{use.cpu_s:.2f}",
            f"{use.cpu_us_per_call(sent):.1f}",
            _mib(use.rss_last_bytes),
            _mib(use.rss_peak_bytes),
            _mib(use.pss_bytes),
        ]
        lines.append(_row(_SERVERS, use.name, cells))
    cpu_s = sum(phase.client.load.cpu_s for phase in phases)
    rss = phases[-1].client.generator_rss_bytes
    cells = [f"{cpu_s:.2f}", f"{cpu_s * 1e6 / max(1, sent):.1f}", _mib(rss), "", ""]
    lines.append(_row(_SERVERS, "(generator)", cells))
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
        *labelled("crash rate", crashes),
        *labelled("tokens saved", _saved(health.shipped, "as shipped")),
    ]
    if health.compressing:
        lines += labelled("", _saved(health.compressing, "with compression on, of what can be compressed"))
    return "\n".join(lines)


def _saved(tokens: Tokens, how: str) -> str:
    return f"{100 * tokens.saved:.1f} % {how}: {tokens.results:,} results, {tokens.before:,} to {tokens.after:,} tokens"


def _verdict(found: Benchmark) -> str:
    reached = found.verdict
    if reached is None:
        return "\n".join(labelled("verdict", "none: the run did not come so far"))
    client = (
        f", {time(reached.client_p99_ms)} ms by the client's" if reached.client_p99_ms is not None else ""
    )
    words = f"{reached.level}: p99 at open 70 % is {time(reached.p99_ms)} ms by the {reached.clock}'s clock{client}"
    low, high = reached.bounds_ms
    lines = labelled("verdict", words)
    lines += labelled(
        "", f"(it is between {time(low)} and {time(high)} ms)" if high else f"(it is above {time(low)} ms)"
    )
    for line in verdict.TABLE:
        mark = "*" if line.level == reached.level else " "
        lines.append(f"{mark} {line.p99:<14}{line.level}; original: {line.original}")
        lines += labelled("", line.ours)
    return "\n".join([*lines, *wrapped(verdict.NO_MODULE)])


def _advice(found: Benchmark) -> str:
    lines = found.advice or ("nothing stands out",)
    return "\n".join(["advice", *(part for line in lines for part in wrapped(line, "- ", "  "))])


def _row(widths: Sequence[int], name: str, cells: Iterable[str]) -> str:
    return row([name, *cells], widths).rstrip()


def _ms(value: float | None) -> str:
    return "-" if value is None else time(value)


def _count(value: int | None, room: int) -> str:
    return "-" if value is None else count(value, room)


def _mib(value: int | None) -> str:
    return "-" if value is None else f"{value / _MIB:.0f}"
