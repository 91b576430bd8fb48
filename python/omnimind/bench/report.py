"""What a benchmark found, as values; `text` and `page` show the same numbers, `as_json` writes all of them.

The client's clock counts from the instant a call was due until its answer is there, the gateway's from the head of the
request until the last word of the answer, the kernel's from the first bytes in the socket until the first of the
reply. What is shown of them are `Clock`s, whose milliseconds are rounded once and for all, so that every form of
the report says the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from omnimind.monitor.histogram import Histogram
from omnimind.monitor.report import Calls, merged
from omnimind.monitor.report import Report as Seen
from omnimind.stress import text as stress_text
from omnimind.stress.report import Latency, Part
from omnimind.stress.report import Report as Sent

ClockName = Literal["client", "gateway", "kernel"]
Level = Literal["excellent", "good", "problem"]

JUDGED: Final = "open 70 %"
"""The phase whose p99 is the verdict's: a rate that the fleet bears, and not the most it can do."""


@dataclass(frozen=True, slots=True)
class Clock:
    """What one clock says of some calls. Milliseconds, rounded; None where it saw none or cannot tell."""

    name: ClockName
    calls: int
    high: int | None
    """Calls above 50 ms; the client does not count them."""
    p50: float | None
    p90: float | None
    p99: float | None
    p999: float | None
    wait_p50: float | None = None
    wait_p99: float | None = None
    service_p50: float | None = None
    service_p99: float | None = None

    @classmethod
    def seen(cls, name: ClockName, calls: Calls) -> Clock:
        """Of the gateway or the kernel."""
        times = [_ms(calls.total, percent) for percent in (50, 90, 99, 99.9)]
        parts = [_ms(one, percent) for one in (calls.wait, calls.service) for percent in (50, 99)]
        return cls(name, calls.total.calls, calls.high, *times, *parts)

    @classmethod
    def sent(cls, calls: int, ms: Latency | None) -> Clock:
        """Of the client; without latencies if no call was answered right."""
        times = (ms.p50, ms.p90, ms.p99, ms.p999) if ms else (None,) * 4
        return cls("client", calls, None, *(rounded(value) for value in times))


@dataclass(frozen=True, slots=True)
class Row:
    """A server or a tool, as client and gateway saw it; None where a clock does not know it."""

    name: str
    client: Clock | None
    gateway: Clock | None


@dataclass(frozen=True, slots=True)
class Around:
    """What else was read around a phase."""

    waits: Mapping[str, Calls] = field(default_factory=dict)
    """By server: `wait` is the time in the gateway's queue before it, `service` that at the server."""
    refusals: Mapping[str, int] = field(default_factory=dict)
    """Requests that the gateway refused, by reason."""
    cpu_busy: float | None = None
    """The share of the machine's CPU time that was used, 0 to 1."""
    cpu_stolen: float | None = None
    """The share that the machine's host gave to others."""
    throttled: int | None = None
    """Periods in which the control group of the gateway had used up its CPU and stood still."""


@dataclass(frozen=True, slots=True)
class Phase:
    """One stretch of load, as each clock saw it."""

    name: str
    client: Sent
    gateway: Seen
    kernel: Seen | None
    around: Around = field(default_factory=Around)

    @property
    def clocks(self) -> tuple[Clock, ...]:
        """Side by side: client, gateway and, if it was watched, the kernel at the gateway's port."""
        load = self.client.load
        found = [Clock.sent(load.sent, load.latency_ms if load.right else None)]
        found.append(Clock.seen("gateway", self.gateway.all))
        if self.kernel is not None:
            found.append(Clock.seen("kernel", at_gateway(self.kernel)))
        return tuple(found)

    def clock(self, name: ClockName) -> Clock | None:
        """One of them."""
        return next((clock for clock in self.clocks if clock.name == name), None)

    @property
    def servers(self) -> tuple[Row, ...]:
        """By server, in the order of the mix."""
        by_server: dict[str, Calls] = {}
        for place, calls in self.gateway.places.items():
            server = place.partition(" ")[0]
            by_server[server] = by_server.get(server, Calls()) + calls
        parts = {part.name: [part] for part in self.client.load.servers}
        return tuple(_rows(parts, by_server))

    @property
    def tools(self) -> tuple[Row, ...]:
        """By tool, as `memory open_nodes`, in the order of the mix."""
        servers = {str(call["tool"]): str(call["server"]) for call in self.client.plan["calls"]}
        parts: dict[str, list[Part]] = {}
        for part in self.client.load.tools:
            parts.setdefault(tool_name(servers.get(part.name, "-"), part.name), []).append(part)
        return tuple(_rows(parts, self.gateway.places))


@dataclass(frozen=True, slots=True)
class Machine:
    """Where it was measured; what stands between a process and the bare machine."""

    cpus: int
    model: str
    kernel: str
    memory_bytes: int
    container: str | None = None
    """Which kind it runs in, if any."""
    bridged: bool = False
    """In a container whose network is its own: clients from outside pass a bridge."""
    cpu_limit: float | None = None
    """CPUs that the control group of the gateway may use."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Results of tools that went out in fewer tokens."""

    results: int
    before: int
    after: int

    @property
    def saved(self) -> float:
        """The share that was saved, 0 to 1."""
        return 1 - self.after / self.before if self.before else 0.0


@dataclass(frozen=True, slots=True)
class Health:
    """How the servers and the tokens fared in the whole run. Exits are those nobody planned; kills were ours."""

    starts: int
    exits: int
    kills: int
    shipped: Tokens
    """With the configuration as it is shipped."""
    compressing: Tokens | None = None
    """Of compressible results, with compression on."""

    @property
    def crash_rate(self) -> float:
        """Exits for every start, 0 to 1."""
        return self.exits / self.starts if self.starts else 0.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the p99 of the judged phase means by the original document's table."""

    level: Level
    clock: ClockName
    """Whose p99 it is: the kernel's at the gateway's port, else the gateway's."""
    p99_ms: float
    client_p99_ms: float | None
    bounds_ms: tuple[float, float | None]
    """The bucket that it lies in: a clock with coarse buckets knows no better."""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """The whole."""

    version: str
    began_utc: str
    machine: Machine
    fleet: str
    """What was measured, in words."""
    duration_s: float
    concurrency: int
    seed: int
    no_store: bool
    """Nothing was to come from the gateway's memory."""
    phases: tuple[Phase, ...]
    health: Health | None = None
    verdict: Verdict | None = None
    """None if the judged phase was not reached."""
    advice: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """Which clock is missing and why, and what else a reader must know."""
    interrupted: bool = False

    @property
    def judged(self) -> Phase | None:
        """The phase of the verdict."""
        return next((phase for phase in self.phases if phase.name == JUDGED), None)

    @property
    def rate_per_s(self) -> float | None:
        """Right answers a second in the closed loop: what the rates of the open ones are shares of."""
        return self.phases[0].client.load.throughput_per_s if self.phases else None

    def whole(self, clock: Literal["gateway", "kernel"]) -> Seen | None:
        """All phases by this clock; None without it."""
        reports = [phase.gateway if clock == "gateway" else phase.kernel for phase in self.phases]
        there = [one for one in reports if one is not None]
        return merged(there) if there else None

    @property
    def ports(self) -> dict[str, Clock]:
        """By port, what the kernel saw in the whole run; empty without it."""
        seen = self.whole("kernel")
        used = {name: calls for name, calls in seen.places.items() if calls.total.calls} if seen else {}
        return {name: Clock.seen("kernel", calls) for name, calls in sorted(used.items())}

    def as_json(self) -> dict[str, Any]:
        """Everything, as plain values."""
        wholes = {name: self.whole(name) for name in ("gateway", "kernel")}
        return {
            "version": self.version,
            "began_utc": self.began_utc,
            "interrupted": self.interrupted,
            "machine": asdict(self.machine),
            "fleet": self.fleet,
            "duration_s": self.duration_s,
            "concurrency": self.concurrency,
            "seed": self.seed,
            "no_store": self.no_store,
            "rate_per_s": self.rate_per_s,
            "notes": list(self.notes),
            "verdict": asdict(self.verdict) if self.verdict else None,
            "advice": list(self.advice),
            "health": _health(self.health),
            "phases": [_phase(phase) for phase in self.phases],
            "ports": {name: asdict(clock) for name, clock in self.ports.items()},
            "whole": {name: seen.as_json() for name, seen in wholes.items() if seen},
        }


def at_gateway(seen: Seen) -> Calls:
    """What the kernel saw at the gateway's port: the calls of clients."""
    found = (calls for place, calls in seen.places.items() if place.partition(":")[0] == "gateway")
    return next(found, Calls())


def tool_name(server: str, tool: str) -> str:
    """A tool of the aggregate endpoint, `memory__open_nodes`, as the gateway's figures have it."""
    return f"{server} {tool.removeprefix(f'{server}__')}"


def rounded(ms: float | None) -> float | None:
    """As `stress.text.time` shows it, so that a number is the same in every form of the report."""
    return None if ms is None else float(stress_text.time(ms))


def _ms(histogram: Histogram, percent: float) -> float | None:
    us = histogram.percentile_us(percent)
    return rounded(None if us is None else us / 1000)


def _rows(parts: Mapping[str, list[Part]], places: Mapping[str, Calls]) -> Iterable[Row]:
    """The client's parts beside the gateway's places; what only the gateway knows comes last."""
    for name, found in parts.items():
        calls = places.get(name)
        yield Row(name, _client(found), Clock.seen("gateway", calls) if calls else None)
    for name, calls in sorted(places.items()):
        if name not in parts and calls.total.calls:
            yield Row(name, None, Clock.seen("gateway", calls))


def _client(parts: list[Part]) -> Clock:
    """The counts of all ways in which the mix calls a tool, and the percentiles of the slowest way: they do not add."""
    right = [part for part in parts if part.right]
    slowest = max(right, key=lambda part: part.latency_ms.p99, default=None)
    return Clock.sent(sum(part.calls for part in parts), slowest.latency_ms if slowest else None)


def _phase(phase: Phase) -> dict[str, Any]:
    around = phase.around
    return {
        "name": phase.name,
        "clocks": {clock.name: asdict(clock) for clock in phase.clocks},
        "servers": [asdict(row) for row in phase.servers],
        "tools": [asdict(row) for row in phase.tools],
        "waits": {
            server: {"queue": _times(calls.wait), "service": _times(calls.service)}
            for server, calls in sorted(around.waits.items())
        },
        "refusals": dict(around.refusals),
        "cpu_busy": around.cpu_busy,
        "cpu_stolen": around.cpu_stolen,
        "throttled": around.throttled,
        "client": phase.client.as_json(),
        "gateway": phase.gateway.as_json(),
        "kernel": phase.kernel.as_json() if phase.kernel else None,
    }


def _times(histogram: Histogram) -> dict[str, float | int | None]:
    return {
        "calls": histogram.calls,
        "p50_ms": _ms(histogram, 50),
        "p99_ms": _ms(histogram, 99),
    }


def _health(health: Health | None) -> dict[str, Any] | None:
    if health is None:
        return None
    found = {**asdict(health), "crash_rate": health.crash_rate}
    for name, tokens in (("shipped", health.shipped), ("compressing", health.compressing)):
        if tokens:
            found[name]["saved"] = tokens.saved
    return found
