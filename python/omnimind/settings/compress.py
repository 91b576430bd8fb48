"""What the settings say of compression: `compress` of an entry, `compress` of the gateway.

Rule: nothing is compressed that the file does not name, and each key alone means something: a number of tokens is a
budget, `true` the default share.
"""

from __future__ import annotations

from typing import Any, Final

from omnimind.settings.checks import Check, Spot, each, integer, number, section
from omnimind.settings.model import (
    ClientCompressSettings,
    PressSettings,
    ServerCompressSettings,
    ToolCompressSettings,
)

_TOKENS: Final = integer(50, 10_000_000)

PRESS: Final[dict[str, Check]] = {
    "share": number(0.01, 1),
    "budget_tokens": _TOKENS,
    "from_tokens": integer(1, 10_000_000),
}


def press(spot: Spot) -> PressSettings | None:
    """false for not at all, true, a budget of tokens, or an object."""
    value = spot.node.value
    if isinstance(value, bool):
        return PressSettings() if value else None
    if isinstance(value, int):
        return PressSettings(budget_tokens=_TOKENS(spot))
    return PressSettings(**section(PRESS)(spot))


SERVER_COMPRESS: Final[dict[str, Check]] = {**PRESS, "tools": each(press)}

_LEVEL: Final = 'write "share" for the part of the tokens that stays, or "budget_tokens"'
_MEANT: Final[dict[str, str]] = {
    **dict.fromkeys(("level", "ratio", "target", "target_tokens", "max_tokens"), _LEVEL)
}
"""Keys that people try, and what to write instead."""


def of_server(spot: Spot) -> ServerCompressSettings:
    """An entry's `compress`. One that names nothing but tools is for these alone."""
    if not isinstance(spot.node.value, dict):
        return ServerCompressSettings(press(spot))
    said: dict[str, Any] = section(SERVER_COMPRESS, _MEANT)(spot)
    tools = tuple(ToolCompressSettings(name, found) for name, found in said.pop("tools", {}).items())
    return ServerCompressSettings(PressSettings(**said) if said or not tools else None, tools)


def of_gateway(spot: Spot) -> tuple[ClientCompressSettings, ...]:
    """The gateway's `compress`: by client."""
    found = section({"clients": each(press)})(spot).get("clients", {})
    return tuple(ClientCompressSettings(name, wanted) for name, wanted in found.items() if wanted)
