"""Remote servers: headers of the configuration, and a clear word when the server wants a login instead."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fleet import Background, Fleet
from mcp import MCPError
from visitor import LEGACY, MODERN, said, visit

pytestmark = [pytest.mark.anyio, pytest.mark.bar, pytest.mark.timeout(60)]

SECRET = "open-sesame"
NOBODY = "http://127.0.0.1:9/mcp"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=(MODERN, LEGACY), ids=lambda era: f"{era}-client")
def client_era(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(params=(MODERN, LEGACY), ids=lambda era: f"{era}-server")
def server_era(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    """A server of each era that wants a secret, once with it and once without, and one that is not there."""
    guard = ("--http", "0", "--secret", SECRET)
    key = {"authorization": f"Bearer {SECRET}"}
    with (
        Background("single_era", MODERN, *guard) as modern,
        Background("single_era", LEGACY, *guard) as legacy,
    ):
        servers = {
            f"{MODERN}-closed": {"url": modern.first_line},
            f"{MODERN}-open": {"url": modern.first_line, "headers": key},
            f"{LEGACY}-closed": {"url": legacy.first_line},
            f"{LEGACY}-open": {"url": legacy.first_line, "headers": key},
            "gone": {"url": NOBODY},
        }
        with Fleet(servers) as running:
            yield running


async def test_a_server_that_wants_a_login_is_refused_with_a_way_out(
    fleet: Fleet, client_era: str, server_era: str
) -> None:
    refusal = await _refusal(fleet.url(f"{server_era}-closed"), client_era)
    assert "headers" in refusal


async def test_the_headers_of_the_configuration_open_the_server(
    fleet: Fleet, client_era: str, server_era: str
) -> None:
    async with visit(fleet.url(f"{server_era}-open"), client_era) as client:
        assert said(await client.call_tool("echo", {"text": "inside"})) == "inside"


async def test_a_server_nobody_answers_for_is_an_error_and_no_hang(fleet: Fleet, client_era: str) -> None:
    assert await _refusal(fleet.url("gone"), client_era)


async def _refusal(url: str, era: str) -> str:
    """What a client is told that calls a tool there."""
    try:
        async with visit(url, era) as client:
            await client.call_tool("echo", {"text": "hello"})
    except (MCPError, ExceptionGroup) as error:
        return _texts(error)
    raise AssertionError("the call was answered")


def _texts(error: BaseException) -> str:
    inner = getattr(error, "exceptions", ())
    return " ".join([str(error), *(_texts(one) for one in inner)])
