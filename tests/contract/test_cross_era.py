"""A client of one era at a server of the other: the gateway speaks to each in its own tongue.

The servers behind are written by hand and refuse the other era, so whatever works here was bridged.
"""

from __future__ import annotations

from collections.abc import Iterator

import anyio
import mcp.types as types
import pytest
from fleet import Fleet
from mcp import MCPError
from mcp.client.subscriptions import ResourceUpdated, ToolsListChanged
from single_era_fleet import TRANSPORTS, single_era_fleet
from visitor import LEGACY, MODERN, SOON_S, Visitor, eventually, said, visit

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.bar,
    pytest.mark.timeout(120),
    pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning"),
]

WATCHED = "test://counter"
OWN_ERROR = 7001
NOT_FOUND = {MODERN: -32602, LEGACY: -32002}
OTHER = {MODERN: LEGACY, LEGACY: MODERN}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with single_era_fleet() as running:
        yield running


@pytest.fixture(params=TRANSPORTS)
def transport(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(params=(MODERN, LEGACY), ids=lambda era: f"{era}-client")
def era(request: pytest.FixtureRequest) -> str:
    """The era of the client; the server's is the other one."""
    name: str = request.param
    return name


@pytest.fixture
def url(fleet: Fleet, era: str, transport: str) -> str:
    return fleet.url(f"{OTHER[era]}-{transport}")


async def test_everything_a_server_offers_can_be_listed_and_used(url: str, era: str) -> None:
    async with visit(url, era) as client:
        tools = {tool.name for tool in (await client.list_tools()).tools}
        assert {"echo", "ask_user", "touch"} <= tools
        assert said(await client.call_tool("echo", {"text": "grüß dich"})) == "grüß dich"
        assert [str(r.uri) for r in (await client.list_resources()).resources] == [WATCHED]
        templates = (await client.list_resource_templates()).resource_templates
        assert [template.uri_template for template in templates] == ["test://item/{id}"]
        assert (await client.read_resource(WATCHED)).contents[0].mime_type == "text/plain"
        assert [prompt.name for prompt in (await client.list_prompts()).prompts] == ["greet"]
        greeting = await client.get_prompt("greet", {"name": "Ada"})
        assert getattr(greeting.messages[0].content, "text", "") == "Greet Ada"
        ref = types.PromptReference(type="ref/prompt", name="greet")
        completed = await client.complete(ref, {"name": "name", "value": "an"})
        assert completed.completion.values == ["anna", "anton"]


async def test_the_client_learns_who_the_server_is(url: str, era: str) -> None:
    async with visit(url, era) as client:
        assert client.server_info is not None
        assert client.server_info.name == f"{OTHER[era]}-only"
        assert (client.instructions or "").endswith("and proud of it.")
        capabilities = client.server_capabilities
        assert capabilities.tools
        assert capabilities.resources
        assert capabilities.resources.subscribe
        assert capabilities.completions is not None


async def test_progress_arrives_in_order_and_before_the_result(url: str, era: str) -> None:
    seen: list[tuple[float, float | None]] = []

    async def progressed(progress: float, total: float | None, message: str | None) -> None:
        seen.append((progress, total))

    async with visit(url, era) as client:
        result = await client.call_tool("count", {"steps": 4}, progress_callback=progressed)
        assert said(result) == "counted to 4"
        assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


async def test_a_tools_own_failure_stays_a_result(url: str, era: str) -> None:
    async with visit(url, era) as client:
        result = await client.call_tool("fail", {})
        assert result.is_error
        assert said(result) == "it went wrong"


async def test_an_error_keeps_its_code_its_message_and_its_data(url: str, era: str) -> None:
    async with visit(url, era) as client:
        with pytest.raises(MCPError) as caught:
            await client.call_tool("refuse", {})
        assert caught.value.error.code == OWN_ERROR
        assert caught.value.error.message == "not today"
        assert caught.value.error.data == {"why": "because"}


async def test_a_missing_resource_has_the_code_of_the_clients_era(url: str, era: str) -> None:
    async with visit(url, era) as client:
        with pytest.raises(MCPError) as caught:
            await client.read_resource("test://nothing")
        assert caught.value.error.code == NOT_FOUND[era]
        assert caught.value.error.data["uri"] == "test://nothing"


async def test_a_question_reaches_the_user_and_the_answer_the_tool(url: str, era: str) -> None:
    visitor = Visitor()
    async with visit(url, era, visitor) as client:
        assert said(await client.call_tool("ask_user", {})) == "accept Ada"
        assert visitor.asked == ["What is your name?"]


async def test_a_user_may_decline(url: str, era: str) -> None:
    async with visit(url, era, Visitor(action="decline")) as client:
        assert said(await client.call_tool("ask_user", {})) == "decline None"


async def test_a_tool_may_ask_twice(url: str, era: str) -> None:
    visitor = Visitor()
    async with visit(url, era, visitor) as client:
        assert said(await client.call_tool("ask_twice", {})) == "accept Ada, accept blue"
        assert visitor.asked == ["What is your name?", "Which color?"]


async def test_a_tool_may_ask_the_model_and_for_the_roots(url: str, era: str) -> None:
    async with visit(url, era) as client:
        sampled = await client.call_tool("ask_model", {"prompt": "The capital of France?"})
        assert said(sampled) == "small-model: Paris"
        assert said(await client.call_tool("ask_roots", {})) == "file:///home/ada"


async def test_a_question_nobody_can_answer_ends_the_call_with_an_error(url: str, era: str) -> None:
    async with visit(url, era, mute=True) as client:
        with anyio.fail_after(SOON_S):
            with pytest.raises(MCPError):
                await client.call_tool("ask_user", {})
        assert said(await client.call_tool("echo", {"text": "still here"})) == "still here"


async def test_a_legacy_client_hears_of_a_modern_servers_changes(fleet: Fleet, transport: str) -> None:
    visitor = Visitor()
    async with visit(fleet.url(f"{MODERN}-{transport}"), LEGACY, visitor) as client:
        await client.subscribe_resource(WATCHED)
        wanted = {"notifications/resources/updated", "notifications/tools/list_changed"}
        # A client opens its own stream when it likes, and what is said before that is lost: then it is said again.
        for _ in range(5):
            await client.call_tool("touch", {})
            with anyio.move_on_after(1):
                await eventually(lambda: wanted <= set(visitor.notified), "both are told")
                break
        assert wanted <= set(visitor.notified)
        await client.unsubscribe_resource(WATCHED)
        visitor.notified.clear()
        await client.call_tool("touch", {})
        await eventually(lambda: "notifications/tools/list_changed" in visitor.notified, "the list is told")
        assert "notifications/resources/updated" not in visitor.notified


async def test_a_modern_client_hears_of_a_legacy_servers_changes(fleet: Fleet, transport: str) -> None:
    async with visit(fleet.url(f"{LEGACY}-{transport}"), MODERN) as client:
        async with client.listen(tools_list_changed=True, resource_subscriptions=[WATCHED]) as listening:
            await client.call_tool("touch", {})
            heard = []
            with anyio.fail_after(SOON_S):
                async for event in listening:
                    heard.append(event)
                    if len(heard) == 2:
                        break
        assert set(heard) == {ToolsListChanged(), ResourceUpdated(WATCHED)}


async def test_a_legacy_clients_log_level_governs_a_modern_server(fleet: Fleet, transport: str) -> None:
    visitor = Visitor()
    async with visit(fleet.url(f"{MODERN}-{transport}"), LEGACY, visitor) as client:
        await client.set_logging_level("warning")
        await client.call_tool("log", {})
        await eventually(lambda: bool(visitor.logged), "something is logged")
        assert visitor.logged == [("warning", "a warning")]
        await client.set_logging_level("debug")
        await client.call_tool("log", {})
        await eventually(lambda: len(visitor.logged) == 3, "both levels are logged")


async def test_a_modern_client_gets_only_the_logs_it_asked_for(fleet: Fleet, transport: str) -> None:
    url = fleet.url(f"{LEGACY}-{transport}")
    silent, careful = Visitor(), Visitor()
    async with visit(url, MODERN, silent) as client:
        await client.call_tool("log", {})
    async with visit(url, MODERN, careful, log_level="warning") as client:
        await client.call_tool("log", {})
        await eventually(lambda: bool(careful.logged), "the warning is logged")
    assert silent.logged == []
    assert careful.logged == [("warning", "a warning")]


async def test_an_argument_is_repeated_in_a_header_where_the_server_wants_it(url: str, era: str) -> None:
    async with visit(url, era) as client:
        await client.list_tools()
        assert said(await client.call_tool("mirrored", {"region": "eu-west"})) == "in eu-west"


async def test_many_calls_at_once_each_get_their_own_answer(url: str, era: str) -> None:
    answers: dict[int, str] = {}

    async with visit(url, era) as client:

        async def call(n: int) -> None:
            answers[n] = said(await client.call_tool("echo", {"text": f"n{n}"}))

        async with anyio.create_task_group() as tasks:
            for n in range(50):
                tasks.start_soon(call, n)
    assert answers == {n: f"n{n}" for n in range(50)}
