"""Pictures of a run over time, by when calls were due: percentiles of each moment, and how long its calls took.

A moment is as wide as it was long. Where nothing was answered right the lines end, so that a hole is seen as one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import sqrt
from typing import Final, Self

from omnimind.pictures.svg import BOTTOM, LEFT, Frame, box, legend, line, svg, width_of, word
from omnimind.stress.report import Load, Moment

_LOWEST_MS: Final = 2**10 / 1e6
"""Where the lowest row of `Moment.by_power` begins."""
_FAINTEST: Final = 0.1
_STEPS_S: Final = tuple(step * 10**power for power in range(6) for step in (1, 2, 5))
_MOST_SECONDS: Final = 10
_SHARE: Final = "share of the calls due then"


@dataclass(frozen=True, slots=True)
class Timeline:
    """Moments in order, and when each phase began: (seconds, its name)."""

    moments: Sequence[Moment]
    phases: Sequence[tuple[float, str]] = ()

    @classmethod
    def of(cls, load: Load) -> Self:
        """A run's, with its phases if there are several."""
        began, at_s = [], 0.0
        for phase in load.phases:
            began.append((at_s, phase.name))
            at_s += phase.length_s or 0.0
        return cls(load.timeline, began if len(began) > 1 else ())

    @classmethod
    def joined(cls, runs: Iterable[tuple[str, Load]]) -> Self:
        """Of several runs one after the other, as if there had been no time between them."""
        moments: list[Moment] = []
        began = []
        for name, load in runs:
            at_s = moments[-1].at_s + moments[-1].length_s if moments else 0.0
            began.append((at_s, name))
            moments += [replace(moment, at_s=at_s + moment.at_s) for moment in load.timeline]
        return cls(moments, began)

    @property
    def top(self) -> float:
        """How much room the pictures have above: for a legend, and for the names of phases below it."""
        return 48 if self.phases else 30

    @property
    def end_s(self) -> float:
        """When the last moment ended."""
        return self.moments[-1].at_s + self.moments[-1].length_s

    def marks(self, frame: Frame) -> list[str]:
        """The phases, and seconds below."""
        named = [
            (at_s / self.end_s, end_s / self.end_s, name)
            for (at_s, name), (end_s, _) in pairwise([*self.phases, (self.end_s, "")])
            if at_s < self.end_s
        ]
        step = next((step for step in _STEPS_S if self.end_s / step <= _MOST_SECONDS), _STEPS_S[-1])
        seconds = [at * step for at in range(int(self.end_s / step) + 1)]
        return [*frame.stretches(named), *frame.below((at / self.end_s, f"{at} s") for at in seconds)]


def percentiles(timeline: Timeline) -> str:
    """p50 and p99 of each moment; those with failed calls are marked at the foot."""
    answered = [moment for moment in timeline.moments if moment.right]
    if not answered:
        return ""
    values = [value for moment in answered for value in (moment.p50_ms, moment.p99_ms)]
    frame = Frame.around(values, timeline.top)
    parts = frame.scale()
    parts += _lines(timeline, frame, lambda moment: moment.p99_ms, "two")
    parts += _lines(timeline, frame, lambda moment: moment.p50_ms, "one")
    items = [("two", "p99"), ("one", "p50")]
    failed = [moment for moment in timeline.moments if moment.failed]
    for moment in failed:
        left, right = _sides(timeline, frame, moment)
        place = (left, BOTTOM + 1, max(right, left + 2), BOTTOM + 6)
        parts.append(box(place, "bad", f"{moment.failed:,} calls failed"))
    items += [("bad", "calls failed")] if failed else []
    return svg("p50 and p99 over time", [*parts, *timeline.marks(frame), *legend(items)])


def heat(timeline: Timeline) -> str:
    """How many calls of each moment took how long: the darker, the more of that moment's."""
    counted = [moment for moment in timeline.moments if moment.right]
    if not counted:
        return ""
    first = min(next((at for at, count in enumerate(moment.by_power) if count), 0) for moment in counted)
    rows = max(len(moment.by_power) for moment in counted)
    frame = Frame(_LOWEST_MS * 2**first, _LOWEST_MS * 2**rows, timeline.top)
    parts = []
    for moment in counted:
        left, right = _sides(timeline, frame, moment)
        for power, count in enumerate(moment.by_power):
            if count:
                low, high = _LOWEST_MS * 2**power, _LOWEST_MS * 2 ** (power + 1)
                words = f"{count:,} of {moment.right:,} took {low:.3g} to {high:.3g} ms"
                place = (left, frame.y(high), right, frame.y(low))
                parts.append(box(place, "heat", words, _shade(count / moment.right)))
    parts += [*frame.scale(), *timeline.marks(frame), *_shades()]
    return svg("how long calls took, over time", parts)


def _lines(timeline: Timeline, frame: Frame, value: Callable[[Moment], float], kind: str) -> list[str]:
    """A step for each moment, joined as long as something was answered."""
    runs: list[list[tuple[float, float]]] = []
    before = False
    for moment in timeline.moments:
        if moment.right:
            if not before:
                runs.append([])
            y = frame.y(value(moment))
            runs[-1] += [(x, y) for x in _sides(timeline, frame, moment)]
        before = moment.right > 0
    return [line(points, kind) for points in runs]


def _sides(timeline: Timeline, frame: Frame, moment: Moment) -> tuple[float, float]:
    return frame.x(moment.at_s / timeline.end_s), frame.x((moment.at_s + moment.length_s) / timeline.end_s)


def _shade(share: float) -> float:
    """Few calls are to be seen, and to be told from somewhat more."""
    return _FAINTEST + (1 - _FAINTEST) * sqrt(share)


def _shades() -> list[str]:
    """What the shades mean."""
    parts = [word(LEFT, 17, _SHARE)]
    x = LEFT + width_of(_SHARE) + 16
    for percent in (1, 10, 50, 100):
        parts.append(box((x, 7, x + 14, 19), "heat", f"{percent} %", _shade(percent / 100)))
        parts.append(word(x + 18, 17, f"{percent} %"))
        x += 62
    return parts
