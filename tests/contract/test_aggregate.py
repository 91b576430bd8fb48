"""The aggregate endpoint: servers of both eras in one list, each found again by its name or URI."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator

import anyio
import mcp.types as types
import pytest
from fleet import Fleet, fixture_entry
from mcp import MCPError
from mcp.client.subscriptions import ResourceUpdated, ToolsListChanged
from visitor import LEGACY, MODERN, SOON_S, Visitor, becomes, eventually, said, visit

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.bar,
    pytest.mark.timeout(90),
    pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning"),
]

LONG = "a-server-with-a-name-that-nobody-should-have-chosen-really-not"
SERVERS = ("old", "new", LONG)
COUNTER = "test://counter"
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
PATIENCE_S = 6.5  # a meeting and an answer, as in rust/gateway/src/aggregate/lists.rs


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=(MODERN, LEGACY))
def era(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    """Two servers, one with a long name, one that never lists its tools, and one that cannot start."""
    servers = {
        "old": fixture_entry("single_era", "legacy"),
        "new": fixture_entry("single_era", "modern"),
        LONG: fixture_entry("single_era", "modern"),
        "silent": fixture_entry("single_era", "modern", "--hang", "tools/list"),
        "broken": {"command": sys.executable, "args": ["-c", "raise SystemExit('no luck today')"]},
    }
    with Fleet(servers) as running:
        yield running


def wrapped(server: str) -> str:
    return f"omnimind+{server}:{COUNTER}"


async def test_every_tool_has_a_name_that_models_accept_and_finds_its_server(fleet: Fleet, era: str) -> None:
    async with visit(fleet.aggregate, era) as client:
        names = [tool.name for tool in (await client.list_tools()).tools]
        assert len(set(names)) == len(names)
        assert all(NAME.fullmatch(name) for name in names)
        assert {"old__echo", "new__echo"} <= set(names)
        assert names == [tool.name for tool in (await client.list_tools()).tools]
        echoes = [name for name in names if "echo" in name or name.startswith(LONG[:20])]
        assert len(echoes) > 2
        for name in ("old__echo", "new__echo"):
            assert said(await client.call_tool(name, {"text": name})) == name


@pytest.mark.roomy
async def test_a_server_that_hangs_or_cannot_start_delays_no_list(fleet: Fleet, era: str) -> None:
    async with visit(fleet.aggregate, era) as client:
        began = time.monotonic()
        names = [tool.name for tool in (await client.list_tools()).tools]
        again = time.monotonic()
        await client.list_tools()
        assert again - began < PATIENCE_S
        assert time.monotonic() - again < 1
        assert not [name for name in names if name.startswith(("silent__", "broken__"))]


async def test_an_unknown_tool_is_refused_by_name(fleet: Fleet, era: str) -> None:
    async with visit(fleet.aggregate, era) as client:
        with pytest.raises(MCPError) as caught:
            await client.call_tool("old__nothing_like_it", {})
        assert caught.value.error.code == -32602


async def test_prompts_carry_their_servers_name(fleet: Fleet, era: str) -> None:
    async with visit(fleet.aggregate, era) as client:
        prompts = {prompt.name for prompt in (await client.list_prompts()).prompts}
        assert {"old__greet", "new__greet"} <= prompts
        greeting = await client.get_prompt("old__greet", {"name": "Ada"})
        assert getattr(greeting.messages[0].content, "text", "") == "Greet Ada"
        ref = types.PromptReference(type="ref/prompt", name="new__greet")
        completed = await client.complete(ref, {"name": "name", "value": "b"})
        assert completed.completion.values == ["berta"]


async def test_resources_are_told_apart_by_a_prefix_that_leads_back(fleet: Fleet, era: str) -> None:
    async with visit(fleet.aggregate, era) as client:
        uris = {str(resource.uri) for resource in (await client.list_resources()).resources}
        assert {wrapped("old"), wrapped("new")} <= uris
        for server in ("old", "new"):
            contents = (await client.read_resource(wrapped(server))).contents[0]
            assert str(contents.uri) == wrapped(server)
        templates = (await client.list_resource_templates()).resource_templates
        assert "omnimind+old:test://item/{id}" in {template.uri_template for template in templates}


async def test_links_and_embedded_resources_in_results_carry_the_prefix(fleet: Fleet, era: str) -> None:
    async with visit(fleet.aggregate, era) as client:
        for server in ("old", "new"):
            link, embedded = (await client.call_tool(f"{server}__link", {})).content
            assert str(getattr(link, "uri", "")) == wrapped(server)
            assert str(embedded.resource.uri) == wrapped(server)  # type: ignore[union-attr]


async def test_a_question_finds_its_way_through_the_aggregate(fleet: Fleet, era: str) -> None:
    async with visit(fleet.aggregate, era) as client:
        for server in ("old", "new"):
            assert said(await client.call_tool(f"{server}__ask_twice", {})) == "accept Ada, accept blue"


async def test_progress_and_cancelling_pass_the_aggregate(fleet: Fleet, era: str) -> None:
    seen: list[float] = []

    async def progressed(progress: float, total: float | None, message: str | None) -> None:
        seen.append(progress)

    async with visit(fleet.aggregate, era) as client, visit(fleet.url("new"), era) as beside:
        await client.call_tool("old__count", {"steps": 3}, progress_callback=progressed)
        assert seen == [1, 2, 3]
        key = f"aggregate-{era}"
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.call_tool, "new__wait", {"key": key})
            await becomes(beside, key, "waiting")
            tasks.cancel_scope.cancel()
        await becomes(beside, key, "cancelled")


async def test_a_modern_client_hears_of_changes_of_servers_of_both_eras(fleet: Fleet) -> None:
    async with visit(fleet.aggregate, MODERN) as client:
        await client.list_tools()
        uris = [wrapped("old"), wrapped("new")]
        async with client.listen(tools_list_changed=True, resource_subscriptions=uris) as listening:
            await client.call_tool("old__touch", {})
            await client.call_tool("new__touch", {})
            heard = set()
            with anyio.fail_after(SOON_S):
                async for event in listening:
                    heard.add(event)
                    if len(heard) == 3:
                        break
        assert heard == {ToolsListChanged(), ResourceUpdated(wrapped("old")), ResourceUpdated(wrapped("new"))}


async def test_a_legacy_client_hears_of_changes_of_servers_of_both_eras(fleet: Fleet) -> None:
    visitor = Visitor()
    async with visit(fleet.aggregate, LEGACY, visitor) as client:
        await client.list_tools()
        for server in ("old", "new"):
            visitor.notified.clear()
            await client.subscribe_resource(wrapped(server))
            await client.call_tool(f"{server}__touch", {})
            wanted = {"notifications/resources/updated", "notifications/tools/list_changed"}
            await eventually(lambda: wanted <= set(visitor.notified), "both are told")  # noqa: B023
