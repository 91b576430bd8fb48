"""The client under test in the suite's client role: a fleet before the given URL, a client through it.

The suite calls `conformance_client.py URL` with the scenario in the environment. What it watches at its end
is the gateway's wire, for the gateway is the only one that talks to it. `--direct` leaves the fleet out, to
tell a fault of this script from one of the gateway.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import mcp.types as types
from mcp import Client, MCPError

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from fleet import Fleet

Scenario = Callable[[Client], Awaitable[None]]


async def only_connect_and_list(client: Client) -> None:
    await client.list_tools()


async def add_numbers(client: Client) -> None:
    await client.list_tools()
    await client.call_tool("add_numbers", {"a": 5, "b": 3})


async def ask_with_defaults(client: Client) -> None:
    await client.list_tools()
    await client.call_tool("test_client_elicitation_defaults", {})


async def reconnect(client: Client) -> None:
    await client.list_tools()
    await client.call_tool("test_reconnection", {}, read_timeout_seconds=15)


async def answer_and_retry(client: Client) -> None:
    await client.list_tools()
    for tool in (
        "test_mrtr_echo_state",
        "test_mrtr_unrelated",
        "test_mrtr_no_state",
        "test_mrtr_no_result_type",
    ):
        await client.call_tool(tool, {})


async def one_of_each(client: Client) -> None:
    tools = await client.list_tools()
    for tool in tools.tools:
        await client.call_tool(tool.name, {})
    for resource in (await client.list_resources()).resources:
        await client.read_resource(str(resource.uri))
    for prompt in (await client.list_prompts()).prompts:
        await client.get_prompt(prompt.name)


async def calls_of_the_context(client: Client) -> None:
    await client.list_tools()
    context: dict[str, Any] = json.loads(os.environ["MCP_CONFORMANCE_CONTEXT"])
    for call in context["toolCalls"]:
        await client.call_tool(call["name"], call["arguments"])


async def every_tool_offered(client: Client) -> None:
    for tool in (await client.list_tools()).tools:
        arguments = dict.fromkeys(tool.input_schema.get("properties", {}), "value")
        try:
            await client.call_tool(tool.name, arguments)
        except MCPError as error:
            print(f"{tool.name}: {error}", file=sys.stderr)


SCENARIOS: dict[str, Scenario] = {
    "initialize": only_connect_and_list,
    "tools_call": add_numbers,
    "elicitation-sep1034-client-defaults": ask_with_defaults,
    "sse-retry": reconnect,
    "request-metadata": only_connect_and_list,
    "sep-2322-client-request-state": answer_and_retry,
    "http-standard-headers": one_of_each,
    "http-custom-headers": calls_of_the_context,
    "http-invalid-tool-headers": every_tool_offered,
    "json-schema-ref-no-deref": only_connect_and_list,
}


async def accept_defaults(context: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
    """Fill the form with its own default values, and say yes to what has none."""
    schema = getattr(params, "requested_schema", {})
    properties: dict[str, dict[str, Any]] = schema.get("properties", {})
    content = {name: field.get("default", True) for name, field in properties.items()}
    return types.ElicitResult(action="accept", content=content)


async def run(url: str) -> None:
    modern = os.environ["MCP_CONFORMANCE_PROTOCOL_VERSION"] >= "2026"
    scenario = SCENARIOS[os.environ["MCP_CONFORMANCE_SCENARIO"]]
    async with Client(
        url, mode="auto" if modern else "legacy", elicitation_callback=accept_defaults
    ) as client:
        await scenario(client)


def main() -> None:
    url = sys.argv[-1]
    if "--direct" in sys.argv:
        anyio.run(run, url)
        return
    with Fleet({"upstream": {"url": url}}) as fleet:
        anyio.run(run, fleet.url("upstream"))


if __name__ == "__main__":
    main()
