"""Tables of servers and tools with a bar of where callers' time went: the longer, the more of all waiting was for it.

A bar as a whole is the client's own sum. Its parts come from the gateway's buckets, so they are about right: the wait
in the gateway's queue, the time at the server, and what is left, the gateway's own work and the way there and back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from omnimind.bench.report import Clock, Phase, Row, tool_name
from omnimind.monitor.histogram import Histogram
from omnimind.monitor.report import Calls
from omnimind.pictures import html
from omnimind.pictures.html import Cell, Markup, within
from omnimind.stress import text
from omnimind.stress.report import Part

_HEAD: Final = ("client: calls", "p50", "p99", "gateway: calls", "p50", "p99")
_SHARE: Final = "of all waiting"


def servers(phase: Phase) -> Markup:
    """By server, with the wait in the gateway's queue before it."""
    waited = _waited((part.name, part) for part in phase.client.load.servers)
    rows: list[list[str | Cell]] = []
    for row in phase.servers:
        around = phase.around.waits.get(row.name, Calls())
        us = around.wait.percentile_us(99)
        queued = "-" if us is None else text.time(us / 1000)
        parts = {"two": _sum_ms(around.wait), "one": _sum_ms(around.service)}
        rows.append([*_cells(row), queued, *_share(row.name, waited, parts)])
    key = html.key(
        [("two", "the gateway's queue"), ("one", "the server"), ("rest", "the gateway and the way")]
    )
    return within("div", [html.table(["server", *_HEAD, "queued p99", _SHARE, ""], rows), key])


def tools(phase: Phase) -> Markup:
    """By tool."""
    of = {str(call["tool"]): str(call["server"]) for call in phase.client.plan["calls"]}
    named = ((tool_name(of.get(part.name, "-"), part.name), part) for part in phase.client.load.tools)
    waited = _waited(named)
    rows: list[list[str | Cell]] = [[*_cells(row), *_share(row.name, waited, {})] for row in phase.tools]
    return html.table(["tool", *_HEAD, _SHARE, ""], rows)


def _waited(named: Iterable[tuple[str, Part]]) -> dict[str, float]:
    """How long callers waited for right answers of each, in milliseconds, all calls together."""
    found: dict[str, float] = {}
    for name, part in named:
        found[name] = found.get(name, 0.0) + part.latency_ms.mean * part.right
    return found


def _sum_ms(times: Histogram) -> float:
    """All the times together, each taken as the middle of its bucket."""
    middles = (
        (low + (low if high is None else high)) / 2 * count for (low, high), count in times.counts.items()
    )
    return sum(middles) / 1000


def _cells(row: Row) -> list[str]:
    return [row.name, *_clock(row.client), *_clock(row.gateway)]


def _clock(clock: Clock | None) -> list[str]:
    if clock is None:
        return ["-", "-", "-"]
    times = ("-" if ms is None else text.time(ms) for ms in (clock.p50, clock.p99))
    return [f"{clock.calls:,}", *times]


def _share(name: str, waited: Mapping[str, float], parts: Mapping[str, float]) -> list[Cell]:
    """Its share of all waiting, in words and as a bar, of which each part is a piece and what is left the rest."""
    whole, own = sum(waited.values()), waited.get(name, 0.0)
    if not whole:
        return [Cell("-"), Cell()]
    longest = max(waited.values())
    pieces, left = [], own
    for kind, ms in parts.items():
        pieces.append((kind, min(ms, left) / longest))
        left -= min(ms, left)
    return [Cell(f"{100 * own / whole:.1f} %"), Cell(bar=(*pieces, ("rest", left / longest)))]
