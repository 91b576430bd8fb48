"""A report as one HTML page that loads nothing: tables, and pictures drawn as SVG.

Every number stands in the page as the text report has it; the curves show what tables cannot. The page has no script,
and forbids itself any (Content-Security-Policy), so that a report can be opened wherever it came from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from math import ceil, floor, log10
from typing import Final

from omnimind.stress import text
from omnimind.stress.report import Latency, Moment, Part, Report

_WIDTH: Final = 860
_HEIGHT: Final = 260
_LEFT: Final = 64
_BOTTOM: Final = 28
_TOP: Final = 12
_MIB: Final = 2**20
_MARKS: Final = ((50.0, "p50"), (90.0, "p90"), (99.0, "p99"), (99.9, "p99.9"))
_LABELS: Final = {"p50": (8, 18, "start"), "p99.9": (0, 20, "middle")}
"""Where a mark has its words, if not above to the left: there they would meet the scale, or those of max."""
_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1c2733; --soft: #66788a; --line: #d5dde5; --paper: #fff; --one: #1769aa;
  --two: #c2410c; --heat: 23, 105, 170; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4eaf0; --soft: #93a4b5; --line: #33414f; --paper: #131a21;
  --one: #6cb4f0; --two: #fb923c; --heat: 108, 180, 240; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 900px;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; margin-bottom: 0; } h2 { font-size: 1.05rem; margin: 2rem 0 .5rem; }
p.kind { color: var(--soft); margin-top: .2rem; } p.warn { border-left: 4px solid var(--two); padding-left: .8rem; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(8rem, 1fr)); gap: .8rem; margin: 1rem 0; }
dl div { border: 1px solid var(--line); border-radius: 6px; padding: .5rem .8rem; }
dt { color: var(--soft); font-size: .8rem; } dd { margin: 0; font-size: 1.25rem; font-variant-numeric: tabular-nums; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { text-align: right; padding: .25rem .5rem; border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 500; } th:first-child, td:first-child { text-align: left; word-break: break-all; }
svg { width: 100%; height: auto; } svg text { fill: var(--soft); font-size: 12px; }
svg .mark { fill: var(--ink); } svg .grid { stroke: var(--line); } svg .one { stroke: var(--one); fill: none; }
svg .two { stroke: var(--two); fill: none; } svg .dot { fill: var(--one); } svg .heat { fill: rgb(var(--heat)); }
"""


def render(report: Report) -> str:
    """The whole page."""
    load = report.load
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    body = [
        f"<h1>omnimind stress: {escape(report.plan['url'])}</h1>",
        f'<p class="kind">{escape(text.headline(report.plan))}. {escape(report.began_utc)}, '
        f"omnimind {escape(report.version)}{', ended early' if report.interrupted else ''}</p>",
        *(
            f'<p class="warn">{escape(why)}: these figures may show the generator, not the target.</p>'
            for why in load.saturated_by
        ),
        *(f'<p class="warn">{escape(sample)}</p>' for sample in load.samples),
        _figures(report),
        "<h2>Latency by percentile</h2>",
        _percentiles(report),
        "<h2>Over time, by when calls were due</h2>",
        _over_time(load.timeline),
        _heat(load.timeline),
    ]
    for title, parts in load.tables():
        body += [f"<h2>{title.capitalize()}</h2>", _parts(parts)]
    body += ["<h2>Errors</h2>", _errors(report)]
    if report.kills:
        body += ["<h2>Kills</h2>", _kills(report)]
    if report.uses:
        body += ["<h2>Processes</h2>", _uses(report)]
    body += ["<h2>The generator</h2>", _generator(report)]
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>omnimind stress, {escape(report.began_utc)}</title><style>{_STYLE}</style></head><body>",
            *body,
            "</body></html>\n",
        ]
    )


def _figures(report: Report) -> str:
    load, ms = report.load, report.load.latency_ms
    figures = [
        ("right answers/s", f"{load.throughput_per_s:,.1f}"),
        *([("offered/s", f"{load.offered_per_s:,.1f}")] if load.offered_per_s else []),
        *((f"{name} ms", text.time(value)) for name, value in _named(ms)),
        ("calls sent", f"{load.sent:,}"),
        ("right", f"{load.right:,}"),
        ("not right", f"{100 * load.failed_share:.3g} %"),
    ]
    return (
        "<dl>" + "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in figures) + "</dl>"
    )


def _named(ms: Latency) -> list[tuple[str, float]]:
    return [("p50", ms.p50), ("p90", ms.p90), ("p99", ms.p99), ("p99.9", ms.p999), ("max", ms.max)]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    cells = "".join(f"<th>{escape(word)}</th>" for word in head)
    lines = ["<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows]
    return f"<table><thead><tr>{cells}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _parts(parts: Sequence[Part]) -> str:
    with_rate = any(part.offered_per_s is not None for part in parts)
    head = [
        "",
        *(["offered/s"] if with_rate else []),
        "calls",
        "right/s",
        "p50",
        "p90",
        "p99",
        "p99.9",
        "max",
        "errors",
    ]
    rows = []
    for part in parts:
        errors = ", ".join(f"{kind} {count:,}" for kind, count in part.errors.items()) or "0"
        offered = (
            [f"{part.offered_per_s:,.1f}" if part.offered_per_s is not None else "-"] if with_rate else []
        )
        times = text.times(part, *(value for _, value in _named(part.latency_ms)))
        rows.append([part.name, *offered, f"{part.calls:,}", f"{part.throughput_per_s:,.1f}", *times, errors])
    return _table(head, rows)


def _errors(report: Report) -> str:
    load = report.load
    if not load.errors:
        return "<p>None.</p>"
    rows = []
    for kind, count in sorted(load.errors.items(), key=lambda item: -item[1]):
        after = load.refusal_ms.get(kind)
        rows.append(
            [
                kind,
                f"{count:,}",
                text.time(after.p50) if after else "-",
                text.time(after.p99) if after else "-",
            ]
        )
    return _table(["kind", "calls", "answered after p50 ms", "p99 ms"], rows)


def _kills(report: Report) -> str:
    rows = [
        [kill.server, f"{kill.at_s:.1f}", "not back" if kill.back_s is None else f"{kill.back_s:.1f}"]
        for kill in report.kills
    ]
    return _table(["kill -9 of", "at s", "ready again after s"], rows)


def _uses(report: Report) -> str:
    rows = [
        [
            use.name,
            str(use.processes),
            f"{use.cpu_s:.2f}",
            f"{report.cpu_us_per_call(use):.1f}",
            *(
                f"{bytes / _MIB:.0f}"
                for bytes in (use.rss_first_bytes, use.rss_last_bytes, use.rss_peak_bytes)
            ),
            "-" if use.pss_bytes is None else f"{use.pss_bytes / _MIB:.0f}",
        ]
        for use in report.uses
    ]
    head = ["", "processes", "CPU s", "CPU us/call", "RSS before MB", "after MB", "peak MB", "PSS MB"]
    return _table(head, rows)


def _generator(report: Report) -> str:
    load = report.load
    late = text.time(load.lag_ms.p99) if load.offered_per_s else "-"
    row = [f"{load.cpu_us_per_call:.1f}", f"{100 * load.busy:.0f} %", late, "yes" if load.saturated else "no"]
    return _table(["CPU us/call", "busiest thread", "late by p99 ms", "saturated"], [row])


class _Frame:
    """The inside of a picture: values to places, with a scale of powers of ten from bottom to top."""

    def __init__(self, least: float, most: float) -> None:
        self.low = floor(log10(max(least, 1e-3)))
        self.high = max(ceil(log10(max(most, 1e-3))), self.low + 1)
        self.right = _WIDTH - 12
        self.bottom = _HEIGHT - _BOTTOM

    def x(self, share: float) -> float:
        return _LEFT + share * (self.right - _LEFT)

    def y(self, ms: float) -> float:
        share = (log10(max(ms, 10.0**self.low)) - self.low) / (self.high - self.low)
        return self.bottom - share * (self.bottom - _TOP)

    def scale(self) -> list[str]:
        found = []
        for power in range(self.low, self.high + 1):
            y = self.y(10.0**power)
            found.append(f'<line class="grid" x1="{_LEFT}" x2="{self.right}" y1="{y:.1f}" y2="{y:.1f}"/>')
            found.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{10.0**power:g} ms</text>')
        return found

    def line(self, points: Iterable[tuple[float, float]], kind: str) -> str:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        return f'<polyline class="{kind}" stroke-width="2" points="{path}"/>'

    def below(self, share: float, words: str) -> str:
        return f'<text x="{self.x(share):.1f}" y="{_HEIGHT - 8}" text-anchor="middle">{words}</text>'


def _svg(title: str, parts: Iterable[str], height: int = _HEIGHT) -> str:
    return f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{title}">{"".join(parts)}</svg>'


def _percentiles(report: Report) -> str:
    """The curve: each nine of the percentile takes as much room as the one before."""
    curve, ms = report.load.curve, report.load.latency_ms
    if not curve:
        return "<p>No call was answered right.</p>"
    last = max((percent for percent, _ in curve if percent < 100), default=0.0)
    nines = -log10(1 - last / 100) if last else 1.0
    frame = _Frame(curve[0][1], ms.max)

    def x(percent: float) -> float:
        return frame.x(1.0 if percent >= 100 else min(-log10(1 - percent / 100) / (nines * 1.04), 1.0))

    parts = frame.scale()
    parts.append(frame.line(((x(percent), frame.y(value)) for percent, value in curve), "one"))
    for (name, value), percent in zip(_named(ms), (*(mark for mark, _ in _MARKS), 100.0), strict=True):
        if percent <= last or percent == 100:
            at, y = x(percent), frame.y(value)
            words = f"{name} {text.time(value)}"
            right, down, anchor = _LABELS.get(name, (-8, -8, "end"))
            parts.append(
                f'<circle class="dot" cx="{at:.1f}" cy="{y:.1f}" r="4"><title>{words} ms</title></circle>'
            )
            parts.append(
                f'<text class="mark" x="{at + right:.1f}" y="{max(y + down, 12):.1f}" '
                f'text-anchor="{anchor}">{words}</text>'
            )
    for percent, name in ((0.0, "0 %"), (90.0, "90 %"), (99.0, "99 %"), (99.9, "99.9 %"), (99.99, "99.99 %")):
        if percent <= last:
            parts.append(f'<text x="{x(percent):.1f}" y="{_HEIGHT - 8}" text-anchor="middle">{name}</text>')
    return _svg("latency by percentile", parts)


def _over_time(timeline: Sequence[Moment]) -> str:
    """p50 and p99 of each moment; moments with failed calls are marked."""
    answered = [moment for moment in timeline if moment.right]
    if not answered:
        return ""
    frame = _Frame(min(moment.p50_ms for moment in answered), max(moment.p99_ms for moment in answered))
    at = _times(timeline, frame)
    parts = frame.scale()
    for kind, value in (("one", "p50_ms"), ("two", "p99_ms")):
        points = ((at(moment), frame.y(getattr(moment, value))) for moment in answered)
        parts.append(frame.line(points, kind))
    parts += [
        f'<rect class="heat" x="{at(moment) - 2:.1f}" y="{_TOP}" width="4" height="4">'
        f"<title>{moment.failed:,} calls failed</title></rect>"
        for moment in timeline
        if moment.failed
    ]
    legend = '<tspan fill="var(--two)">p99</tspan> <tspan fill="var(--one)">p50</tspan> ■ calls failed'
    parts.append(f'<text x="{_LEFT + 8}" y="{_TOP + 16}">{legend}</text>')
    return _svg("p50 and p99 over time", [*parts, *_seconds(timeline, frame)])


def _heat(timeline: Sequence[Moment]) -> str:
    """How many calls of each moment took how long: the darker, the more of that moment's."""
    rows = max((len(moment.by_power) for moment in timeline), default=0)
    first = min((_first(moment.by_power) for moment in timeline if moment.right), default=0)
    if not timeline or rows <= first:
        return ""
    frame = _Frame(1, 10)
    at, width = _times(timeline, frame), (frame.right - _LEFT) / len(timeline)
    tall = (frame.bottom - _TOP) / (rows - first)
    parts = []
    for moment in timeline:
        for power, count in enumerate(moment.by_power):
            if count:
                y = frame.bottom - (power - first + 1) * tall
                words = f"{count:,} of {moment.right:,} took {_power(power)} to {_power(power + 1)}"
                parts.append(
                    f'<rect class="heat" x="{at(moment) - width / 2:.1f}" y="{y:.1f}" width="{width:.2f}" '
                    f'height="{tall:.1f}" fill-opacity="{0.12 + 0.88 * count / moment.right:.2f}">'
                    f"<title>{words}</title></rect>"
                )
    for power in range(first, rows, max(1, (rows - first) // 8)):
        y = frame.bottom - (power - first) * tall
        parts.append(f'<text x="{_LEFT - 6}" y="{y:.1f}" text-anchor="end">{_power(power)}</text>')
    return _svg("how long calls took, over time", [*parts, *_seconds(timeline, frame)])


def _first(counts: Sequence[int]) -> int:
    return next((power for power, count in enumerate(counts) if count), 0)


def _power(power: int) -> str:
    return f"{text.time(2.0 ** (10 + power) / 1e6)} ms"


def _times(timeline: Sequence[Moment], frame: _Frame) -> Callable[[Moment], float]:
    """Where a moment's middle is."""
    end_s = timeline[-1].at_s + timeline[-1].length_s
    return lambda moment: frame.x((moment.at_s + moment.length_s / 2) / end_s)


def _seconds(timeline: Sequence[Moment], frame: _Frame) -> list[str]:
    end_s = timeline[-1].at_s + timeline[-1].length_s
    return [frame.below(quarter / 4, f"{end_s * quarter / 4:g} s") for quarter in range(5)]
