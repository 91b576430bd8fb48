"""What a run found, as values; `text` and `page` show the same numbers, `as_json` writes all of them.

Latencies are milliseconds, counted from the instant a call was due, and hold to 0.1 % (three digits; those of
`Moment` to 6 %). Sums count calls that were due after the warm-up; `sent`, `right`, `wrong` and `errors` of `Load`
count all, so that they can be compared with the server's own count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from omnimind.stress.chaos import Kill
from omnimind.stress.usage import Use


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds."""

    mean: float
    p50: float
    p90: float
    p99: float
    p999: float
    max: float

    @classmethod
    def of(cls, found: Mapping[str, float]) -> Self:
        """From the generator's words."""
        return cls(*(found[key] for key in ("mean", "p50", "p90", "p99", "p99.9", "max")))


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the measured calls: those of a phase, a tool, a server or an era."""

    name: str
    calls: int
    right: int
    wrong: int
    errors: dict[str, int]
    throughput_per_s: float
    latency_ms: Latency
    offered_per_s: float | None = None
    length_s: float | None = None

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Self:
        """From the generator's words."""
        return cls(**{**found, "latency_ms": Latency.of(found["latency_ms"])})

    @property
    def failed(self) -> int:
        """Calls that were not answered right."""
        return self.calls - self.right


@dataclass(frozen=True, slots=True)
class Moment:
    """A second or more of the run: the calls that were due in it. `by_power[n]` took from 2^(10+n) ns to twice that."""

    at_s: float
    length_s: float
    right: int
    failed: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    by_power: tuple[int, ...]

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Self:
        """From the generator's words."""
        moment = {key: found[key] for key in ("at_s", "length_s", "right", "failed")}
        return cls(**moment, **{**found["latency"], "by_power": tuple(found["latency"]["by_power"])})


@dataclass(frozen=True, slots=True)
class Load:
    """What the generator found, and what it says of itself."""

    elapsed_s: float
    throughput_per_s: float
    offered_per_s: float | None
    measured: int
    failed_share: float
    sent: int
    right: int
    wrong: int
    duplicate: int
    unasked: int
    missing: int
    unsent: int
    waited_for_a_place: int
    errors: dict[str, int]
    samples: tuple[str, ...]
    latency_ms: Latency
    service_ms: Latency
    lag_ms: Latency
    refusal_ms: dict[str, Latency]
    phases: tuple[Part, ...]
    tools: tuple[Part, ...]
    servers: tuple[Part, ...]
    eras: tuple[Part, ...]
    curve: tuple[tuple[float, float], ...]
    timeline: tuple[Moment, ...]
    cpu_s: float
    cpu_us_per_call: float
    busy: float
    saturated: bool
    saturated_by: tuple[str, ...]

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Self:
        """From the generator's words."""
        values = {name: found[name] for name in cls.__dataclass_fields__}
        for name in ("latency_ms", "service_ms", "lag_ms"):
            values[name] = Latency.of(found[name])
        for name in ("phases", "tools", "servers", "eras"):
            values[name] = tuple(map(Part.of, found[name]))
        values["refusal_ms"] = {kind: Latency.of(ms) for kind, ms in found["refusal_ms"].items()}
        values["timeline"] = tuple(map(Moment.of, found["timeline"]))
        values["curve"] = tuple((percent, ms) for percent, ms in found["curve"])
        values["samples"], values["saturated_by"] = tuple(found["samples"]), tuple(found["saturated_by"])
        return cls(**values)

    def tables(self) -> list[tuple[str, tuple[Part, ...]]]:
        """What is worth a table: the tools, and phases, servers and eras where there are several."""
        named = (
            ("phases", self.phases),
            ("servers", self.servers),
            ("tools", self.tools),
            ("eras", self.eras),
        )
        return [(name, parts) for name, parts in named if len(parts) > 1 or name == "tools"]

    @property
    def is_correct(self) -> bool:
        """No call got another's answer, or two, and nobody was answered who had not asked."""
        return not (self.wrong or self.duplicate or self.unasked)


@dataclass(frozen=True, slots=True)
class Report:
    """A whole run."""

    version: str
    began_utc: str
    plan: dict[str, Any]
    load: Load
    uses: list[Use]
    kills: list[Kill]
    generator_rss_bytes: int
    interrupted: bool = False

    def as_json(self) -> dict[str, Any]:
        """Everything, as plain values."""
        return asdict(self)

    def breaches(self, max_p99_ms: float | None, max_failed_percent: float | None) -> list[str]:
        """What is wrong with the answers, and which of these limits do not hold, in words."""
        load = self.load
        found = [] if load.is_correct else ["calls got another's answer, or more than one"]
        found += [] if load.right else ["no call was answered"]
        if max_p99_ms is not None and not load.latency_ms.p99 <= max_p99_ms:
            found.append(f"p99 is {load.latency_ms.p99:.3g} ms, above {max_p99_ms:g} ms")
        if max_failed_percent is not None and not 100 * load.failed_share <= max_failed_percent:
            found.append(
                f"{100 * load.failed_share:.3g} % of the calls failed, above {max_failed_percent:g} %"
            )
        if load.saturated and (max_p99_ms is not None or max_failed_percent is not None):
            found.append("the generator was the limit, so that nothing is proven")
        return found
