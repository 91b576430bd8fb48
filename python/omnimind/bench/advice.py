"""What follows from the figures: where the time goes, and what to do about that. Pure; every line rests on numbers.

Looked at is the judged phase, or the last one of a run that ended early. A line is only there if its numbers are: a run
in which nothing stands out says where the time goes, and no more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeVar

from omnimind.bench.report import Health, Machine, Phase, at_gateway, rounded, tool_name
from omnimind.monitor.histogram import Histogram
from omnimind.monitor.report import Calls
from omnimind.stress.report import Load, Part
from omnimind.stress.text import time

Number = TypeVar("Number", int, float)
_FULL: Final = 0.9
_STOLEN: Final = 0.05
_OWN_WAY_MS: Final = 1.0
_BEND: Final = 4.0
"""Times the p99 of half the load, from which on it is said to bend."""
_HELP: Final = {
    "overloaded": "more calls came than its limit lets in: omnimind status --limits",
    "rate_limited": "they were over a rate: gateway.limits in the configuration",
    "deadline": "they could not be done in the time that they gave",
}


def advise(
    phases: Sequence[Phase], judged: Phase | None, machine: Machine, health: Health | None
) -> tuple[str, ...]:
    """Lines for people, the most important first."""
    if not phases:
        return ()
    phase = judged or phases[-1]
    return (
        *_where(phase),
        *_who(phase.client.load, phase.gateway.places, _servers(phase)),
        *_own_way(phase),
        *_bend(phases),
        *_failures(phases),
        *_full(phases),
        *_limits(phases, machine),
        *_crashes(health),
    )


def _where(phase: Phase) -> Iterable[str]:
    """Which stretch of a slow call's way takes most of its time."""
    calls = at_gateway(phase.kernel) if phase.kernel else phase.gateway.all
    waits = phase.around.waits
    stages = (
        ("unread in the socket", {"": calls.wait}, "the gateway's process gets too little CPU"),
        (
            "in the gateway's queue",
            {server: one.wait for server, one in waits.items()},
            "more calls come than its limit lets in at once (omnimind status --limits)",
        ),
        (
            "at the servers",
            {server: one.service for server, one in waits.items()},
            "that is the tools' own time, or a server that gets too little CPU",
        ),
    )
    place, times, why = max(stages, key=lambda stage: _p99_ms(_together(stage[1])))
    ms, (server, share) = _p99_ms(_together(times)), _tail(times)
    if ms:
        of = f", {_percent(share)} of it {server}" if server else ""
        yield f"Slow calls are slow {place}: p99 {_shown(ms)} ms there{of}; {why}."


def _who(load: Load, places: Mapping[str, Calls], servers: Mapping[str, str]) -> Iterable[str]:
    """Which server and tool callers wait for most, and who makes the tail."""
    all_s = sum(map(_waited, load.servers))
    if not all_s:
        return
    server = max(load.servers, key=_waited)
    by_tool: dict[str, float] = {}
    for part in load.tools:
        name = tool_name(servers.get(part.name, "-"), part.name)
        by_tool[name] = by_tool.get(name, 0.0) + _waited(part)
    tool = max(by_tool, key=by_tool.__getitem__)
    calls = server.calls / max(1, load.measured)
    yield (
        f"Callers wait most for {server.name}: {_percent(_waited(server) / all_s)} of all waiting, with "
        f"{_percent(calls)} of the calls; of the tools for {tool} ({_percent(by_tool[tool] / all_s)})."
    )
    name, share = _tail({place: found.total for place, found in places.items()})
    if name:
        yield f"Of the slowest calls, one in a hundred, {_percent(share)} are of {name}."


def _own_way(phase: Phase) -> Iterable[str]:
    """The client's time that neither gateway nor kernel saw."""
    client, other = phase.clocks[0], phase.clocks[-1]
    if client.p99 is None or other.p99 is None:
        return
    own = client.p99 - other.p99
    if own > _OWN_WAY_MS and own > client.p99 / 2:
        yield (
            f"The client's p99 is {_shown(client.p99)} ms and the {other.name}'s {_shown(other.p99)} ms: the rest is "
            "the client's own way, and its wait for a CPU."
        )


def _bend(phases: Sequence[Phase]) -> Iterable[str]:
    """Where more load makes calls much slower."""
    p99 = {phase.name: phase.clocks[-1].p99 for phase in phases}
    half, most = p99.get("open 50 %"), p99.get("open 90 %")
    rates = {phase.name: phase.client.load.offered_per_s for phase in phases}
    if half and most and most > _BEND * half:
        yield (
            f"At {rates['open 90 %']:,.0f} calls/s p99 is {most / half:.1f} times that at "
            f"{rates['open 50 %']:,.0f} calls/s: plan for fewer."
        )


def _failures(phases: Sequence[Phase]) -> Iterable[str]:
    """What was refused, and what failed otherwise."""
    refused = _sum(phase.around.refusals for phase in phases)
    for reason, count in _top(refused, len(refused)):
        help = _HELP.get(reason, "docs/errors.md says what that means")
        yield f"{count:,} calls were refused, {reason}: {help}."
    errors = _sum(phase.client.load.errors for phase in phases)
    if errors:
        words = ", ".join(f"{kind} {count:,}" for kind, count in _top(errors, len(errors)))
        yield f"{sum(errors.values()):,} calls failed for the client: {words}."


def _full(phases: Sequence[Phase]) -> Iterable[str]:
    """No CPU left: for all, or for the generator."""
    names = [
        phase.name for phase in phases if (phase.around.cpu_busy or 0) >= _FULL and phase.name != "closed"
    ]
    if names:
        yield (
            f"The machine's CPUs were full at {', '.join(names)}, and generator, gateway and servers share them: "
            "with more cores the same calls take less time."
        )
    stolen = max((phase.around.cpu_stolen or 0 for phase in phases), default=0)
    if stolen >= _STOLEN:
        yield f"The machine's host gave up to {_percent(stolen)} of its CPU time to others."
    by_load = [phase for phase in phases if phase.client.load.saturated and phase.name != "closed"]
    if by_load:
        (name, why), *_ = ((phase.name, "; ".join(phase.client.load.saturated_by)) for phase in by_load)
        yield (
            f"In {len(by_load)} of {len(phases)} phases the generator was, or may have been, the limit "
            f"(at {name} {why}): trust the other clocks more than the client's."
        )


def _limits(phases: Sequence[Phase], machine: Machine) -> Iterable[str]:
    """Container and unit: what there is to tune."""
    stood = sum(phase.around.throttled or 0 for phase in phases)
    if stood:
        limit = f" of {machine.cpu_limit:g} CPUs" if machine.cpu_limit else ""
        yield f"Tune the unit: the limit{limit} made it stand still {stood:,} times; raise CPUQuota= or --cpus."
    if machine.bridged:
        yield (
            f"Tune the container ({machine.container}): its network is a bridge, which clients from outside pass twice "
            "and these figures do not contain; --network host takes it away."
        )
    elif machine.container:
        yield f"It runs in a container ({machine.container}) without a bridge of its own: nothing to tune there."


def _crashes(health: Health | None) -> Iterable[str]:
    if health and health.exits:
        yield f"{health.exits} processes ended by themselves: omnimind logs says why."


def _servers(phase: Phase) -> dict[str, str]:
    return {str(call["tool"]): str(call["server"]) for call in phase.client.plan["calls"]}


def _waited(part: Part) -> float:
    return part.latency_ms.mean * part.right


def _together(times: Mapping[str, Histogram]) -> Histogram:
    return sum(times.values(), start=Histogram())


def _tail(times: Mapping[str, Histogram]) -> tuple[str, float]:
    """Whose calls most of the slowest are, one in a hundred of all these, and what share of them."""
    bucket = _together(times).bucket_at(99)
    tail = {name: one.at_least(bucket[0]) for name, one in times.items()} if bucket else {}
    name = max(tail, key=tail.__getitem__, default="")
    return name, tail.get(name, 0) / max(1, sum(tail.values()))


def _p99_ms(histogram: Histogram) -> float:
    return (histogram.percentile_us(99) or 0.0) / 1000


def _top(counts: Mapping[str, Number], most: int = 1) -> list[tuple[str, Number]]:
    return sorted(counts.items(), key=lambda item: -item[1])[:most]


def _sum(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in counts:
        for name, count in one.items():
            found[name] = found.get(name, 0) + count
    return found


def _shown(ms: float) -> str:
    return time(rounded(ms) or 0.0)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
