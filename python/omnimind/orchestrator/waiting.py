"""Waiting for whichever of several things happens first."""

from __future__ import annotations

import anyio


async def first_of(*events: anyio.Event) -> None:
    """Return as soon as one of them is set."""
    async with anyio.create_task_group() as group:

        async def until(event: anyio.Event) -> None:
            await event.wait()
            group.cancel_scope.cancel()

        for event in events:
            group.start_soon(until, event)
