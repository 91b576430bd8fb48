"""Drawing as SVG: a frame with a scale of times from bottom to top, lines in it, and words that do not lie on others.

Places are in units of the picture (`WIDTH` by `HEIGHT`), not of the screen. No font is known here, so a text's width is
an estimate that is rather too large (`width_of`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from itertools import pairwise
from math import ceil, floor, hypot, log10
from typing import Final
from unicodedata import east_asian_width

from omnimind.pictures import look

WIDTH: Final = 680
HEIGHT: Final = 260
LEFT: Final = 56
RIGHT: Final = WIDTH - 16
BOTTOM: Final = HEIGHT - 28
_LEAST_MS: Final = 1e-3
_MOST_TICKS: Final = 9
_LINE: Final = 14.0
_AROUND: Final = (
    (-8, -7, "end"),
    (0, -9, "middle"),
    (8, 16, "start"),
    (0, 20, "middle"),
    (8, -7, "start"),
    (-8, 16, "end"),
    (-8, -24, "end"),
    (0, -24, "middle"),
    (0, 34, "middle"),
    (-8, 36, "end"),
)
"""Where a point may have its words, the best place first."""

Point = tuple[float, float]
Box = tuple[float, float, float, float]


def svg(title: str, parts: Iterable[str], height: float = HEIGHT) -> str:
    """A picture that stands in a page."""
    return f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{escape(title)}">{"".join(parts)}</svg>'


def alone(parts: Iterable[str], height: float) -> str:
    """A picture that stands by itself, with the style in it."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" width="{WIDTH}" '
        f'height="{height:g}"><style>{look.PICTURE}</style>{"".join(parts)}</svg>'
    )


def placed(picture: str, y: float) -> str:
    """A picture of the usual height (`svg`) within another, so far down."""
    return picture.replace("<svg ", f'<svg y="{y:g}" width="{WIDTH}" height="{HEIGHT}" ', 1)


def width_of(words: str, size: float = 12) -> float:
    """About how wide a text is, rather more than less."""
    return size * sum(1.05 if east_asian_width(letter) in "WF" else 0.62 for letter in words)


def cut(words: str, room: float, size: float = 12) -> str:
    """As much of a text as there is room for."""
    if width_of(words, size) <= room:
        return words
    kept = words
    while kept and width_of(kept, size) > room - size:
        kept = kept[:-1]
    return f"{kept}…"


def word(x: float, y: float, words: str, anchor: str = "start", kind: str = "") -> str:
    """A text."""
    named = f' class="{kind}"' if kind else ""
    return f'<text{named} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def line(points: Iterable[Point], kind: str) -> str:
    """A line through these places."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline class="{kind}" points="{path}"/>'


def box(place: Box, kind: str, title: str, opacity: float = 1.0) -> str:
    """A filled rectangle (left, top, right, bottom) that says what it is."""
    # Rounded before they are subtracted: what touches stays without a gap.
    left, top, right, bottom = (round(edge, 1) for edge in place)
    see_through = f' fill-opacity="{opacity:.2f}"' if opacity < 1 else ""
    return (
        f'<rect class="{kind}" x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" '
        f'height="{bottom - top:.1f}"{see_through}><title>{escape(title)}</title></rect>'
    )


def duration(ms: float) -> str:
    """A round time for a scale."""
    for limit, scale, unit in ((1, 1000, "µs"), (1000, 1, "ms")):
        if ms < limit * 0.9999:
            return f"{ms * scale:g} {unit}"
    return f"{ms / 1000:g} s"


class Frame:
    """The inside of a picture: shares of its width and milliseconds to places; the scale is logarithmic."""

    def __init__(self, low_ms: float, high_ms: float, top: float = 18) -> None:
        self.top = top
        self.low = log10(max(low_ms, _LEAST_MS))
        self.high = log10(max(high_ms, _LEAST_MS))
        self._ticks = _ticks(10.0**self.low, 10.0**self.high)

    @classmethod
    def around(cls, values_ms: Iterable[float], top: float = 18) -> Frame:
        """From the last round value below all of them to the first above."""
        found = [max(value, _LEAST_MS) for value in values_ms]
        least, most = min(found), max(found)
        every = _round(least / 11, most * 11)
        low = max(value for value in every if value <= least * 1.0001)
        high = min(value for value in every if value >= most * 0.9999 and value > low)
        return cls(low, high, top)

    def x(self, share: float) -> float:
        """From 0 at the left to 1 at the right."""
        return LEFT + share * (RIGHT - LEFT)

    def y(self, ms: float) -> float:
        """Longer is higher; what is outside stands on the edge."""
        share = (log10(max(ms, _LEAST_MS)) - self.low) / (self.high - self.low)
        return BOTTOM - min(max(share, 0.0), 1.0) * (BOTTOM - self.top)

    def scale(self) -> list[str]:
        """A line at each round time."""
        found = []
        for value in self._ticks:
            y = self.y(value)
            found.append(f'<line class="grid" x1="{LEFT}" x2="{RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
            found.append(word(LEFT - 6, y + 4, duration(value), "end"))
        return found

    def below(self, marks: Iterable[tuple[float, str]]) -> list[str]:
        """Words under places of the width, those left out that would touch the one before."""
        found: list[str] = []
        free = 0.0
        for share, words in marks:
            half = width_of(words) / 2
            at = min(self.x(share), WIDTH - half)
            if at - half >= free:
                found.append(word(at, HEIGHT - 8, words, "middle"))
                free = at + half + 4
        return found

    def stretches(self, named: Sequence[tuple[float, float, str]]) -> list[str]:
        """Where stretches of the width begin, and above the frame their names where there is room."""
        found = []
        for share, end, words in named:
            x, room = self.x(share), self.x(end) - self.x(share) - 8
            if share > 0:
                found.append(
                    f'<line class="edge" x1="{x:.1f}" x2="{x:.1f}" y1="{self.top - 16:g}" y2="{BOTTOM}"/>'
                )
            if width_of(words) <= room:
                found.append(word(x + 5, self.top - 6, words, kind="mark"))
        return found


def legend(items: Sequence[tuple[str, str]]) -> list[str]:
    """What the lines (a class of the style each) are, at the top."""
    found, x, middle = [], float(LEFT), 13.0
    for kind, words in items:
        found.append(
            box((x, middle - 4, x + 8, middle + 4), kind, words)
            if kind in ("bad", "heat")
            else line(((x, middle), (x + 18, middle)), kind)
        )
        x += 12 if kind in ("bad", "heat") else 22
        found.append(word(x, middle + 4, words))
        x += width_of(words) + 14
    return found


class Labels:
    """Words beside points, each where the frame does not end and neither a line nor other words are."""

    def __init__(self, frame: Frame, lines: Iterable[Sequence[Point]]) -> None:
        self._top = frame.top
        self._ink = [point for each in lines for point in _dense(each)]
        self._taken: list[Box] = []

    def put(self, x: float, y: float, words: str) -> str:
        """The words for the point, at the best place that is left."""
        wide = width_of(words)

        def place(dx: float, dy: float, anchor: str) -> Box:
            left = x + dx - {"start": 0.0, "middle": wide / 2, "end": wide}[anchor]
            return (left, y + dy - _LINE + 3, left + wide, y + dy + 3)

        def cost(option: tuple[int, int, str]) -> int:
            left, top, right, bottom = at = place(*option)
            outside = left < LEFT or right > WIDTH or top < self._top - 16 or bottom > BOTTOM
            others = sum(_meet(at, taken) for taken in self._taken)
            inked = sum(left <= px <= right and top <= py <= bottom for px, py in self._ink)
            return 1000 * outside + 100 * others + inked

        best = min(_AROUND, key=cost)
        self._taken.append(place(*best))
        dx, dy, anchor = best
        return word(x + dx, y + dy, words, anchor, "mark")


def _meet(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _dense(points: Sequence[Point]) -> Iterable[Point]:
    """Places along a line, four units apart."""
    yield from points[:1]
    for (x, y), (to_x, to_y) in pairwise(points):
        steps = max(1, ceil(hypot(to_x - x, to_y - y) / 4))
        for step in range(1, steps + 1):
            yield x + (to_x - x) * step / steps, y + (to_y - y) * step / steps


def _round(low: float, high: float) -> list[float]:
    """The values between that are 1, 2 or 5, times a power of ten."""
    powers = range(floor(log10(low)), ceil(log10(high)) + 1)
    every = (step * 10.0**power for power in powers for step in (1, 2, 5))
    return [value for value in every if low * 0.9999 <= value <= high * 1.0001]


def _ticks(low: float, high: float) -> list[float]:
    """The round values between; where they are many, the powers of ten alone."""
    found = _round(low, high)
    return (
        found if len(found) <= _MOST_TICKS else [value for value in found if f"{value:e}".startswith("1.0")]
    )
