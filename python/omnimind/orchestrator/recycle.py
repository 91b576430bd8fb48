"""When a healthy process is replaced, and when a busy one is asked whether it still answers.

Pure. A recycled server is renewed: its successor answers before it is let go, so the policy costs no call.
Between two renewals lies at least `PAUSE_S`, so that a limit which every fresh process exceeds at once costs a
start a minute and not a storm. A worker whose loop beats while none of its calls finishes is asked over a
fresh connection: a slow tool answers that, a deadlocked server does not.
"""

from __future__ import annotations

from dataclasses import dataclass

from omnimind.linux.pulse import Beat
from omnimind.settings import RecycleSettings

PAUSE_S = 60.0
STALLED_S = 30.0


def due(policy: RecycleSettings, age_s: float, requests: int | None, memory_mb: int | None) -> str | None:
    """Why a process of this age, work and size is to be replaced; None if it is not."""
    if policy.age_s is not None and age_s >= policy.age_s:
        return f"it is {age_s:.0f} s old, the limit is {policy.age_s} s"
    if policy.requests is not None and (requests or 0) >= policy.requests:
        return f"it has answered {requests} requests, the limit is {policy.requests}"
    if policy.memory_mb is not None and (memory_mb or 0) >= policy.memory_mb:
        return f"it uses {memory_mb} MB, the limit is {policy.memory_mb} MB"
    return None


@dataclass(slots=True)
class Progress:
    """Since when a process has had calls in flight and finished none."""

    answered: int = 0
    since_s: float | None = None

    def stalled(self, beat: Beat | None, now_s: float) -> bool:
        """True each time `STALLED_S` have passed without a finished call while some are in flight."""
        if beat is None or not beat.in_flight or beat.answered != self.answered:
            self.answered = beat.answered if beat is not None else 0
            self.since_s = None
        if beat is None or not beat.in_flight:
            return False
        if self.since_s is None or now_s - self.since_s < STALLED_S:
            self.since_s = now_s if self.since_s is None else self.since_s
            return False
        self.since_s = now_s
        return True
