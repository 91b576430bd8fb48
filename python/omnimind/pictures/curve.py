"""The curve of percentiles: every nine takes as much room as the one before, so that the tail is seen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import log10
from typing import Final

from omnimind.pictures.svg import Frame, Labels, Point, legend, line, svg

_BELOW: Final = (0.0, 50.0, 90.0, 99.0, 99.9, 99.99, 99.999)
_LAST: Final = 0.96
"""How far to the right the last percentile below 100 stands, if there is the longest call after it."""


@dataclass(frozen=True, slots=True)
class Curve:
    """`points` are (percent, milliseconds) in order; `kind` is the line's class in the style."""

    name: str
    kind: str
    points: Sequence[tuple[float, float]]


def percentiles(title: str, curves: Sequence[Curve], marks: Iterable[tuple[float, str]] = ()) -> str:
    """The picture, or nothing if no curve has a point. `marks` are percentiles of the first curve with their words."""
    drawn = [curve for curve in curves if curve.points]
    if not drawn:
        return ""
    frame = Frame.around((ms for curve in drawn for _, ms in curve.points), top=30 if len(drawn) > 1 else 18)
    last = max((percent for curve in drawn for percent, _ in curve.points if percent < 100), default=0.0)
    has_longest = any(curve.points[-1][0] >= 100 for curve in drawn)
    nines = max(-log10(1 - last / 100), 0.3) / (_LAST if has_longest else 1.0)

    def at(percent: float, ms: float) -> Point:
        return frame.x(1.0 if percent >= 100 else min(-log10(1 - percent / 100) / nines, 1.0)), frame.y(ms)

    lines = [[at(percent, ms) for percent, ms in curve.points] for curve in drawn]
    parts = [*frame.scale(), *(line(points, curve.kind) for curve, points in zip(drawn, lines, strict=True))]
    labels = Labels(frame, lines)
    known = dict(drawn[0].points)
    for percent, words in sorted(marks, reverse=True):  # those at the end have the least room
        if percent in known:
            x, y = at(percent, known[percent])
            parts.append(f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="4"/>')
            parts.append(labels.put(x, y, words))
    parts += frame.below(
        (min(-log10(1 - percent / 100) / nines, 1.0), f"{percent:g} %")
        for percent in _BELOW
        if percent <= last
    )
    if len(drawn) > 1:
        parts += legend([(curve.kind, curve.name) for curve in drawn])
    return svg(title, parts)
