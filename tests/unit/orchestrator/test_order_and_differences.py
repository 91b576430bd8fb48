"""The order of starts, and what a changed configuration changes: both pure."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from omnimind.linux.pulse import Beat
from omnimind.orchestrator import order, recycle
from omnimind.orchestrator.reload import Outcome, differences, in_words
from omnimind.settings import (
    GatewaySettings,
    LimitsSettings,
    PoolSettings,
    RecycleSettings,
    ServerLimitsSettings,
    ServerSettings,
    Settings,
)


def server(name: str, tier: str = "medium", after: tuple[str, ...] = (), **keys: object) -> ServerSettings:
    return ServerSettings(name=name, kind="stdio", tier=tier, after=after, command="x", **keys)  # type: ignore[arg-type]


def test_tiers_are_waves() -> None:
    servers = [server("m"), server("c", "critical"), server("h", "high"), server("c2", "critical")]
    assert order.waves(servers) == [["c", "c2"], ["h"], ["m"]]


def test_after_makes_a_later_wave_also_across_tiers() -> None:
    servers = [
        server("first"),
        server("c", "critical", ("first",)),
        server("h", "high"),
        server("z", after=("c",)),
    ]
    assert order.waves(servers) == [["h"], ["first"], ["c"], ["z"]]


def test_what_does_not_run_is_waited_for_by_nobody() -> None:
    assert order.waves([server("a", after=("gone",))]) == [["a"]]


def configured(*servers: ServerSettings, **keys: object) -> Settings:
    return replace(Settings(Path("/s"), None, servers), **keys)  # type: ignore[arg-type]


def test_the_same_configuration_changes_nothing() -> None:
    found = differences(configured(server("a")), configured(server("a")))
    assert not any((found.added, found.removed, found.replaced, found.renewed, found.adjusted, found.fixed))


def test_each_kind_of_change_is_told_apart() -> None:
    old = configured(
        *(server(name) for name in ("gone", "same", "command", "nature", "patience", "limits", "port", "off"))
    )
    new = configured(
        server("same"),
        replace(server("command"), args=("--other",)),
        replace(server("nature"), sessions="shared"),
        replace(server("patience"), timeout_ms=5),
        replace(server("limits"), limits=ServerLimitsSettings(max=8), pool=PoolSettings(min_idle=1)),
        replace(server("port"), port=0),
        replace(server("off"), enabled=False),
        server("fresh"),
        gateway=GatewaySettings(port=1),
    )
    found = differences(old, new)
    assert found.added == ["fresh"]
    assert found.removed == ["gone", "off"]
    assert found.renewed == ["command"]
    assert found.replaced == ["nature"]
    assert found.adjusted == ["patience", "limits", "port"]
    assert found.moved == ["port"]
    assert found.fixed == ["gateway.port"]


def test_what_changes_for_the_gateway_alone_is_told() -> None:
    old = configured(server("a"))
    new = replace(old, gateway=GatewaySettings(limits=LimitsSettings(policy="aimd")))
    found = differences(old, new)
    assert (found.adjusted, found.renewed, found.fixed) == (["gateway"], [], [])
    assert in_words(Outcome(found, {})) == "adjusted gateway"
    assert differences(old, replace(old, gateway=GatewaySettings(port=1))).adjusted == []


def test_an_environment_of_the_same_content_is_no_change() -> None:
    first, second = (replace(server("a"), env=MappingProxyType({"A": "1"})) for _ in range(2))
    assert differences(configured(first), configured(second)).renewed == []


def test_recycling_is_due_at_its_limit_and_never_without_one() -> None:
    assert recycle.due(RecycleSettings(), 1e9, 10**9, 10**6) is None
    assert recycle.due(RecycleSettings(age_s=10), 9.9, None, None) is None
    assert "10 s" in (recycle.due(RecycleSettings(age_s=10), 10, None, None) or "")
    assert "7 requests" in (recycle.due(RecycleSettings(requests=7), 0, 7, None) or "")
    assert "64 MB" in (recycle.due(RecycleSettings(memory_mb=64), 0, 0, 64) or "")
    assert recycle.due(RecycleSettings(memory_mb=64, requests=7), 0, None, None) is None


def test_calls_in_flight_that_never_finish_are_noticed_once_in_a_while() -> None:
    progress, busy = recycle.Progress(), Beat(3, 2, 0)
    assert [progress.stalled(busy, t) for t in (0.0, 29.0, 30.0, 31.0, 60.0)] == [
        False,
        False,
        True,
        False,
        True,
    ]
    assert not progress.stalled(Beat(4, 2, 0), 90.0)
    assert not progress.stalled(Beat(4, 0, 0), 200.0)
    assert not progress.stalled(Beat(4, 1, 0), 201.0)
    assert not progress.stalled(None, 300.0)
