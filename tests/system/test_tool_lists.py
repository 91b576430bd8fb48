"""Lists of tools in fewer tokens through a real fleet: what every form keeps, that each call comes to the same in all
of them, whose form is whose, and that nothing is remembered of who was told what."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing
from functools import partial
from typing import Any, Literal

import anyio
import jsonschema
import mcp.types as types
import pytest
from mcp import Client, MCPError
from mcp.client.subscriptions import ToolsListChanged

from omnimind.compression import tokens
from tests.calling import Caller
from tests.fleet import Fleet, fixture_entry, wait_until

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")]

HIDING = ("signatures", "search")
SOON_S = 10.0
Era = Literal["auto", "legacy"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=("auto", "legacy"))
def era(request: pytest.FixtureRequest) -> Era:
    mode: Era = request.param
    return mode


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    """Three servers of ours and one of each era that is not."""
    servers = {
        "memory": {},
        "thinking": {},
        "system_info": {},
        "old": fixture_entry("single_era", "legacy"),
        "new": fixture_entry("single_era", "modern", compress={"tool_list": "search"}),
    }
    with Fleet(servers) as up:
        yield up


@asynccontextmanager
async def visit(
    url: str, era: Era, heard: list[str] | None = None, *, mute: bool = False
) -> AsyncIterator[Client]:
    """A connected client; a `mute` one cannot be asked anything."""

    async def answered(_: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
        return types.ElicitResult(action="accept", content={"name": "Ada"})

    async def received(message: Any) -> None:
        if heard is not None:
            heard.append(getattr(message, "method", type(message).__name__))

    asked = None if mute else answered
    async with Client(url, mode=era, elicitation_callback=asked, message_handler=received) as client:
        yield client


async def eventually(look: Callable[[], Awaitable[bool]], what: str) -> None:
    end = anyio.current_time() + SOON_S
    while anyio.current_time() < end:
        if await look():
            return
        await anyio.sleep(0.02)
    raise AssertionError(f"after {SOON_S:g} s still not so: {what}")


def told(result: types.CallToolResult) -> str:
    return "".join(getattr(block, "text", "") for block in result.content)


async def listed(url: str, era: Era) -> dict[str, types.Tool]:
    async with visit(url, era) as client:
        return {tool.name: tool for tool in (await client.list_tools()).tools}


def needs(schema: Any) -> Any:
    """What of a schema a caller has to know: each name, what must be there, and the values that may be."""
    if isinstance(schema, list):
        return [needs(one) for one in schema]
    if not isinstance(schema, dict):
        return None
    kept: dict[str, Any] = {key: schema[key] for key in ("required", "enum", "const") if schema.get(key)}
    for key in ("properties", "$defs"):
        if isinstance(schema.get(key), dict):
            kept[key] = {name: needs(one) for name, one in schema[key].items()}
    if "items" in schema:
        kept["items"] = needs(schema["items"])
    choices = [one for one in schema.get("anyOf", []) if one != {"type": "null"}]
    return {
        **kept,
        **(needs(choices[0]) if len(choices) == 1 else {"anyOf": needs(choices)} if choices else {}),
    }


async def test_a_pruned_list_keeps_every_name_parameter_requirement_and_choice(
    fleet: Fleet, era: Era
) -> None:
    whole = await listed(f"{fleet.aggregate}?tools=whole", era)
    pruned = await listed(fleet.aggregate, era)
    assert list(whole) == list(pruned)
    assert len(whole) > 40
    for name, tool in pruned.items():
        jsonschema.Draft202012Validator.check_schema(tool.input_schema)
        assert needs(tool.input_schema) == needs(whole[name].input_schema), name
        assert tool.description, name
        assert tool.output_schema is None, name
    before, after = (
        tokens.count(
            json.dumps([tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in tools])
        )
        for tools in (whole.values(), pruned.values())
    )
    assert after < before / 2, (before, after)


async def test_what_has_a_schema_that_is_not_told_still_has_its_structure(fleet: Fleet, era: Era) -> None:
    answers = []
    for form in ("whole", "pruned", *HIDING):
        async with visit(f"{fleet.aggregate}?tools={form}", era) as client:
            await client.list_tools()
            arguments = {"entities": [{"name": "Ada", "entityType": "person", "observations": ["counts"]}]}
            await client.call_tool("memory__create_entities", arguments)
            read = await client.call_tool("memory__read_graph", {})
            assert read.structured_content
            answers.append((read.content, read.structured_content))
    assert all(answer == answers[0] for answer in answers)


@pytest.mark.parametrize("form", HIDING)
async def test_a_call_through_call_tool_is_a_call_of_the_tool(fleet: Fleet, era: Era, form: str) -> None:
    steps: list[float] = []

    async def progressed(progress: float, total: float | None, message: str | None) -> None:
        steps.append(progress)

    async with visit(f"{fleet.aggregate}?tools={form}", era) as client:
        names = [tool.name for tool in (await client.list_tools()).tools]
        assert names == (["call_tool"] if form == "signatures" else ["find_tool", "call_tool"])

        async def through(name: str, **arguments: Any) -> types.CallToolResult:
            return await client.call_tool("call_tool", {"name": name, "arguments": arguments})

        for server in ("old", "new"):
            for result in (
                await through(f"{server}__echo", text="hello"),
                await client.call_tool(f"{server}__echo", {"text": "hello"}),
            ):
                assert told(result) == "hello"
            assert told(await through(f"{server}__ask_user")) == "accept Ada"
            assert (await through(f"{server}__fail")).is_error
            assert told(await through(f"{server}__mirrored", region="here")) == "in here"
            with pytest.raises(MCPError) as refused:
                await through(f"{server}__refuse")
            assert refused.value.error.code == 7001
            steps.clear()
            arguments = {"name": f"{server}__count", "arguments": {"steps": 3}}
            await client.call_tool("call_tool", arguments, progress_callback=progressed)
            assert len(steps) == 3
            with pytest.raises(MCPError, match=f"did you mean {server}__echo"):
                await through(f"{server}__ecko")


async def test_who_takes_a_call_through_call_tool_back_cancels_it(fleet: Fleet, era: Era) -> None:
    async with visit(f"{fleet.aggregate}?tools=search", era, mute=True) as client:
        for server in ("old", "new"):
            key = f"{server} {era}"

            async def is_so(state: str, of: str = server, about: str = key) -> bool:
                return told(await client.call_tool(f"{of}__state_of", {"key": about})) == state

            async with anyio.create_task_group() as tasks:
                arguments = {"name": f"{server}__wait", "arguments": {"key": key}}
                tasks.start_soon(client.call_tool, "call_tool", arguments)
                await eventually(partial(is_so, "waiting"), "it waits")
                tasks.cancel_scope.cancel()
            await eventually(partial(is_so, "cancelled"), "it was taken back")


async def test_a_tool_is_found_with_its_whole_schema_and_can_be_called(fleet: Fleet, era: Era) -> None:
    pruned = await listed(fleet.aggregate, era)
    async with visit(f"{fleet.aggregate}?tools=search", era) as client:

        async def find(query: str, **more: Any) -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = json.loads(
                told(await client.call_tool("find_tool", {"query": query, **more}))
            )
            return found

        found = await find("create new entities in the knowledge graph")
        assert found[0]["name"] == "memory__create_entities"
        assert len(found) == 5
        assert found[0]["inputSchema"] == pruned["memory__create_entities"].input_schema
        (one,) = await find("search nodes", limit=1)
        assert one["name"] == "memory__search_nodes"
        nothing = told(await client.call_tool("find_tool", {"query": "qqqq"}))
        assert nothing.startswith(f"None of {len(pruned)} tools")
        # What tells most tools apart leads back to them.
        missed = []
        for name, tool in pruned.items():
            query = f"{name.partition('__')[2].replace('_', ' ')} {(tool.description or '')[:80]}"
            if name not in [other["name"] for other in await find(query)]:
                missed.append(name)
        assert len(missed) <= len(pruned) * 0.1, missed


async def test_signatures_tell_every_tool_and_parameter(fleet: Fleet, era: Era) -> None:
    pruned = await listed(fleet.aggregate, era)
    (call,) = (await listed(f"{fleet.aggregate}?tools=signatures", era)).values()
    jsonschema.Draft202012Validator.check_schema(call.input_schema)
    lines = {line.partition("(")[0]: line for line in (call.description or "").splitlines()[2:]}
    assert list(lines) == list(pruned)
    for name, tool in pruned.items():
        required = tool.input_schema.get("required", [])
        for parameter in tool.input_schema.get("properties", {}):
            assert (parameter if parameter in required else f"{parameter}?") in lines[name]
    again = await listed(f"{fleet.aggregate}?tools=signatures", era)
    assert again["call_tool"].description == call.description


async def test_a_change_is_told_whatever_the_form(fleet: Fleet, era: Era) -> None:
    heard: list[str] = []
    async with visit(f"{fleet.aggregate}?tools=search", era, heard) as client:
        await client.list_tools()
        if era == "auto":
            async with client.listen(tools_list_changed=True) as listening:
                await client.call_tool("call_tool", {"name": "new__touch"})
                with anyio.fail_after(SOON_S):
                    assert await anext(aiter(listening)) == ToolsListChanged()
            return
        await client.call_tool("call_tool", {"name": "old__touch"})

        async def is_heard() -> bool:
            return "notifications/tools/list_changed" in heard

        await eventually(is_heard, "the change is told")


async def test_a_servers_own_endpoint_is_whole_unless_the_file_or_the_address_says_otherwise(
    fleet: Fleet, era: Era
) -> None:
    assert list(await listed(fleet.url("new"), era)) == ["find_tool", "call_tool"]
    old = await listed(fleet.url("old"), era)
    assert "echo" in old
    assert list(await listed(f"{fleet.url('new')}?tools=whole", era)) == list(old)
    whole = await listed(fleet.url("memory"), era)
    assert any(tool.output_schema for tool in whole.values())
    pruned = await listed(f"{fleet.url('memory')}?tools=pruned", era)
    assert list(whole) == list(pruned)
    assert not any(tool.output_schema for tool in pruned.values())
    async with visit(fleet.url("new"), era) as client:
        for name, arguments in (
            ("call_tool", {"name": "echo", "arguments": {"text": "x"}}),
            ("echo", {"text": "x"}),
        ):
            assert told(await client.call_tool(name, arguments)) == "x"
        assert (
            told(await client.call_tool("call_tool", {"name": "mirrored", "arguments": {"region": "a"}}))
            == "in a"
        )


def names(answer: dict[str, Any]) -> list[str]:
    assert "result" in answer, answer
    return [tool["name"] for tool in answer["result"]["tools"]]


def test_the_same_bytes_at_another_address_are_another_request(fleet: Fleet) -> None:
    """Answers that the edge knows again by the bytes of the request are those of its address."""
    forms = {
        form: Caller(f"{fleet.url('memory')}?tools={form}", takes_kept=True) for form in ("whole", *HIDING)
    }
    read = {"name": "call_tool", "arguments": {"name": "read_graph"}}
    for _ in range(4):
        assert len(names(forms["whole"].call("tools/list"))) > 5
        assert names(forms["signatures"].call("tools/list")) == ["call_tool"]
        assert names(forms["search"].call("tools/list")) == ["find_tool", "call_tool"]
        for form in HIDING:
            assert "structuredContent" in forms[form].call("tools/call", read)["result"]
        unknown = forms["whole"].call("tools/call", read)
        assert "structuredContent" not in unknown.get("result", {}), unknown
    for caller in forms.values():
        caller.close()


def test_an_unknown_form_is_refused_and_says_which_there_are(fleet: Fleet) -> None:
    for url in (fleet.aggregate, fleet.url("old")):
        with closing(Caller(f"{url}?tools=prune")) as caller:
            answer = caller.call("tools/list")
        assert answer["error"]["code"] == 40000
        assert "whole, pruned, signatures and search" in answer["error"]["message"]


@pytest.fixture(scope="module")
def closed() -> Iterator[Fleet]:
    """A fleet with tokens, whose file tells one client tools otherwise."""
    servers: dict[str, Any] = {"memory": {}, "thinking": {}}
    told = {"tool_list": "signatures", "clients": {"searcher": {"tool_list": "search"}}}
    with Fleet(servers, auth=True, gateway={"compress": told}) as up:
        yield up


def is_known(caller: Caller) -> bool:
    return "result" in caller.call("server/discover")


def test_a_client_is_told_of_tools_as_the_file_says_of_it_and_as_it_asks(closed: Fleet) -> None:
    environment = {**os.environ, "OMNIMIND_STATE": str(closed.state)}
    command = [sys.executable, "-m", "omnimind", "token", "add", "searcher", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    searcher = json.loads(done.stdout)["token"]
    expected = {
        (closed.token, closed.aggregate): ["call_tool"],
        (searcher, closed.aggregate): ["find_tool", "call_tool"],
        (searcher, closed.url("thinking")): ["find_tool", "call_tool"],
        (searcher, f"{closed.aggregate}?tools=signatures"): ["call_tool"],
    }
    for (token, url), wanted in expected.items():
        with closing(Caller(url, token=token)) as caller:
            wait_until(partial(is_known, caller), 10, "the token is known")
            assert names(caller.call("tools/list")) == wanted, url
    with closing(Caller(closed.url("thinking"), token=closed.token)) as caller:
        assert names(caller.call("tools/list"))[0] not in ("find_tool", "call_tool")
    shown = subprocess.run(
        [sys.executable, "-m", "omnimind", "list", "--json"],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    assert "memory__read_graph" in [tool["name"] for tool in json.loads(shown.stdout)], (
        "for people all are shown"
    )
