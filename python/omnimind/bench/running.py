"""Carrying a benchmark out: warm up, find how much a closed loop can do, then send shares of that by the clock.

Ctrl-C ends the sending, and the report is of what was measured; a second one ends everything. While the clocks are read
the first is only remembered, so that a stretch of load that was sent is measured to its end.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol, Self

from omnimind.bench.clocks import Clocks
from omnimind.bench.report import Phase
from omnimind.errors import OmniMindError
from omnimind.stress import running as sending
from omnimind.stress.plan import Plan
from omnimind.stress.report import Report

SHARES: Final = (50, 70, 90)
"""Percent of what the closed loop can do, for the open ones."""
PHASES: Final = 1 + len(SHARES)
_AT_ONCE: Final = 1000
"""Calls in flight at most in an open loop: so many that it stays open."""
_WARM_UP_S: Final = (1.0, 5.0)


class Show(Protocol):
    """Shows how far a stretch of load is."""

    def __call__(self, seen: Mapping[str, Any]) -> None:
        """The generator's progress."""

    def end(self) -> None:
        """It is over."""


class Interrupts:
    """Ctrl-C and SIGTERM within a block. `pressed` is how often one came."""

    def __init__(self) -> None:
        self.pressed = 0
        self._kept = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._heard)
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _heard(self, *_: object) -> None:
        self.pressed += 1
        if not self._kept or self.pressed > 1:
            raise KeyboardInterrupt

    @contextmanager
    def kept(self) -> Iterator[None]:
        """The first that comes within is only counted."""
        self._kept = True
        try:
            yield
        finally:
            self._kept = False


@dataclass(frozen=True, slots=True)
class Run:
    """One benchmark: what to send and where, by which clocks. `plan` is of the closed loop, for the whole duration."""

    plan: Plan
    clocks: Clocks
    fleet: sending.Fleet
    interrupts: Interrupts
    show: Callable[[str, Plan], Show]
    """Given the name and plan of a phase: what shows its progress."""
    faults: list[OmniMindError] = field(default_factory=list)
    """What broke it off after something was measured."""

    def warm_up(self) -> None:
        """Send for a while what is not measured. Raises GatewayError (OM0902) if the target cannot be opened."""
        self._send("warm-up", replace(self.plan, duration_s=warm_up_s(self.plan.duration_s)))

    def phases(self) -> tuple[Phase, ...]:
        """All that were measured; fewer if it was interrupted or broke off, or if the closed loop got no answer.

        Raises GatewayError if the gateway is lost, MonitorError if the kernel's clock is, before there is anything.
        """
        found: list[Phase] = []
        try:
            length_s = self.plan.duration_s / PHASES
            found += self._measured("closed", replace(self.plan, duration_s=length_s))
            rate_per_s = found[0].client.load.throughput_per_s if found else 0.0
            for at, share in enumerate(SHARES, start=1):
                if self.interrupts.pressed or not rate_per_s:
                    break
                plan = replace(
                    self.plan,
                    rate_per_s=rate_per_s * share / 100,
                    concurrency=max(_AT_ONCE, self.plan.concurrency),
                    duration_s=length_s,
                    seed=self.plan.seed + at,
                )
                found += self._measured(f"open {share} %", plan)
        except KeyboardInterrupt:
            if self.interrupts.pressed > 1:
                raise
        except OmniMindError as fault:
            if not found:
                raise
            self.faults.append(fault)
        return tuple(found)

    def _measured(self, name: str, plan: Plan) -> list[Phase]:
        if self.interrupts.pressed:
            return []
        with self.interrupts.kept():
            before = self.clocks.before()
        if self.interrupts.pressed:
            return []
        sent = self._send(name, plan)
        with self.interrupts.kept():
            served, seen, around = self.clocks.after(before, sent.load.elapsed_s)
        return [Phase(name, sent, served, seen, around)]

    def _send(self, name: str, plan: Plan) -> Report:
        show = self.show(name, plan)
        try:
            return sending.run(plan, fleet=self.fleet, show=show)
        finally:
            show.end()


def warm_up_s(duration_s: float) -> float:
    """A tenth of the time, within bounds."""
    least_s, most_s = _WARM_UP_S
    return min(most_s, max(least_s, duration_s / 10))
