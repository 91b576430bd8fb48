"""What a run is to do, and the load of each profile over time.

A profile is a list of phases, each with a name, a length and a pace (times the rate); the report has figures for each.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from omnimind.stress.mix import Mix, Principal

Eras = Literal["modern", "legacy", "both"]
Profile = Literal["steady", "ramp", "soak", "spike"]
PROFILES: Final[dict[Profile, str]] = {
    "steady": "the same rate all the time",
    "ramp": "ten steps from a tenth of the rate to all of it: where does it bend?",
    "soak": "a long time, in quarters: does it drift?",
    "spike": "the rate, for a fifth of the time several times as much, the rate again: does it recover?",
}
SPIKE: Final = 5.0
"""Times the rate, in the spike."""
_STEPS: Final = 10
_QUARTERS: Final = 4


class Phase(NamedTuple):
    """A stretch of a run with figures of its own."""

    name: str
    duration_s: float
    pace: float = 1.0


def phases(profile: Profile, duration_s: float, spike: float = SPIKE) -> tuple[Phase, ...]:
    """The phases of a profile that lasts so long."""
    match profile:
        case "steady":
            return (Phase("all", duration_s),)
        case "ramp":
            step = duration_s / _STEPS
            return tuple(Phase(f"{100 * n // _STEPS} %", step, n / _STEPS) for n in range(1, _STEPS + 1))
        case "soak":
            quarter = duration_s / _QUARTERS
            return tuple(Phase(f"quarter {n}", quarter) for n in range(1, _QUARTERS + 1))
        case "spike":
            return (
                Phase("before", duration_s * 0.4),
                Phase("spike", duration_s * 0.2, spike),
                Phase("after", duration_s * 0.4),
            )


@dataclass(frozen=True, slots=True)
class Plan:
    """A run. `rate_per_s` None is a closed loop: each of `concurrency` callers asks again when it is answered."""

    url: str
    token: str | None
    mix: Mix
    rate_per_s: float | None
    concurrency: int
    duration_s: float
    warm_up_s: float = 2.0
    profile: Profile = "steady"
    spike: float = SPIKE
    arrivals: Literal["poisson", "uniform"] = "poisson"
    eras: Eras = "modern"
    sessions: int = 1
    threads: int = 1
    timeout_s: float = 10.0
    seed: int = 1
    no_store: bool = False

    def encoded(self) -> bytes:
        """As the generator reads it."""
        principals = self.mix.principals or (Principal("local", self.token),)
        return json.dumps(
            {
                "url": self.url,
                "eras": self.eras,
                "rate_per_s": self.rate_per_s,
                "arrivals": self.arrivals,
                "in_flight": self.concurrency,
                "threads": self.threads,
                "sessions": self.sessions,
                "calls": [call.encoded() for call in self.mix.calls],
                "principals": [{"name": who.name, "token": who.token or self.token} for who in principals],
                "phases": [phase._asdict() for phase in phases(self.profile, self.duration_s, self.spike)],
                "count": None,
                "warm_up_s": self.warm_up_s,
                "timeout_s": self.timeout_s,
                "seed": self.seed,
                "no_store": self.no_store,
            }
        ).encode()

    def described(self) -> dict[str, Any]:
        """What a report says of it: everything but secrets."""
        return {
            "url": self.url,
            "loop": "closed" if self.rate_per_s is None else "open",
            "rate_per_s": self.rate_per_s,
            "arrivals": None if self.rate_per_s is None else self.arrivals,
            "concurrency": self.concurrency,
            "duration_s": self.duration_s,
            "warm_up_s": self.warm_up_s,
            "profile": self.profile,
            "eras": self.eras,
            "threads": self.threads,
            "timeout_s": self.timeout_s,
            "seed": self.seed,
            "no_store": self.no_store,
            "principals": [who.name for who in self.mix.principals] or ["local"],
            "calls": [call.encoded() for call in self.mix.calls],
        }
