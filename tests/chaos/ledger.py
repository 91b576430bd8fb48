"""What happened to every call and after every kill, and whether that is what is promised.

A lost call is one that was not answered. A gateway that is killed takes its clients' connections with it, so a
call that was in flight when it died is expected to be lost; a killed orchestrator takes the gateway along.
Nothing else may be lost, if it is idempotent.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.caller import Attempt, Fate
from tests.chaos.mix import Incomplete, Kind

WARM_S, COLD_S = 0.3, 2.0


@dataclass(slots=True)
class Kill:
    """One kill -9 and what followed. `died_s` is when the gateway was dead, if it had to die; `in_flight`
    counts calls from the kill to that moment. At `whole_s` everything ran again."""

    target: str
    what: str
    pid: int
    at_s: float
    died_s: float | None = None
    whole_s: float | None = None
    in_flight: int = 0
    recovered_s: float | None = None
    own_start_s: float = 0.0
    warm: bool = False

    @property
    def end(self) -> str:
        """Under which heading its recovery is counted."""
        if self.target == "worker":
            return "worker, from the zygote" if self.warm else "worker, cold"
        return self.target

    @property
    def taken_s(self) -> float | None:
        """The recovery without the killed server's own start."""
        return None if self.recovered_s is None else max(0.0, self.recovered_s - self.own_start_s)


@dataclass(frozen=True, slots=True)
class Loss:
    """A call that was not answered."""

    kind: Kind
    attempt: Attempt
    again: bool

    def excuse(self, kills: list[Kill]) -> Kill | None:
        """The kill that took its connection away."""
        for kill in kills:
            if kill.died_s and self.attempt.sent_s <= kill.died_s and self.attempt.ended_s >= kill.at_s:
                return kill
        return None

    def told(self, kills: list[Kill]) -> str:
        again = " (second try)" if self.again else ""
        took_ms, when = (self.attempt.ended_s - self.attempt.sent_s) * 1000, since(kills, self.attempt)
        return f"{self.kind.name}{again}: {self.attempt.fate.value} after {took_ms:.0f} ms{when}: {self.attempt.detail}"


@dataclass(slots=True)
class Ledger:
    """Everything that is counted in one run."""

    fates: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    latencies_s: list[float] = field(default_factory=list)
    lags_s: list[float] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    incomplete: list[tuple[Attempt, str]] = field(default_factory=list)
    kills: list[Kill] = field(default_factory=list)
    counted: dict[str, bool] = field(default_factory=dict)
    """Ids of counting calls; True if it was acknowledged."""
    calls: int = 0

    def book(self, kind: Kind, nonce: str, principal: str, attempt: Attempt, *, again: bool) -> bool:
        """Write an attempt down; True if the caller has its answer."""
        self.fates[kind.name][attempt.fate.value] += 1
        if attempt.fate is not Fate.ANSWERED:
            self.losses.append(Loss(kind, attempt, again))
            return False
        self.latencies_s.append(attempt.ended_s - attempt.sent_s)
        try:
            why = _what_is_wrong(kind, attempt.result, nonce, principal)
        except Incomplete as missing:
            self.incomplete.append((attempt, str(missing)))
            return True
        if why:
            took_ms = 1000 * (attempt.ended_s - attempt.sent_s)
            told = f"{kind.name} of {principal}, {took_ms:.0f} ms{since(self.kills, attempt)}"
            self.wrong.append(f"{told}: {why}")
        return True

    def excused(self) -> Counter[str]:
        """Lost with a killed gateway or orchestrator."""
        excuses = (loss.excuse(self.kills) for loss in self.losses)
        return Counter(excuse.target for excuse in excuses if excuse is not None)

    def unexcused(self, *, idempotent: bool) -> list[Loss]:
        """Lost although no gateway and no orchestrator was killed at that moment."""
        return [
            loss
            for loss in self.losses
            if loss.kind.idempotent is idempotent and loss.excuse(self.kills) is None
        ]

    def lacking(self) -> list[str]:
        """Lists of all that lacked a server, although no orchestrator had just been killed: after that the
        fleet starts from nothing, and lists wait only so long."""
        starts = [(kill.at_s, kill.whole_s) for kill in self.kills if kill.target == "orchestrator"]
        return [
            f"a list of all lacked {missing}{since(self.kills, attempt)}"
            for attempt, missing in self.incomplete
            if not any(
                at_s <= attempt.ended_s and attempt.sent_s <= (whole_s or at_s) for at_s, whole_s in starts
            )
        ]

    def recoveries(self) -> dict[str, list[float]]:
        """Seconds by heading; a kill after which nothing came back is infinite."""
        found: dict[str, list[float]] = defaultdict(list)
        for kill in self.kills:
            taken_s = kill.taken_s
            found[kill.end].append(float("inf") if taken_s is None else taken_s)
        return dict(found)


def _what_is_wrong(kind: Kind, result: Any, nonce: str, principal: str) -> str:
    try:
        return "" if kind.right(result, nonce, principal) else f"{nonce} got {str(result)[:200]}"
    except (KeyError, IndexError, TypeError, ValueError) as fault:
        return f"{fault!r}, {nonce} got {str(result)[:100]}"


def since(kills: list[Kill], attempt: Attempt) -> str:
    """How long before the end of an attempt something was killed, and what."""
    before = [kill for kill in kills if kill.at_s <= attempt.ended_s]
    return f", {(attempt.ended_s - before[-1].at_s) * 1000:.0f} ms after {before[-1].what}" if before else ""


def percentile(values: list[float], share: float) -> float:
    """The smallest value that `share` of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0
