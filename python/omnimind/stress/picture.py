"""A report as one picture that stands alone: the figures, the curve of percentiles, and the run over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from omnimind.pictures.svg import HEIGHT, WIDTH, alone, cut, placed, word
from omnimind.stress import page, text, timeline
from omnimind.stress.report import Report
from omnimind.stress.timeline import Timeline

_MARGIN: Final = 16
_ROOM: Final = WIDTH - 2 * _MARGIN
_IN_A_ROW: Final = 5


def render(report: Report) -> str:
    """The picture, as SVG with its own style."""
    load = report.load
    head = (
        (30, f"omnimind stress: {report.plan['url']}", "title", 17),
        (50, text.headline(report.plan), "", 12),
        (67, f"{report.began_utc}, omnimind {report.version}", "", 12),
    )
    parts = [word(_MARGIN, y, cut(words, _ROOM, size), kind=kind) for y, words, kind, size in head]
    y = 84.0
    for why in load.saturated_by:
        words = cut(f"the figures may show the generator, not the target: {why}", _ROOM)
        parts.append(word(_MARGIN, y, words, kind="bad"))
        y += 17
    figures = page.figures(load)
    for at in range(0, len(figures), _IN_A_ROW):
        parts += _row(y, figures[at : at + _IN_A_ROW])
        y += 48
    drawn = [page.percentiles(load), timeline.percentiles(Timeline.of(load))]
    for one in filter(None, drawn):
        parts.append(placed(one, y))
        y += HEIGHT + 12
    if not drawn[0]:
        parts.append(word(_MARGIN, y + 20, page.NOTHING, kind="bad"))
        y += 40
    return alone(parts, y)


def _row(y: float, figures: Sequence[tuple[str, str]]) -> list[str]:
    found = []
    for at, (name, value) in enumerate(figures):
        x = _MARGIN + at * _ROOM / _IN_A_ROW
        found += [word(x, y + 14, name), word(x, y + 36, value, kind="figure")]
    return found
