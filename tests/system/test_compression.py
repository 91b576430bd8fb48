"""Results in fewer tokens through a real gateway: whose are, what is kept of them, and the way back to every byte."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Any, Literal
from urllib.request import Request, urlopen

import anyio
import pytest
from mcp import Client
from mcp.types import TextResourceContents

from omnimind.compression import tokens
from tests.calling import Caller
from tests.fixtures import reports
from tests.fleet import Fleet, fixture_entry, wait_until

LINES = 1_200
ORIGINAL = reports.text(LINES)
REPORT = "omnimind/compression"


def entry(**keys: Any) -> dict[str, Any]:
    return fixture_entry("reports", sessions="shared", trust=["annotations"], **keys)


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    servers = {
        "all": entry(compress=True),
        "some": entry(compress={"tools": {"log": 2_000, "table": True}}),
        "none": entry(),
        "but": entry(compress={"share": 0.5, "tools": {"log": False}}),
        "context": {},
    }
    with Fleet(
        servers, auth=True, gateway={"compress": {"clients": {"thrifty": {"budget_tokens": 3_000}}}}
    ) as up:
        yield up


@pytest.fixture(scope="module")
def others(fleet: Fleet) -> dict[str, str]:
    """Tokens of two more principals."""
    return {name: token(fleet, name) for name in ("thrifty", "stranger", "curious")}


def token(fleet: Fleet, name: str) -> str:
    environment = {**os.environ, "OMNIMIND_STATE": str(fleet.state)}
    command = [sys.executable, "-m", "omnimind", "token", "add", name, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    made: str = json.loads(done.stdout)["token"]
    with closing(Caller(fleet.aggregate, token=made)) as caller:
        wait_until(lambda: "result" in caller.call("server/discover"), 10, "the token is known")
    return made


def call(fleet: Fleet, server: str, tool: str, *, by: str | None = None, **arguments: Any) -> dict[str, Any]:
    """The result of a call, at the server's own endpoint."""
    return asked(fleet.url(server), fleet.token if by is None else by, tool, {"lines": LINES, **arguments})


def asked(
    url: str, token: str, tool: str, arguments: dict[str, Any], meta: dict[str, Any] | None = None
) -> dict[str, Any]:
    with closing(Caller(url, token=token, takes_kept=True, meta=meta)) as caller:
        answer = caller.call("tools/call", {"name": tool, "arguments": arguments})
    result: dict[str, Any] = answer["result"]
    assert not result.get("isError"), result
    return result


def read(url: str, token: str, uri: str) -> dict[str, Any]:
    with closing(Caller(url, token=token)) as caller:
        return caller.call("resources/read", {"uri": uri})


def text(result: dict[str, Any]) -> str:
    first: str = result["content"][0]["text"]
    return first


def link(result: dict[str, Any]) -> str:
    (uri,) = [block["uri"] for block in result["content"] if block["type"] == "resource_link"]
    assert isinstance(uri, str)
    return uri


def test_a_long_result_is_told_in_a_quarter_of_its_tokens_and_says_so(fleet: Fleet) -> None:
    result = call(fleet, "all", "log")
    report = result["_meta"][REPORT]
    assert report["tokensBefore"] == tokens.count(ORIGINAL)
    assert report["tokensAfter"] == tokens.count(text(result)) <= report["tokensBefore"] / 4
    assert report["exact"], report
    assert report["criticalInfoPreserved"], report
    assert reports.ERROR in text(result)


def test_every_byte_comes_back_at_every_endpoint_and_in_parts(fleet: Fleet) -> None:
    uri = link(call(fleet, "all", "log"))
    for url in (fleet.url("all"), fleet.url("none"), fleet.aggregate):
        (contents,) = read(url, fleet.token, uri)["result"]["contents"]
        assert contents["uri"] == uri
        assert contents["text"] == ORIGINAL
    (part,) = read(fleet.aggregate, fleet.token, f"{uri}?lines=601-602")["result"]["contents"]
    assert part["text"] == "".join(ORIGINAL.splitlines(keepends=True)[600:602])


def test_what_one_principal_had_kept_no_other_finds(fleet: Fleet, others: dict[str, str]) -> None:
    uri = link(call(fleet, "all", "log"))
    for url in (fleet.url("all"), fleet.aggregate):
        answer = read(url, others["stranger"], uri)
        assert answer["error"]["data"] == {"uri": uri}, answer
        unknown = read(url, others["stranger"], uri[:-4] + "0000")
        assert unknown["error"]["message"] == answer["error"]["message"]


def test_only_what_the_file_names_is_told_shorter(fleet: Fleet) -> None:
    assert text(call(fleet, "none", "log")) == ORIGINAL
    assert tokens.count(text(call(fleet, "some", "log"))) <= 2_000
    assert text(call(fleet, "some", "picture")) == ORIGINAL
    assert text(call(fleet, "but", "log")) == ORIGINAL
    half = tokens.count(text(call(fleet, "but", "picture")))
    assert half <= tokens.count(ORIGINAL) / 2


def test_what_a_client_may_need_to_the_letter_stays(fleet: Fleet) -> None:
    assert text(call(fleet, "all", "note")) == ORIGINAL, "it changes something"
    assert text(call(fleet, "all", "log", head=1_000)).count("\n") == 999, "a range was asked for"
    assert json.loads(text(call(fleet, "all", "table"))) == {"log": ORIGINAL}, "its structure is declared"
    assert text(call(fleet, "all", "log", lines=10)) == reports.text(10), "it is short"


def test_a_tool_that_is_named_is_shortened_whatever_its_form(fleet: Fleet) -> None:
    result = call(fleet, "some", "table")
    assert result["structuredContent"] == {"log": ORIGINAL}
    assert tokens.count(text(result)) <= tokens.count(json.dumps({"log": ORIGINAL})) / 4


def test_an_image_beside_a_text_is_handed_on(fleet: Fleet) -> None:
    kinds = [block["type"] for block in call(fleet, "all", "picture")["content"]]
    assert kinds == ["text", "image", "resource_link"]


def test_a_client_may_say_how_much_it_can_take_and_what_it_wants_to_know(fleet: Fleet) -> None:
    meta = {"omnimind/budgetTokens": 700, "omnimind/query": "weight of order 40777"}
    result = asked(fleet.url("none"), fleet.token, "log", {"lines": LINES}, meta)
    assert tokens.count(text(result)) <= 700
    assert "order 40777 " in text(result)
    assert text(asked(fleet.url("but"), fleet.token, "log", {"lines": LINES}, meta)) == ORIGINAL, (
        "the operator said: never"
    )


def test_a_client_that_the_file_names_gets_its_results_shorter_from_any_server(
    fleet: Fleet, others: dict[str, str]
) -> None:
    result = call(fleet, "none", "log", by=others["thrifty"])
    assert tokens.count(text(result)) <= 3_000
    assert text(call(fleet, "none", "log", by=others["stranger"])) == ORIGINAL


def test_what_a_principal_looked_for_lately_is_its_question_and_nobody_else_s(
    fleet: Fleet, others: dict[str, str]
) -> None:
    def told(by: str, seed: int, meta: dict[str, Any] | None = None) -> str:
        return text(asked(fleet.url("all"), others[by], "log", {"lines": LINES, "seed": seed}, meta))

    shown = told("stranger", 21)
    orders = [
        line.split(" order ")[1].split()[0]
        for line in reports.text(LINES, 21).splitlines()[200:900]
        if " order " in line
    ]
    order, *_, other = [one for one in orders if f"order {one} " not in shown]
    handle = link(call(fleet, "all", "log", by=others["curious"], seed=14))
    wanted = {"handle": handle, "grep": rf"order {order}\b", "max_tokens": 200}
    with closing(Caller(fleet.aggregate, token=others["curious"], takes_kept=True)) as caller:
        expanded = caller.call("tools/call", {"name": "context__expand", "arguments": wanted})
    assert f"order {order} " in text(expanded["result"])
    assert f"order {order} " in told("curious", 21)
    assert told("stranger", 21) == shown
    now = told("curious", 21, {"omnimind/query": f"weight of order {other}"})
    assert f"order {other} " in now
    assert f"order {order} " not in now, "what is said now goes before"


def test_prose_keeps_half_where_nobody_asked_and_nobody_named_a_number(fleet: Fleet) -> None:
    def kept(meta: dict[str, Any] | None) -> float:
        told = asked(fleet.url("all"), fleet.token, "essay", {"name": "shore.md"}, meta)
        return tokens.count(text(told)) / tokens.count(reports.prose("shore.md"))

    assert 0.375 < kept(None) <= 0.5
    assert kept({"omnimind/query": "who sold the orchard?"}) <= 0.25
    assert kept({"omnimind/budgetTokens": 600}) <= 600 / tokens.count(reports.prose("shore.md"))


def test_the_first_line_names_the_tool_that_reads_on_where_there_is_one(fleet: Fleet) -> None:
    arguments = {"lines": LINES, "seed": 35}
    (first, *_) = text(asked(fleet.aggregate, fleet.token, "all__log", arguments)).splitlines()
    assert first.endswith(", read by context__expand]")
    handle = first.split("/context/")[1].split()[0]
    lines = {"handle": handle, "lines": "3-4"}
    read_on = asked(fleet.aggregate, fleet.token, "context__expand", lines)
    assert text(read_on).startswith(reports.text(LINES, 35).splitlines()[2])
    (first, *_) = text(asked(fleet.url("all"), fleet.token, "log", arguments)).splitlines()
    assert f"omnimind://context/{handle} " in first
    assert "expand" not in first


def test_the_same_is_said_each_time_out_of_memory_too(fleet: Fleet) -> None:
    kept = {"lines": LINES, "seed": 5}
    results = [asked(fleet.url("all"), fleet.token, "log", kept) for _ in range(4)]
    assert all(result == results[0] for result in results)
    assert tokens.count(text(results[0])) <= tokens.count(ORIGINAL) / 4


def test_a_result_that_would_pass_in_pieces_is_held_and_told_shorter(fleet: Fleet) -> None:
    lines = 16_000
    assert len(reports.text(lines)) > 1 << 20
    result = call(fleet, "all", "log", lines=lines)
    assert REPORT in result["_meta"]
    (contents,) = read(fleet.aggregate, fleet.token, link(result))["result"]["contents"]
    assert contents["text"] == reports.text(lines)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_the_sdk_client_reads_on_where_the_link_leads_also_after_a_restart_of_the_gateway(
    mode: Literal["auto", "legacy"],
) -> None:
    async def session(fleet: Fleet) -> tuple[str, str]:
        async with Client(fleet.aggregate, mode=mode) as client:
            told = await client.call_tool("all__log", {"lines": LINES, "seed": 9})
            uri = next(block.uri for block in told.content if block.type == "resource_link")
            restart(fleet)
            (contents,) = (await client.read_resource(uri)).contents
            assert isinstance(contents, TextResourceContents)
            return uri, contents.text

    with Fleet({"all": entry(compress=True)}) as fleet:
        uri, original = anyio.run(session, fleet)
    assert uri.startswith("omnimind://context/")
    assert original == reports.text(LINES, 9)


def restart(fleet: Fleet) -> None:
    environment = {**os.environ, "OMNIMIND_STATE": str(fleet.state)}
    command = [sys.executable, "-m", "omnimind", "restart", "gateway"]
    subprocess.run(command, capture_output=True, check=True, env=environment, timeout=60)


def test_what_was_done_is_counted(fleet: Fleet) -> None:
    before = counted(fleet)
    call(fleet, "all", "log", seed=77)
    after = counted(fleet)
    assert after["results"] == before["results"] + 1
    assert after["tokens_before"] - before["tokens_before"] == tokens.count(reports.text(LINES, 77))


def counted(fleet: Fleet) -> dict[str, int]:
    request = Request(f"{fleet.base}/metrics", headers={"Authorization": f"Bearer {fleet.token}"})
    with urlopen(request, timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    prefix = "omnimind_compressed_"
    found = [line.removeprefix(prefix).split() for line in lines if line.startswith(prefix)]
    return {name.removesuffix("_total"): int(value) for name, value in found}
