"""What the settings say of compression: `compress` of an entry, `compress` of the gateway.

Rule: no result is compressed that the file does not name, and each key alone means something: a number of tokens is a
budget, `true` the default share, and how tools are listed (`tool_list`) says nothing of results.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final, get_args

from omnimind.settings.checks import Check, Spot, choice, each, integer, number, section
from omnimind.settings.model import (
    ClientCompressSettings,
    GatewayCompressSettings,
    PressSettings,
    ServerCompressSettings,
    ToolCompressSettings,
    ToolList,
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


TOOL_LIST: Final[dict[str, Check]] = {"tool_list": choice(*get_args(ToolList))}
SERVER_COMPRESS: Final[dict[str, Check]] = {**PRESS, **TOOL_LIST, "tools": each(press)}
CLIENT_COMPRESS: Final[dict[str, Check]] = {**PRESS, **TOOL_LIST}

_LEVEL: Final = 'write "share" for the part of the tokens that stays, or "budget_tokens"'
_MEANT: Final[dict[str, str]] = {
    **dict.fromkeys(("level", "ratio", "target", "target_tokens", "max_tokens"), _LEVEL),
    **dict.fromkeys(("profile", "list", "tools_list"), 'write "tool_list" for how tools are listed'),
}
"""Keys that people try, and what to write instead."""


def of_server(spot: Spot) -> ServerCompressSettings:
    """An entry's `compress`. One that names nothing but tools, or how they are listed, is for these alone."""
    if not isinstance(spot.node.value, dict):
        return ServerCompressSettings(press(spot))
    said: dict[str, Any] = section(SERVER_COMPRESS, _MEANT)(spot)
    tools = tuple(ToolCompressSettings(name, found) for name, found in said.pop("tools", {}).items())
    listed = {key: said.pop(key) for key in TOOL_LIST if key in said}
    pressed = PressSettings(**said) if said or not (tools or listed) else None
    return ServerCompressSettings(pressed, tools, **listed)


def of_client(spot: Spot) -> ClientCompressSettings | None:
    """A client's, without its name; None where nothing is other than for everybody."""
    if not isinstance(spot.node.value, dict):
        pressed = press(spot)
        return ClientCompressSettings("", pressed) if pressed else None
    said: dict[str, Any] = section(CLIENT_COMPRESS, _MEANT)(spot)
    listed = said.pop("tool_list", None)
    return ClientCompressSettings("", PressSettings(**said) if said or not listed else None, listed)


def of_gateway(spot: Spot) -> GatewayCompressSettings:
    """The gateway's `compress`: how tools are listed, and both by client."""
    table = {**TOOL_LIST, "clients": each(of_client)}
    said = section(table, {"tools": 'write "tool_list" for how tools are listed'})(spot)
    found = said.pop("clients", {}).items()
    clients = tuple(replace(wanted, name=name) for name, wanted in found if wanted)
    return GatewayCompressSettings(**said, clients=clients)
