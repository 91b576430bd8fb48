"""A server at its limit, as clients see it: what waits is answered, what cannot be is told so, in numbers and in words.

One client speaks plain HTTP and sees statuses and headers; the other is the SDK's, which sees what a model would.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.types import TextContent

from omnimind.cli import fleet as control
from tests.fleet import Fleet, fixture_entry, wait_until

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

AT_ONCE, IN_LINE, CALLS, DELAY_MS = 4, 8, 30, 200
BURST = 3
HEADERS = {
    "Accept": "application/json, text/event-stream",
    "MCP-Protocol-Version": "2026-07-28",
    "Mcp-Method": "tools/call",
    "Mcp-Name": "echo",
}
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    limits = {"policy": "fixed", "max": AT_ONCE, "queue": IN_LINE}
    rare = {"tools": {"echo": {"quota": {"per_s": 0.01, "burst": BURST}}}}
    servers = {
        "slow": fixture_entry("slow_echo", limits=limits),
        "rare": fixture_entry("slow_echo", limits=rare),
    }
    with Fleet(servers, gateway={"limits": {"refusals_as_text": False}}) as running:
        yield running


async def call(
    client: httpx2.AsyncClient, url: str, number: int, meta: dict[str, Any], delay_ms: int = DELAY_MS
) -> httpx2.Response:
    params = {"name": "echo", "arguments": {"text": f"{number}", "delay_ms": delay_ms}, "_meta": META | meta}
    message = {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}
    return await client.post(url, json=message, headers=HEADERS)


async def burst(
    url: str, count: int, meta: dict[str, Any], delay_ms: int = DELAY_MS
) -> list[httpx2.Response]:
    """So many calls at once."""
    answers: list[httpx2.Response] = []
    limits = httpx2.Limits(max_connections=count)
    async with httpx2.AsyncClient(limits=limits, timeout=20) as client, anyio.create_task_group() as tasks:

        async def one(number: int) -> None:
            answers.append(await call(client, url, number, meta, delay_ms))

        for number in range(count):
            tasks.start_soon(one, number)
    return answers


def limits_of(fleet: Fleet, server: str) -> dict[str, Any]:
    rows = control.ask(fleet.state, {"cmd": "limits"}, 30.0)["servers"]
    found: dict[str, Any] = next(row for row in rows if row["name"] == server)
    return found


async def test_more_calls_than_fit_are_told_to_come_again_and_the_others_are_served(fleet: Fleet) -> None:
    await burst(fleet.url("slow"), 1, {})
    before = limits_of(fleet, "slow")
    answers = await burst(fleet.url("slow"), CALLS, {})
    seen = Counter(answer.status_code for answer in answers)
    assert seen == {200: AT_ONCE + IN_LINE, 503: CALLS - AT_ONCE - IN_LINE}, seen
    waits = [
        answer.json()["result"].get("_meta", {}).get("omnimind/queueMs", 0)
        for answer in answers
        if answer.status_code == 200
    ]
    assert sum(wait > 0 for wait in waits) == IN_LINE
    assert max(waits) >= DELAY_MS
    for answer in answers:
        if answer.status_code == 503:
            error = answer.json()["error"]
            assert (error["code"], error["data"]["reason"], error["data"]["server"]) == (
                42901,
                "overloaded",
                "slow",
            )
            assert answer.headers["content-type"] == "application/json"
            assert int(answer.headers["retry-after"]) == -(-error["data"]["retryAfterMs"] // 1000)
    after = limits_of(fleet, "slow")
    assert (after["in_flight"], sum(after["waiting"].values())) == (0, 0)
    assert sum(after["refused"].values()) - sum(before["refused"].values()) == seen[503]


async def test_a_call_that_cannot_be_in_time_is_refused_at_the_door(fleet: Fleet) -> None:
    url = fleet.url("slow")
    await burst(url, 1, {})
    before = limits_of(fleet, "slow")["refused"]["deadline"]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(burst, url, AT_ONCE, {}, delay_ms=2000))
        full = partial(
            wait_until, lambda: limits_of(fleet, "slow")["in_flight"] == AT_ONCE, 10, "all permits are taken"
        )
        await anyio.to_thread.run_sync(full)
        [answer] = await burst(url, 1, {"omnimind/timeoutMs": DELAY_MS // 2})
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, 42902)
    assert "retry-after" in answer.headers
    assert limits_of(fleet, "slow")["refused"]["deadline"] == before + 1


async def test_over_a_rate_a_program_is_told_429_and_a_model_a_sentence(fleet: Fleet) -> None:
    async with httpx2.AsyncClient(timeout=20) as client:
        answers = [
            await call(client, fleet.url("rare"), number, {}, delay_ms=0) for number in range(BURST + 1)
        ]
    assert [answer.status_code for answer in answers] == [200] * BURST + [429]
    assert 0 < int(answers[-1].headers["retry-after"]) <= 100
    assert answers[-1].json()["error"]["data"]["scope"] == "server_tool"

    document = fleet.config.read_text()
    fleet.config.write_text(document.replace('"refusals_as_text": false', '"refusals_as_text": true'))
    async with httpx2.AsyncClient(timeout=20) as client:
        for number in range(400):  # until the new settings hold
            if (await call(client, fleet.url("rare"), number, {}, delay_ms=0)).status_code == 200:
                break
            await anyio.sleep(0.05)
    async with Client(fleet.url("rare")) as model:
        told = await model.call_tool("echo", {"text": "x"})
    assert told.is_error
    assert isinstance(told.content[0], TextContent)
    assert told.content[0].text.startswith(
        "The call was not made: the rate of the tool echo of rare is used up."
    )
    assert "Try again in" in told.content[0].text
