"""A benchmark as one HTML page that loads nothing: the verdict first, then the clocks side by side, then who and where.

The numbers are those of the other forms of the report: a cell of a clock says which (`data-phase`, `data-clock`) and
what of it (`data-value`, a field of `Clock`), so that a test can hold the forms against each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from omnimind.bench import shares, verdict
from omnimind.bench.report import Benchmark, Clock, Health, Level, Machine, Phase, Tokens, at_gateway
from omnimind.monitor.histogram import Histogram
from omnimind.pictures import curve, html
from omnimind.pictures.curve import Curve
from omnimind.pictures.html import Cell, Markup, element, within
from omnimind.stress import page as stress_page
from omnimind.stress import text, timeline, usage
from omnimind.stress.timeline import Timeline

_GIB: Final = 2**30
_KINDS: Final[dict[Level, str]] = {"excellent": "good", "good": "fair", "problem": "poor"}
_PERCENTS: Final = (
    5.0,
    *map(float, range(10, 100, 5)),
    97.0,
    98.0,
    99.0,
    99.5,
    99.8,
    99.9,
    99.95,
    99.99,
    99.999,
)
COLUMNS: Final = (
    ("calls", "calls"),
    (">50 ms", "high"),
    ("p50 ms", "p50"),
    ("p90 ms", "p90"),
    ("p99 ms", "p99"),
    ("p99.9 ms", "p999"),
)
PARTS: Final = (
    ("wait p50", "wait_p50"),
    ("wait p99", "wait_p99"),
    ("service p50", "service_p50"),
    ("service p99", "service_p99"),
)


def render(found: Benchmark) -> str:
    """The whole page."""
    early = ", ended early by Ctrl-C" if found.interrupted else ""
    body = [
        element("h1", "omnimind bench"),
        element("p", f"{found.fleet}. {found.began_utc}, omnimind {found.version}{early}", "kind"),
        _verdict(found),
        *(element("p", note, "warn") for note in found.notes),
        element("h2", "Advice"),
        within("ul", [within("li", [html.words(line)]) for line in found.advice or ("Nothing stands out.",)]),
    ]
    if found.phases:
        over_time = Timeline.joined((phase.name, phase.client.load) for phase in found.phases)
        shown = found.judged or found.phases[-1]
        body += [
            html.figures(_figures(found)),
            element("h2", "The clocks side by side"),
            element("p", _CLOCKS, "note"),
            *(part for phase in found.phases for part in _phase(phase)),
            element("h2", "Over time, by when calls were due"),
            html.picture(timeline.percentiles(over_time)) or element("p", stress_page.NOTHING),
            html.picture(timeline.heat(over_time)),
            element("h2", f"Servers, {shown.name}, ms"),
            shares.servers(shown),
            element("h2", f"Tools, {shown.name}, ms"),
            shares.tools(shown),
        ]
        body += _ports(found.ports)
        uses = usage.together(phase.client.uses for phase in found.phases)
        sent = sum(phase.client.load.sent for phase in found.phases)
        body += [element("h2", "Processes, all phases"), stress_page.uses(uses, sent)] if uses else []
    if found.health:
        body += [element("h2", "Crashes and tokens"), _health(found.health)]
    body += [element("h2", "Machine and load"), _setting(found)]
    return html.page(f"omnimind bench, {found.began_utc}", body)


_CLOCKS: Final = (
    "Client: from the instant a call was due until its answer was there. Gateway: from the head of the request to the "
    "last word of the answer. Kernel: from the first bytes in the gateway's socket to the first of the reply; of that "
    "wait until somebody reads them, service from there on."
)


def _verdict(found: Benchmark) -> Markup:
    reached = found.verdict
    if reached is None:
        return within("section", [element("p", "No verdict: the run did not come so far.", "big")], "verdict")
    p99 = element("span", f"p99 {text.time(reached.p99_ms)} ms: ")
    low, high = reached.bounds_ms
    sure = (
        f"between {text.time(low)} and {text.time(high)} ms"
        if high is not None
        else f"above {text.time(low)} ms"
    )
    client = reached.client_p99_ms
    beside = f" The client saw {text.time(client)} ms." if client is not None else ""
    judged = f"At {found.judged.name}, " if found.judged else ""
    lines = [
        within(
            "li",
            [
                element("b", f"{line.p99}, {line.level}. "),
                html.words(f"The original: {line.original}. We say: {line.ours}."),
            ],
            "here" if line.level == reached.level else "",
        )
        for line in verdict.TABLE
    ]
    return within(
        "section",
        [
            within("p", [p99, element("b", reached.level)], "big"),
            element("p", f"{judged}by the {reached.clock}'s clock; it is {sure}.{beside}"),
            within("ul", lines),
            element("p", verdict.NO_MODULE, "note"),
        ],
        f"verdict {_KINDS[reached.level]}",
    )


def _figures(found: Benchmark) -> list[tuple[str, str]]:
    loads = [phase.client.load for phase in found.phases]
    failed = sum(load.sent - load.right + load.unsent for load in loads)
    wrong = sum(load.wrong + load.duplicate + load.unasked for load in loads)
    return [
        ("right answers/s, closed", f"{found.rate_per_s or 0:,.1f}"),
        ("callers, closed", f"{found.concurrency:,}"),
        ("calls, all phases", f"{sum(load.sent for load in loads):,}"),
        ("failed", f"{failed:,}"),
        ("wrong", f"{wrong:,}"),
        *([("crash rate", f"{100 * found.health.crash_rate:.3g} %")] if found.health else []),
    ]


def _phase(phase: Phase) -> Iterable[Markup]:
    load, around = phase.client.load, phase.around
    offered = f" of {load.offered_per_s:,.1f} offered" if load.offered_per_s else ""
    busy = f", CPUs {100 * around.cpu_busy:.0f} % busy" if around.cpu_busy is not None else ""
    failed = f", {100 * load.failed_share:.3g} % not answered right" if load.failed_share else ""
    yield element("h3", phase.name)
    yield element("p", f"{load.throughput_per_s:,.1f} right answers/s{offered}{busy}{failed}", "kind")
    yield from (
        element("p", f"{why}: the client's figures may show the generator.", "warn")
        for why in load.saturated_by
    )
    yield from (element("p", sample, "warn") for sample in load.samples)
    columns = COLUMNS + (PARTS if any(clock.wait_p50 is not None for clock in phase.clocks) else ())
    rows = [
        [clock.name, *(_cell(clock, field, phase.name) for _, field in columns)] for clock in phase.clocks
    ]
    yield html.table(["clock", *(name for name, _ in columns)], rows)
    yield html.picture(curve.percentiles(f"latency by percentile, {phase.name}", _curves(phase)))


def _cell(clock: Clock, field: str, phase: str) -> Cell:
    data = {"phase": phase, "clock": clock.name, "value": field}
    return Cell(_shown(getattr(clock, field)), data)


def _shown(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else text.time(value)


def _curves(phase: Phase) -> list[Curve]:
    load = phase.client.load
    found = [
        Curve("client", "one", _seen(load.curve, load.right)),
        Curve("gateway", "two", _points(phase.gateway.all.total)),
    ]
    if phase.kernel is not None:
        calls = at_gateway(phase.kernel)
        named = (
            ("kernel", "three", calls.total),
            ("wait", "four", calls.wait),
            ("service", "five", calls.service),
        )
        found += [Curve(name, kind, _points(histogram)) for name, kind, histogram in named]
    return found


def _points(histogram: Histogram) -> list[tuple[float, float]]:
    found = ((percent, histogram.percentile_us(percent)) for percent in _PERCENTS)
    return _seen(((percent, us / 1000) for percent, us in found if us is not None), histogram.calls)


def _seen(points: Iterable[tuple[float, float]], calls: int) -> list[tuple[float, float]]:
    """The percentiles that have a call above them, from the first that all clocks have."""
    return [
        (percent, ms)
        for percent, ms in points
        if percent >= _PERCENTS[0] and calls * (1 - percent / 100) > 0.999
    ]


def _ports(ports: Mapping[str, Clock]) -> list[Markup]:
    if not ports:
        return []
    fields = COLUMNS + PARTS
    rows = [[name, *(_shown(getattr(clock, field)) for _, field in fields)] for name, clock in ports.items()]
    return [
        element("h2", "The kernel's clock by port, all phases"),
        html.table(["port", *(name for name, _ in fields)], rows),
    ]


def _health(health: Health) -> Markup:
    kills = f"; {health.kills:,} killed on purpose" if health.kills else ""
    exits = f"{health.exits:,} unplanned exits of {health.starts:,} starts{kills}"
    rows = [
        ["crash rate", f"{100 * health.crash_rate:.3g} %", exits],
        ["tokens saved, as shipped", *_saved(health.shipped)],
    ]
    if health.compressing:
        rows.append(
            ["tokens saved with compression on, of what can be compressed", *_saved(health.compressing)]
        )
    return html.table(["what", "share", "of what"], rows, words=["of what"])


def _saved(tokens: Tokens) -> list[str]:
    return [
        f"{100 * tokens.saved:.1f} %",
        f"{tokens.results:,} results, {tokens.before:,} to {tokens.after:,} tokens",
    ]


def _setting(found: Benchmark) -> Markup:
    memory = "nothing from the gateway's memory" if found.no_store else "the gateway's memory in use"
    rows = [
        ["machine", _machine(found.machine)],
        ["load", f"{found.concurrency:,} callers; {found.duration_s:g} s; seed {found.seed}; {memory}"],
    ]
    for seen in (found.whole("gateway"), found.whole("kernel")):
        rows += [[f"{seen.source.clock}'s clock", seen.source.what]] if seen else []
    return html.table(["what", "which"], rows, words=["which"])


def _machine(machine: Machine) -> str:
    around = machine.container and f"container {machine.container}{', bridged' if machine.bridged else ''}"
    limit = f"at most {machine.cpu_limit:g} CPUs" if machine.cpu_limit is not None else None
    known = (
        f"{machine.cpus} CPUs",
        machine.model,
        f"{machine.memory_bytes / _GIB:.1f} GiB",
        machine.kernel,
        around,
        limit,
    )
    return ", ".join(filter(None, known))
