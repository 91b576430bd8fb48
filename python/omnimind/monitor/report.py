"""From two readings of a clock to a report: text in the original document's form, JSON for programs. Pure.

A reading counts from when its clock began; what a window or a whole run holds is the difference of two, so nothing is
lost between windows. The block between the lines of `=` is the original's byte for byte; which clock it is stands
above, the figures by port below.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from omnimind.monitor.histogram import Histogram

Clock = Literal["kernel", "gateway"]

HIGH_US: Final = 50_000
"""The original's limit: slower is a problem."""
_BAR: Final = 20
_HEADS: Final = (
    ("", "", "wait", "", "service", "", "total", "", ""),
    ("WHERE", "CALLS", "p50", "p99", "p50", "p99", "p50", "p99", ">50ms"),
)
_WIDTHS: Final = (22, 9, 7, 7, 8, 7, 7, 7, 6)
_UNITS: Final = ("", "K", "M", "G", "T")


@dataclass(frozen=True, slots=True)
class Calls:
    """The calls at one port, process, server or tool. `wait` and `service` are empty where the clock cannot tell them.

    `high` are those above 50 ms, counted one by one, or, if the clock has buckets only, those above `high_from_us`.
    """

    total: Histogram = field(default_factory=Histogram)
    service: Histogram = field(default_factory=Histogram)
    wait: Histogram = field(default_factory=Histogram)
    high: int = 0

    def since(self, earlier: Calls) -> Calls:
        """What came after an earlier reading."""
        fresh = self.total.since(earlier.total)
        began_anew = fresh is self.total
        high = self.high if began_anew else max(0, self.high - earlier.high)
        return Calls(fresh, self.service.since(earlier.service), self.wait.since(earlier.wait), high)

    def __add__(self, other: Calls) -> Calls:
        return Calls(
            self.total + other.total,
            self.service + other.service,
            self.wait + other.wait,
            self.high + other.high,
        )


@dataclass(frozen=True, slots=True)
class Reading:
    """What a clock has counted since it began: calls by place (`memory:4321`), and by systemd unit how many."""

    places: Mapping[str, Calls] = field(default_factory=dict)
    units: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Source:
    """Which clock measured, and what a reader must know of it; `high_from_us` is what "above 50 ms" really is."""

    clock: Clock
    what: str
    notes: tuple[str, ...] = ()
    high_from_us: int = HIGH_US


@dataclass(frozen=True, slots=True)
class Report:
    """One window, or a whole run."""

    source: Source
    seconds: float
    places: Mapping[str, Calls]
    units: Mapping[str, int] = field(default_factory=dict)

    @property
    def all(self) -> Calls:
        """Every place together."""
        together = Calls()
        for calls in self.places.values():
            together = together + calls
        return together

    def text(self) -> str:
        """Which clock, the original's block, a line for each place."""
        lines = [f"clock: {self.source.clock}, {self.source.what}"]
        lines += [f"note: {note}" for note in self.source.notes]
        lines += [*self.block(), *self._table()]
        lines += [f"unit {name}: {count} calls" for name, count in sorted(self.units.items())]
        return "\n".join(lines)

    def block(self) -> list[str]:
        """The lines of the original document."""
        everything = self.all
        return [
            f"========== MCP Latency Report (last {self.seconds:.0f}s) ==========",
            "Syscall Latency Distribution (microseconds):",
            *_bars(everything.total.powers()),
            "",
            f"Total calls: {everything.total.calls}",
            f"⚠️  High latency calls (>50ms): {everything.high}",
            "===================================================",
        ]

    def as_json(self) -> dict[str, Any]:
        """The same figures; times in microseconds, `buckets` as [low, high, count] with high exclusive."""
        return {
            "clock": self.source.clock,
            "what": self.source.what,
            "notes": list(self.source.notes),
            "seconds": round(self.seconds, 3),
            "high_from_us": self.source.high_from_us,
            "all": _figures(self.all),
            "places": {name: _figures(calls) for name, calls in sorted(self.places.items())},
            "units": dict(sorted(self.units.items())),
        }

    def _table(self) -> list[str]:
        used = {name: calls for name, calls in sorted(self.places.items()) if calls.total.calls}
        if not used:
            return []
        rows = [*_HEADS, *(_row(name, calls) for name, calls in used.items())]
        return [_aligned(row) for row in rows]


class Meter:
    """Windows and the whole run of one source, from readings in their order."""

    def __init__(self, source: Source, first: Reading, at_s: float) -> None:
        self._source = source
        self._last = first
        self._last_s = at_s
        self._windows = Report(source, 0.0, {})

    def window(self, reading: Reading, at_s: float) -> Report:
        """What happened since the last reading."""
        found = between(self._source, self._last, reading, at_s - self._last_s)
        self._windows = merged([self._windows, found])
        self._last, self._last_s = reading, at_s
        return found

    def whole(self) -> Report:
        """All windows merged."""
        return self._windows


def between(source: Source, earlier: Reading, later: Reading, seconds: float) -> Report:
    """What happened between two readings of a clock."""
    places = {name: calls.since(earlier.places.get(name, Calls())) for name, calls in later.places.items()}
    units = {
        name: count - (before if (before := earlier.units.get(name, 0)) <= count else 0)
        for name, count in later.units.items()
    }
    return Report(source, seconds, places, {name: count for name, count in units.items() if count})


def merged(reports: Sequence[Report]) -> Report:
    """All these of one source, one after the other, as one. At least one."""
    places: dict[str, Calls] = {}
    units: dict[str, int] = {}
    for report in reports:
        for name, calls in report.places.items():
            places[name] = places.get(name, Calls()) + calls
        for name, count in report.units.items():
            units[name] = units.get(name, 0) + count
    return Report(reports[0].source, sum(one.seconds for one in reports), places, units)


def duration(us: float | None) -> str:
    """A latency in at most six characters; a dash if it is not known."""
    if us is None:
        return "-"
    for limit, scale, unit in ((1e3, 1, "us"), (1e6, 1e3, "ms"), (1e9, 1e6, "s")):
        if us < limit * 0.9995:
            value = us / scale
            return f"{value:.1f}{unit}" if value < 100 and scale > 1 else f"{value:.0f}{unit}"
    return f"{us / 1e6:.0f}s"


def _row(name: str, calls: Calls) -> Sequence[str]:
    cells = [name, str(calls.total.calls)]
    for histogram in (calls.wait, calls.service, calls.total):
        cells += [duration(histogram.percentile_us(percent)) for percent in (50, 99)]
    return [*cells, str(calls.high)]


def _aligned(row: Sequence[str]) -> str:
    first, *rest = row
    if len(first) > _WIDTHS[0] - 1:
        first = f"{first[: _WIDTHS[0] - 2]}~"
    return f"{first:<{_WIDTHS[0]}}" + "".join(
        f"{cell:>{width}}" for cell, width in zip(rest, _WIDTHS[1:], strict=True)
    )


def _bars(powers: Sequence[tuple[int, int]]) -> Iterable[str]:
    most = max((count for _, count in powers), default=0)
    width = max(6, len(str(most)) + 1)
    for power, count in powers:
        low, high = (1 << power >> 1), 1 << power
        label = f"[{_short(low)}, {_short(high)})"
        yield f"    {label:<16}{count:>{width}} |{'@' * (count * _BAR // most)}"


def _short(us: int) -> str:
    unit = 0
    while us >= 1024 and us % 1024 == 0 and unit + 1 < len(_UNITS):
        us //= 1024
        unit += 1
    return f"{us}{_UNITS[unit]}"


def _figures(calls: Calls) -> dict[str, Any]:
    found: dict[str, Any] = {"calls": calls.total.calls, "high": calls.high}
    for name, histogram in (("wait", calls.wait), ("service", calls.service), ("total", calls.total)):
        found[name] = {
            **{f"p{percent:g}_us": histogram.percentile_us(percent) for percent in (50, 90, 99, 99.9)},
            "buckets": histogram.rows(),
        }
    return found
