"""A call its client gives up ends at the server within 100 ms: every pair of eras, every transport.

Server and test read the same monotonic clock. One late tick of a busy machine is no fault, so the best of
three tries counts; a gateway that polls, or forgets, misses all three.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import anyio
import pytest
from fleet import Fleet
from mcp import Client
from single_era_fleet import TRANSPORTS, single_era_fleet
from visitor import LEGACY, MODERN, becomes, said, visit

pytestmark = [pytest.mark.anyio, pytest.mark.bar, pytest.mark.timeout(60)]

LIMIT_S = 0.1
TRIES = 3


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with single_era_fleet() as running:
        yield running


@pytest.mark.alone
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("server", [MODERN, LEGACY], ids=lambda era: f"{era}-server")
@pytest.mark.parametrize("client", [MODERN, LEGACY], ids=lambda era: f"{era}-client")
async def test_a_call_given_up_ends_at_the_server(
    fleet: Fleet, client: str, server: str, transport: str
) -> None:
    async with visit(fleet.url(f"{server}-{transport}"), client) as connected:
        lags = [await _lag(connected, f"{client}-{server}-{transport}-{n}") for n in range(TRIES)]
        assert min(lags) < LIMIT_S
        assert said(await connected.call_tool("echo", {"text": "still here"})) == "still here"


async def _lag(client: Client, key: str) -> float:
    """Seconds from giving up to the server's cancelling."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client.call_tool, "wait", {"key": key})
        await becomes(client, key, "waiting")
        given_up = time.monotonic()
        tasks.cancel_scope.cancel()
    await becomes(client, key, "cancelled")
    return float(said(await client.call_tool("cancelled_at", {"key": key}))) - given_up
