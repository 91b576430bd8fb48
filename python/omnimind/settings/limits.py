"""What the settings say of limits and connections: `limits` and `pool` of an entry, `limits` of the gateway.

Rule: what is said is taken as it stands or refused at its place; what is not said follows what is (a `max` of 8
starts at 8), so that one key alone never contradicts a default.
"""

from __future__ import annotations

import math
from typing import Any, Final

from omnimind.settings.checks import Check, Spot, boolean, choice, each, integer, number, section
from omnimind.settings.model import (
    LimitsSettings,
    PoolSettings,
    QuotaSettings,
    ServerLimitsSettings,
    ToolLimitsSettings,
)

_BURST_MOST: Final = 100_000
_PER_S: Final = number(0.001, 1_000_000)
_AT_ONCE: Final = integer(1, 100_000)
_CLASSES: Final = ("system", "interactive", "normal", "background")

QUOTA: Final[dict[str, Check]] = {"per_s": _PER_S, "burst": integer(1, _BURST_MOST)}


def quota(spot: Spot) -> QuotaSettings:
    """A rate: a number of calls a second, or an object; the burst is what a second brings unless said."""
    said = section(QUOTA)(spot) if isinstance(spot.node.value, dict) else {"per_s": _PER_S(spot)}
    if "per_s" not in said:
        raise spot.bad("does not say how many calls a second", 'write {"per_s": 10}')
    per_s = said["per_s"]
    return QuotaSettings(float(per_s), said.get("burst", min(math.ceil(per_s), _BURST_MOST)))


TOOL_LIMITS: Final[dict[str, Check]] = {
    "quota": quota,
    "cost": integer(1, _BURST_MOST),
    "class": choice(*_CLASSES),
}

SERVER_LIMITS: Final[dict[str, Check]] = {
    "policy": choice("gradient", "aimd", "fixed"),
    "start": _AT_ONCE,
    "min": _AT_ONCE,
    "max": _AT_ONCE,
    "queue": integer(0, 1_000_000),
    "tenant": quota,
    "tools": each(section(TOOL_LIMITS)),
}

_RATE: Final = 'calls a second are limited by tenant, or by tool: "tenant": {"per_s": 10}'
_CONCURRENCY: Final = 'write "max" for the most calls at once'
_MEANT: Final[dict[str, str]] = {
    **dict.fromkeys(("per_s", "burst", "rate", "rate_per_s", "rps", "max_rps", "quota"), _RATE),
    **dict.fromkeys(("concurrency", "max_concurrency", "max_concurrent", "in_flight", "limit"), _CONCURRENCY),
}
"""Keys that people try, and where what they mean is said."""


def of_server(spot: Spot) -> ServerLimitsSettings:
    """An entry's `limits`."""
    said = section(SERVER_LIMITS, _MEANT)(spot)
    tools = tuple(_tool(name, limits) for name, limits in said.pop("tools", {}).items())
    found = ServerLimitsSettings(**{**said, **_bounds(spot, said), "tools": tools})
    for tool in tools:
        for whose, granted in (("its quota", tool.quota), ("the tenant's quota", found.tenant)):
            if granted is not None and tool.cost > granted.burst:
                raise _part(_part(spot, "tools"), tool.name).bad(
                    f"costs {tool.cost}, more than the burst of {whose} ({granted.burst}): no call would pass",
                    "raise the burst, or lower the cost",
                )
    return found


def _tool(name: str, said: dict[str, Any]) -> ToolLimitsSettings:
    return ToolLimitsSettings(name, said.get("quota"), said.get("cost", 1), said.get("class"))


def _bounds(spot: Spot, said: dict[str, Any]) -> dict[str, int]:
    """`min`, `start` and `max` in this order; those not said make room for those that are."""
    usual = ServerLimitsSettings()
    for lower, upper in (("min", "max"), ("min", "start"), ("start", "max")):
        if lower in said and upper in said and said[lower] > said[upper]:
            raise _part(spot, lower).bad(
                f"is {said[lower]}, larger than {upper}, {said[upper]}", f"raise {upper}, or lower {lower}"
            )
    most = said.get("max", max(usual.max, said.get("start", 0), said.get("min", 0)))
    least = said.get("min", min(usual.min, said.get("start", most), most))
    return {"min": least, "max": most, "start": said.get("start", min(max(usual.start, least), most))}


GATEWAY_LIMITS: Final[dict[str, Check]] = {
    "tenant": quota,
    "tenant_server": quota,
    "policy": choice("fixed", "aimd", "cpu-step"),
    "refusals_as_text": boolean,
}


def of_gateway(spot: Spot) -> LimitsSettings:
    """The gateway's `limits`."""
    return LimitsSettings(**section(GATEWAY_LIMITS)(spot))


POOL: Final[dict[str, Check]] = {
    "max_connections": integer(1, 10_000),
    "wait_ms": integer(0, 600_000),
    "min_idle": integer(0, 1_000),
    "idle_ms": integer(100, 3_600_000),
    "max_age_ms": integer(1_000, 24 * 3_600_000),
    "http2": choice("offered", "known", "never"),
}


def pool(spot: Spot) -> PoolSettings:
    """An entry's `pool`."""
    found = PoolSettings(**section(POOL)(spot))
    if found.min_idle > found.max_connections:
        raise _part(spot, "min_idle").bad(
            f"is {found.min_idle}, larger than max_connections, {found.max_connections}",
            "raise max_connections",
        )
    return found


def _part(spot: Spot, key: str) -> Spot:
    return spot.within(key, spot.node.value[key].node)
