"""A subject timed beside a reference, in alternating rounds.

Rule: no figure stands alone. Each round times the reference and then, for about as long, the subject, so that a slow
moment of the machine falls on both; what is kept and compared (`benches/compare.py`) is the ratio of each round. A
clock counts CPU: of this thread, or of the processes that answer, since the wall clock says on a busy machine whose
turn it was. Where calls go to others, the ratio by the wall clock is kept too: CPU knows nothing of a wait.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any

ROUNDS = 60
LEAST_ROUNDS = 20
BUDGET_NS = 3_000_000_000
"""Of all rounds of a benchmark, about: what waits for a disk in every call is measured in fewer."""
WARM_UP_ROUNDS = 2
ROUND_NS = 2_000_000
"""About so long is the subject, and the reference, called in a round."""
LEAST_CALLS = 5
Call = Callable[[], object]
Clock = Callable[[], int]


def calls_a_round(call: Call) -> tuple[int, int]:
    """How many calls take about `ROUND_NS`, some at least; and how long so many take."""
    calls = 1
    while True:
        begun = time.perf_counter_ns()
        for _ in range(calls):
            call()
        took = max(time.perf_counter_ns() - begun, 1)
        if took >= ROUND_NS // 2 or calls >= 1 << 20:
            enough = max(LEAST_CALLS, calls * ROUND_NS // took)
            return enough, took * enough // calls
        calls *= 2


def rounds_in_time(round_ns: int) -> int:
    """As many rounds of this length as the budget has room for, between the least and the usual."""
    return max(LEAST_ROUNDS, min(ROUNDS, BUDGET_NS // round_ns))


class Beside:
    """Times a subject beside a reference: `beside(subject, reference)` returns what the subject did."""

    def __init__(self, benchmark: Any) -> None:
        self._benchmark = benchmark

    def __call__(
        self,
        subject: Call,
        reference: Call,
        *,
        clock: Clock = time.thread_time_ns,
        reference_clock: Clock | None = None,
        waits: bool = False,
    ) -> object:
        """With `waits` the wall clock is looked at too. Clocks count nanoseconds."""
        of_subject, of_reference = Timed(subject, clock), Timed(reference, reference_clock or clock)
        rounds = rounds_in_time(of_subject.round_ns + of_reference.round_ns)
        answer = subject()
        gc.collect()
        gc.disable()
        try:
            self._benchmark.pedantic(
                of_subject, setup=of_reference, rounds=rounds, warmup_rounds=WARM_UP_ROUNDS, iterations=1
            )
        finally:
            gc.enable()
        self.note("ratios", of_subject.took_ns[-rounds:], of_reference.took_ns[-rounds:])
        if waits:
            self.note("wall_ratios", of_subject.wall_ns[-rounds:], of_reference.wall_ns[-rounds:])
        return answer

    def note(self, name: str, subject_ns: list[float], reference_ns: list[float]) -> None:
        """Keeps the rounds: what one call of each took."""
        pairs = zip(subject_ns, reference_ns, strict=True)
        self._benchmark.extra_info[name] = [one / other for one, other in pairs]


class Timed:
    """A call made many times over, and what one took in each round."""

    def __init__(self, call: Call, clock: Clock) -> None:
        self.calls, self.round_ns = calls_a_round(call)
        self.took_ns: list[float] = []
        self.wall_ns: list[float] = []
        self._call, self._clock = call, clock

    def __call__(self) -> None:
        call, wall, begun = self._call, time.perf_counter_ns(), self._clock()
        for _ in range(self.calls):
            call()
        took, wall = self._clock() - begun, time.perf_counter_ns() - wall
        self.took_ns.append(took / self.calls)
        self.wall_ns.append(wall / self.calls)
