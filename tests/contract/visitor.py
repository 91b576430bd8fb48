"""An SDK client of either era that answers every question and remembers all it was told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import mcp.types as types
from mcp import Client
from pydantic import FileUrl

MODERN, LEGACY = "modern", "legacy"
VERSIONS = {MODERN: "2026-07-28", LEGACY: "2025-11-25"}
MODES = {MODERN: "auto", LEGACY: "legacy"}
ANSWERS: dict[str, str | int | float | bool | list[str] | None] = {"name": "Ada", "color": "blue"}
SOON_S, POLL_S = 5.0, 0.01


@dataclass
class Visitor:
    """What happened at the client's end."""

    action: str = "accept"
    asked: list[str] = field(default_factory=list)
    logged: list[tuple[str, Any]] = field(default_factory=list)
    notified: list[str] = field(default_factory=list)

    async def elicited(self, _: Any, params: Any) -> types.ElicitResult:
        self.asked.append(params.message)
        wanted = params.requested_schema.get("properties", {})
        content = {name: value for name, value in ANSWERS.items() if name in wanted}
        accepted = self.action == "accept"
        action: Any = self.action
        return types.ElicitResult(action=action, content=content if accepted else None)

    async def sampled(self, _: Any, params: types.CreateMessageRequestParams) -> types.CreateMessageResult:
        said = types.TextContent(type="text", text="Paris")
        return types.CreateMessageResult(role="assistant", content=said, model="small-model")

    async def rooted(self, _: Any) -> types.ListRootsResult:
        return types.ListRootsResult(roots=[types.Root(uri=FileUrl("file:///home/ada"), name="work")])

    async def heard(self, params: types.LoggingMessageNotificationParams) -> None:
        self.logged.append((params.level, params.data))

    async def received(self, message: Any) -> None:
        self.notified.append(getattr(message, "method", type(message).__name__))


@asynccontextmanager
async def visit(
    url: str, era: str, visitor: Visitor | None = None, *, mute: bool = False, **options: Any
) -> AsyncIterator[Client]:
    """A connected client; a `mute` one declares no capability to answer anything."""
    who = visitor or Visitor()
    answering: dict[str, Any] = {
        "elicitation_callback": who.elicited,
        "sampling_callback": who.sampled,
        "list_roots_callback": who.rooted,
    }
    client = Client(
        url,
        mode=MODES[era],
        logging_callback=who.heard,
        message_handler=who.received,
        **({} if mute else answering),
        **options,
    )
    async with client:
        assert client.protocol_version == VERSIONS[era]
        yield client


def said(result: types.CallToolResult) -> str:
    """The text of a tool's answer."""
    return "".join(getattr(block, "text", "") for block in result.content)


async def eventually(condition: Callable[[], bool], what: str) -> None:
    """Look every 10 ms, for `SOON_S` at most."""
    end = anyio.current_time() + SOON_S
    while anyio.current_time() < end:
        if condition():
            return
        await anyio.sleep(POLL_S)
    raise AssertionError(f"after {SOON_S:g} s still not so: {what}")


async def becomes(client: Client, key: str, state: str) -> None:
    """Ask the single-era servers what became of the call `wait(key)`, until it is `state`."""
    last = ""
    end = anyio.current_time() + SOON_S
    while anyio.current_time() < end:
        last = said(await client.call_tool("state_of", {"key": key}))
        if last == state:
            return
        await anyio.sleep(POLL_S)
    raise AssertionError(f"after {SOON_S:g} s the call is {last}, not {state}")
