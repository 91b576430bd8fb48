"""The figures of a storm and the promises they are held against."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos.caller import Fate
from tests.chaos.ledger import COLD_S, WARM_S, Ledger, percentile

ROOT = Path(__file__).resolve().parents[2]
LAG_LIMIT_S = 0.05
KEPT = 80
BARS_S = {"worker, from the zygote": WARM_S, "worker, cold": COLD_S, "child": COLD_S}


@dataclass(slots=True)
class Account:
    """What came of one storm, or of several together."""

    seeds: list[int] = field(default_factory=list)
    rate_per_s: float = 0.0
    calls: int = 0
    fates: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    in_flight: Counter[str] = field(default_factory=Counter)
    excused: Counter[str] = field(default_factory=Counter)
    recoveries_s: dict[str, list[float]] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    lost_twice: list[str] = field(default_factory=list)
    clear_errors: Counter[str] = field(default_factory=Counter)
    unclear: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    lacking: list[str] = field(default_factory=list)
    incomplete: int = 0
    counted: int = 0
    twice: list[str] = field(default_factory=list)
    vanished: list[str] = field(default_factory=list)
    latencies_s: list[float] = field(default_factory=list)
    lags_s: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, ledger: Ledger, carried_out: Mapping[str, int], seed: int, rate_per_s: float) -> Account:
        """One run."""
        account = cls([seed], rate_per_s, ledger.calls)
        for fates in ledger.fates.values():
            account.fates.update(fates)
        account.kills.update(kill.target for kill in ledger.kills)
        for kill in ledger.kills:
            account.in_flight[kill.target] += kill.in_flight
        account.excused = ledger.excused()
        account.recoveries_s = ledger.recoveries()
        idempotent = ledger.unexcused(idempotent=True)
        account.lost = [loss.told(ledger.kills) for loss in idempotent if not loss.again]
        account.lost_twice = [loss.told(ledger.kills) for loss in ledger.losses if loss.again]
        for loss in ledger.unexcused(idempotent=False):
            if loss.attempt.fate is Fate.ERROR:
                account.clear_errors[loss.attempt.detail] += 1
            else:
                account.unclear.append(loss.told(ledger.kills))
        account.wrong, account.lacking = ledger.wrong, ledger.lacking()
        account.incomplete = len(ledger.incomplete) - len(account.lacking)
        account.counted = len(ledger.counted)
        account.twice = [nonce for nonce in ledger.counted if carried_out.get(nonce, 0) > 1]
        account.vanished = [
            nonce for nonce, known in ledger.counted.items() if known and carried_out.get(nonce, 0) == 0
        ]
        account.latencies_s, account.lags_s = ledger.latencies_s, ledger.lags_s
        return account

    @classmethod
    def sum(cls, accounts: list[Account]) -> Account:
        """Several runs as one."""
        whole = cls(rate_per_s=accounts[0].rate_per_s)
        for one in accounts:
            whole.calls += one.calls
            whole.counted += one.counted
            whole.incomplete += one.incomplete
            for name in ("fates", "kills", "in_flight", "excused", "clear_errors"):
                getattr(whole, name).update(getattr(one, name))
            for name in (
                "seeds",
                "lost",
                "lost_twice",
                "unclear",
                "wrong",
                "lacking",
                "twice",
                "vanished",
                "latencies_s",
                "lags_s",
            ):
                getattr(whole, name).extend(getattr(one, name))
            for end, seconds in one.recoveries_s.items():
                whole.recoveries_s.setdefault(end, []).extend(seconds)
        return whole

    @property
    def saturated(self) -> bool:
        """True if the generator itself was late, so that nothing it measured is the fleet's alone."""
        return percentile(self.lags_s, 0.99) > LAG_LIMIT_S

    def promises(self) -> dict[str, int]:
        """What must be zero."""
        return {
            "idempotent calls lost": len(self.lost),
            "lost after one client retry": len(self.lost_twice),
            "connections refused": self.fates[Fate.REFUSED.value],
            "answers that were wrong": len(self.wrong),
            "lists of all that lacked a server": len(self.lacking),
            "counting calls carried out twice": len(self.twice),
            "counting calls acknowledged and not on disk": len(self.vanished),
            "counting calls without a clear answer": len(self.unclear),
            "kills that nothing came back from": sum(
                seconds.count(float("inf")) for seconds in self.recoveries_s.values()
            ),
            "lost beyond what was in flight at kills of gateway and orchestrator": sum(
                max(0, self.excused[target] - self.in_flight[target]) for target in self.excused
            ),
        }

    def late(self) -> dict[str, float]:
        """Recoveries whose p99 is above what is promised."""
        found = {end: percentile(self.recoveries_s.get(end, []), 0.99) for end in BARS_S}
        return {end: seconds for end, seconds in found.items() if seconds > BARS_S[end]}

    def broken(self) -> list[str]:
        """Every promise that was not kept, timings apart."""
        return [f"{count} {what}" for what, count in self.promises().items() if count]

    def examples(self) -> list[str]:
        """Some of what went wrong, in words."""
        return [
            *self.wrong,
            *self.lacking,
            *self.unclear,
            *self.lost_twice,
            *self.lost,
            *self.twice,
            *self.vanished,
        ][:KEPT]

    # --- telling

    def table(self) -> str:
        """The figures for people."""
        lines = [
            f"{sum(self.kills.values())} kills, {self.calls} calls at {self.rate_per_s:g}/s, seeds {self.seeds}"
        ]
        lines += ["", f"{'after a kill of':<26}{'kills':>6}{'p50':>9}{'p99':>9}{'most':>9}{'bar p99':>9}"]
        for end, seconds in sorted(self.recoveries_s.items()):
            bar = f"{BARS_S[end] * 1000:.0f} ms" if end in BARS_S else ""
            figures = "".join(f"{1000 * value:>6.0f} ms" for value in _figures(seconds))
            lines.append(f"{end:<26}{len(seconds):>6}{figures}{bar:>9}")
        lines.append("")
        lines += [f"{count:>6}  {what}" for what, count in self.promises().items()]
        for target in ("gateway", "orchestrator"):
            told = f"lost with a killed {target}; {self.in_flight[target]} were in flight at {self.kills[target]} kills"
            lines.append(f"{self.excused[target]:>6}  {told}")
        lines.append(
            f"{self.incomplete:>6}  lists of all that lacked a server while a new orchestrator started it"
        )
        lines.append(f"{sum(self.clear_errors.values()):>6}  counting calls with one clear error")
        lines += [f"{'':>8}{count} x {text[:100]}" for text, count in self.clear_errors.most_common(5)]
        latency = ", ".join(f"{1000 * value:.1f} ms" for value in _figures(self.latencies_s))
        lag_ms = 1000 * percentile(self.lags_s, 0.99)
        lines += ["", f"answers: p50, p99, most {latency}", f"the generator's lateness: p99 {lag_ms:.1f} ms"]
        if self.saturated:
            lines.append("THE GENERATOR WAS SATURATED: these figures are not the fleet's alone")
        return "\n".join([*lines, *(f"! {example}" for example in self.examples())])

    def as_json(self) -> dict[str, Any]:
        """The figures for programs."""
        return {
            "machine": machine(),
            "seeds": self.seeds,
            "rate_per_s": self.rate_per_s,
            "calls": self.calls,
            "attempts": dict(self.fates),
            "kills": dict(self.kills),
            "recovery_ms": {end: _summary(seconds) for end, seconds in sorted(self.recoveries_s.items())},
            "promises": self.promises(),
            "lists_incomplete_after_orchestrator": self.incomplete,
            "lost_with": dict(self.excused),
            "in_flight_at_kills": dict(self.in_flight),
            "clear_errors": dict(self.clear_errors),
            "counting_calls": self.counted,
            "latency_ms": _summary(self.latencies_s),
            "generator_lateness_ms": _summary(self.lags_s),
            "examples": self.examples(),
        }


def machine() -> dict[str, Any]:
    """Where and of what this was measured."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return {
        "date": time.strftime("%Y-%m-%d"),
        "commit": commit.stdout.strip(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_average": os.getloadavg()[0],
    }


def _figures(seconds: list[float]) -> tuple[float, float, float]:
    return percentile(seconds, 0.5), percentile(seconds, 0.99), max(seconds, default=0.0)


def _summary(seconds: list[float]) -> dict[str, float]:
    median, high, most = _figures(seconds)
    rounded = {
        name: round(1000 * value, 2)
        for name, value in zip(("p50", "p99", "max"), (median, high, most), strict=True)
    }
    return {"count": len(seconds), **rounded}
