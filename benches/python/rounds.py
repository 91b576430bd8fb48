"""A subject timed beside a reference, in alternating rounds.

Rule: no figure stands alone. Each round times the reference and then, for about as long, the subject, so that a slow
moment of the machine falls on both; what is kept and compared (`benches/compare.py`) is the ratio of each round. Work
in this process is timed by the CPU its thread took, calls to others by the wall clock.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any

ROUNDS = 60
WARM_UP_ROUNDS = 3
ROUND_NS = 2_000_000
"""About so long is the subject, and the reference, called in a round."""
Call = Callable[[], object]
Clock = Callable[[], int]


def calls_a_round(call: Call) -> int:
    """How many calls take about `ROUND_NS`."""
    calls = 1
    while True:
        begun = time.perf_counter_ns()
        for _ in range(calls):
            call()
        took = time.perf_counter_ns() - begun
        if took >= ROUND_NS // 2 or calls >= 1 << 20:
            return max(1, calls * ROUND_NS // max(took, 1))
        calls *= 2


class Beside:
    """Times a subject beside a reference: `beside(subject, reference)` returns what the subject did."""

    def __init__(self, benchmark: Any) -> None:
        self._benchmark = benchmark

    def __call__(self, subject: Call, reference: Call, *, wall: bool = False, rounds: int = ROUNDS) -> object:
        clock = time.perf_counter_ns if wall else time.thread_time_ns
        of_subject, of_reference = Timed(subject, clock), Timed(reference, clock)
        answer = subject()
        gc.collect()
        gc.disable()
        try:
            self._benchmark.pedantic(
                of_subject, setup=of_reference, rounds=rounds, warmup_rounds=WARM_UP_ROUNDS, iterations=1
            )
        finally:
            gc.enable()
        self.note(of_subject.took_ns[-rounds:], of_reference.took_ns[-rounds:])
        self._benchmark.extra_info["calls_a_round"] = of_subject.calls
        return answer

    def note(self, subject_ns: list[float], reference_ns: list[float]) -> None:
        """Keeps the rounds: what one call of each took."""
        ratios = [one / other for one, other in zip(subject_ns, reference_ns, strict=True)]
        self._benchmark.extra_info["ratios"] = ratios
        self._benchmark.extra_info["subject_ns"] = sorted(subject_ns)[len(subject_ns) // 2]


class Timed:
    """A call made many times over, and what one took in each round."""

    def __init__(self, call: Call, clock: Clock) -> None:
        self.calls = calls_a_round(call)
        self.took_ns: list[float] = []
        self._call, self._clock = call, clock

    def __call__(self) -> None:
        call, begun = self._call, self._clock()
        for _ in range(self.calls):
            call()
        self.took_ns.append((self._clock() - begun) / self.calls)
