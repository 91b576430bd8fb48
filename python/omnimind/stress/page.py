"""A report as one HTML page: the numbers as the text report has them, and curves of what tables cannot show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from omnimind.pictures import curve, html
from omnimind.pictures.html import Markup, element
from omnimind.stress import text, timeline
from omnimind.stress.report import Latency, Load, Part, Report
from omnimind.stress.timeline import Timeline
from omnimind.stress.usage import Use

_MIB: Final = 2**20
NOTHING: Final = "No call was answered right."
_PERCENTS: Final = (50.0, 90.0, 99.0, 99.9, 100.0)


def render(report: Report) -> str:
    """The whole page."""
    load, over_time = report.load, Timeline.of(report.load)
    body = [
        element("h1", f"omnimind stress: {report.plan['url']}"),
        element(
            "p",
            f"{text.headline(report.plan)}. {report.began_utc}, omnimind {report.version}"
            f"{', ended early' if report.interrupted else ''}",
            "kind",
        ),
        *(
            element("p", f"{why}: these figures may show the generator, not the target.", "warn")
            for why in load.saturated_by
        ),
        *(element("p", sample, "warn") for sample in load.samples),
        html.figures(figures(load)),
        element("h2", "Latency by percentile"),
        html.picture(percentiles(load)) or element("p", NOTHING),
    ]
    if any(moment.right for moment in load.timeline):
        body += [
            element("h2", "Over time, by when calls were due"),
            html.picture(timeline.percentiles(over_time)),
            html.picture(timeline.heat(over_time)),
        ]
    for title, parts in load.tables():
        body += [element("h2", title.capitalize()), _parts(title, parts)]
    body += [element("h2", "Errors"), errors(load)]
    if report.kills:
        body += [element("h2", "Kills"), _kills(report)]
    if report.uses:
        body += [element("h2", "Processes"), uses(report.uses, load.sent)]
    body += [element("h2", "The generator"), _generator(load)]
    return html.page(f"omnimind stress, {report.began_utc}", body)


def figures(load: Load) -> list[tuple[str, str]]:
    """What is to be seen first, with names."""
    return [
        ("right answers/s", f"{load.throughput_per_s:,.1f}"),
        *([("offered/s", f"{load.offered_per_s:,.1f}")] if load.offered_per_s else []),
        *((f"{name} ms", text.time(value)) for name, value in _named(load.latency_ms)),
        ("calls sent", f"{load.sent:,}"),
        ("right", f"{load.right:,}"),
        ("not right", f"{100 * load.failed_share:.3g} %"),
    ]


def percentiles(load: Load) -> str:
    """The curve, with the percentiles of the report marked; empty if nothing was answered."""
    if not load.curve:
        return ""
    named = zip(_PERCENTS, _named(load.latency_ms), strict=True)
    values = {percent: (f"{name} {text.time(value)}", value) for percent, (name, value) in named}
    last = max((percent for percent, _ in load.curve if percent < 100), default=0.0)
    marked = {percent: value for percent, (_, value) in values.items() if percent <= last or percent == 100}
    points = sorted({**dict(load.curve), **marked}.items())
    marks = [(percent, words) for percent, (words, _) in values.items()]
    return curve.percentiles("latency by percentile", [curve.Curve("client", "one", points)], marks)


def errors(load: Load) -> Markup:
    """A table of what failed, by kind."""
    if not load.errors:
        return element("p", "None.")
    rows = []
    for kind, count in sorted(load.errors.items(), key=lambda item: -item[1]):
        after = load.refusal_ms.get(kind)
        when = [text.time(after.p50), text.time(after.p99)] if after else ["-", "-"]
        rows.append([kind, f"{count:,}", *when])
    return html.table(["kind", "calls", "answered after p50 ms", "p99 ms"], rows)


def uses(found: Sequence[Use], sent: int) -> Markup:
    """A table of what processes cost while so many calls were sent."""
    rows = [
        [
            use.name,
            str(use.processes),
            f"{use.cpu_s:.2f}",
            f"{use.cpu_us_per_call(sent):.1f}",
            *(
                f"{bytes / _MIB:.0f}"
                for bytes in (use.rss_first_bytes, use.rss_last_bytes, use.rss_peak_bytes)
            ),
            "-" if use.pss_bytes is None else f"{use.pss_bytes / _MIB:.0f}",
        ]
        for use in found
    ]
    head = ["name", "processes", "CPU s", "CPU µs/call", "RSS before MB", "after MB", "peak MB", "PSS MB"]
    return html.table(head, rows)


def _named(ms: Latency) -> list[tuple[str, float]]:
    return [("p50", ms.p50), ("p90", ms.p90), ("p99", ms.p99), ("p99.9", ms.p999), ("max", ms.max)]


def _parts(title: str, parts: Sequence[Part]) -> Markup:
    with_rate = any(part.offered_per_s is not None for part in parts)
    times = ("p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "max ms")
    head = [
        title.removesuffix("s"),
        *(["offered/s"] if with_rate else []),
        "calls",
        "right/s",
        *times,
        "errors",
    ]
    rows = []
    for part in parts:
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in part.errors.items()) or "0"
        offered = "-" if part.offered_per_s is None else f"{part.offered_per_s:,.1f}"
        rows.append(
            [
                part.name,
                *([offered] if with_rate else []),
                f"{part.calls:,}",
                f"{part.throughput_per_s:,.1f}",
                *text.times(part, *(value for _, value in _named(part.latency_ms))),
                kinds,
            ]
        )
    return html.table(head, rows, words=["errors"])


def _kills(report: Report) -> Markup:
    rows = [
        [kill.server, f"{kill.at_s:.1f}", "not back" if kill.back_s is None else f"{kill.back_s:.1f}"]
        for kill in report.kills
    ]
    return html.table(["kill -9 of", "at s", "ready again after s"], rows)


def _generator(load: Load) -> Markup:
    late = text.time(load.lag_ms.p99) if load.offered_per_s else "-"
    row = [f"{load.cpu_us_per_call:.1f}", f"{100 * load.busy:.0f} %", late, "yes" if load.saturated else "no"]
    return html.table(["CPU µs/call", "busiest thread", "late by p99 ms", "saturated"], [row])
