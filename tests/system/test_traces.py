"""Traces of a real fleet: a client's span, the gateway's, the server's, in one tree at a real OTLP receiver."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

pytest.importorskip("opentelemetry.sdk", reason="the extra `otel` is not installed: `make` installs it")

from tests.calling import Caller
from tests.collector import Collector, Span
from tests.fleet import FIXTURES, Fleet, fixture_entry, wait_until
from tests.scrape import scrape

pytestmark = pytest.mark.timeout(180)

TRACE, THEIRS = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SENT = f"00-{TRACE}-{THEIRS}-01"
ONE_AT_A_TIME = {"policy": "fixed", "start": 1, "min": 1, "max": 1}
SERVERS = {
    "traced": fixture_entry("traced_server"),
    "tally": fixture_entry(
        "tally", "--file", os.devnull, sessions="shared", trust=["annotations"], cache={"ttl_ms": 600_000}
    ),
    "narrow": fixture_entry("tally", "--file", os.devnull, sessions="shared", limits=ONE_AT_A_TIME),
    "memory": {},
}


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


@pytest.fixture(scope="module")
def fleet(collector: Collector) -> Iterator[Fleet]:
    with Fleet(SERVERS, environment=collector.environment()) as running:
        yield running


def traceparent(number: int, flags: str = "01") -> dict[str, str]:
    """A trace of its own for each test."""
    return {"traceparent": f"00-{number:032x}-{THEIRS}-{flags}"}


def ask(url: str, tool: str, meta: dict[str, Any] | None = None, **arguments: Any) -> dict[str, Any]:
    with closing(Caller(url, takes_kept=True, meta=meta)) as caller:
        return caller.call("tools/call", {"name": tool, "arguments": arguments})


def text(answer: dict[str, Any]) -> str:
    said: str = answer["result"]["content"][0]["text"]
    return said


def pair(collector: Collector, trace: int) -> tuple[Span, Span]:
    """The two spans of a request that went to a server."""
    server, client = collector.wait(2, trace=f"{trace:032x}")
    assert (server.kind, client.kind) == ("SERVER", "CLIENT")
    return server, client


@pytest.mark.parametrize("mode", ["auto", "legacy"])
@pytest.mark.parametrize("endpoint", ["pass-through", "aggregate"])
def test_a_clients_span_the_gateways_and_the_servers_are_one_tree(
    fleet: Fleet, collector: Collector, mode: str, endpoint: str
) -> None:
    url, tool = (
        (fleet.url("traced"), "where") if endpoint == "pass-through" else (fleet.aggregate, "traced__where")
    )
    command = [sys.executable, "-m", "traced_client", url, mode, tool]
    ran = subprocess.run(command, cwd=FIXTURES, capture_output=True, text=True, check=True, timeout=60)
    seen = json.loads(ran.stdout)
    [call] = [span for span in seen["spans"] if span["kind"] == "CLIENT" and tool in span["name"]]
    wait_until(lambda: bool(calls(collector, call["trace"], "CLIENT")), 20, "the spans came")
    [server] = calls(collector, call["trace"], "SERVER")
    [client] = calls(collector, call["trace"], "CLIENT")
    at_server = json.loads(seen["answer"])

    assert server.parent == call["span"]
    assert client.parent == server.span
    assert (at_server["trace"], at_server["parent"]) == (call["trace"], client.span)
    assert server.name == client.name == "tools/call where"
    assert server.start_ns <= client.start_ns <= client.end_ns <= server.end_ns
    version = {"auto": "2026-07-28", "legacy": "2025-11-25"}[mode]
    assert server.attributes | {"jsonrpc.request.id": "?"} == {
        "mcp.method.name": "tools/call",
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "where",
        "mcp.protocol.version": version,
        "network.protocol.name": "http",
        "network.transport": "tcp",
        "jsonrpc.request.id": "?",
        "omnimind.server": "traced",
        "omnimind.cache": "none",
    }
    assert client.attributes["network.transport"] == "pipe"
    assert server.resource["service.name"] == "omnimind"


def calls(collector: Collector, trace: str, kind: str) -> list[Span]:
    return [span for span in collector.spans(trace=trace, kind=kind) if span.name.startswith("tools/call")]


def test_state_and_baggage_go_on_as_they_came(fleet: Fleet, collector: Collector) -> None:
    meta = {**traceparent(0xA1), "tracestate": "rojo=00f067aa0ba902b7", "baggage": "user=7", "other": [1.0]}
    told = json.loads(text(ask(fleet.url("traced"), "where", meta)))
    server, client = pair(collector, 0xA1)
    assert told["meta"]["traceparent"] == f"00-{0xA1:032x}-{client.span}-01"
    kept = {key: told["meta"][key] for key in ("tracestate", "baggage", "other")}
    assert kept == {key: meta[key] for key in kept}
    assert server.state == client.state == meta["tracestate"]


def test_a_trace_that_its_client_does_not_record_goes_on_untouched(
    fleet: Fleet, collector: Collector
) -> None:
    told = json.loads(text(ask(fleet.url("traced"), "where", traceparent(0xA2, "00"))))
    assert told["meta"]["traceparent"] == traceparent(0xA2, "00")["traceparent"]
    ask(fleet.url("traced"), "where", traceparent(0xA3))
    pair(collector, 0xA3)
    assert collector.spans(trace=f"{0xA2:032x}") == []


@pytest.mark.parametrize(
    "sent",
    [SENT.upper(), f"{SENT}-", SENT[:-1], "ff" + SENT[2:], SENT.replace(TRACE, "0" * 32), 7, None, [SENT]],
)
def test_a_context_that_cannot_be_read_is_replaced(fleet: Fleet, collector: Collector, sent: Any) -> None:
    told = json.loads(text(ask(fleet.url("traced"), "where", {"traceparent": sent, "tracestate": "a=1"})))
    trace = told["trace"]
    assert trace != TRACE
    server, client = collector.wait(2, trace=trace)
    assert (server.parent, client.parent) == (None, server.span)
    assert told["meta"]["traceparent"] == f"00-{trace}-{client.span}-01"
    assert "tracestate" not in told["meta"]


def test_the_head_of_a_request_counts_where_its_meta_says_nothing(fleet: Fleet, collector: Collector) -> None:
    with closing(Caller(fleet.url("traced"))) as caller:
        head = {**traceparent(0xA4), "tracestate": "a=1"}
        caller._bearer = head
        told = json.loads(text(caller.call("tools/call", {"name": "where", "arguments": {}})))
    server, client = pair(collector, 0xA4)
    assert server.parent == THEIRS
    assert told["meta"]["traceparent"] == f"00-{0xA4:032x}-{client.span}-01"
    assert told["meta"]["tracestate"] == "a=1"


def test_how_a_request_ended_is_told_in_the_words_of_the_metrics(fleet: Fleet, collector: Collector) -> None:
    assert ask(fleet.url("traced"), "fail", traceparent(0xB1))["result"]["isError"]
    for span in pair(collector, 0xB1):
        assert (span.failed, span.attributes["error.type"]) == (True, "tool_error")

    ask(fleet.url("memory"), "no_such_tool", traceparent(0xB2))
    for span in collector.wait(2, trace=f"{0xB2:032x}"):
        assert span.failed

    code = ask(fleet.aggregate, "nobody__nothing", traceparent(0xB3))["error"]["code"]
    [span] = collector.wait(1, trace=f"{0xB3:032x}", kind="SERVER")
    assert (span.attributes["error.type"], span.attributes["rpc.response.status_code"]) == (
        str(code),
        str(code),
    )
    assert span.attributes["omnimind.server"] == "_all"


def test_what_waited_for_its_place_says_how_long(fleet: Fleet, collector: Collector) -> None:
    first = threading.Thread(
        target=ask,
        args=(fleet.url("narrow"), "look", traceparent(0xC1)),
        kwargs={"text": "1", "before_ms": 400},
    )
    first.start()
    time.sleep(0.1)
    ask(fleet.url("narrow"), "look", traceparent(0xC2), text="2")
    first.join()
    spans = collector.wait(3, trace=f"{0xC2:032x}")
    by_name = {span.kind: span for span in spans}
    queue = by_name["INTERNAL"]
    assert (queue.name, queue.parent) == ("queue", by_name["SERVER"].span)
    assert 100e6 < queue.end_ns - queue.start_ns < 5e9
    assert queue.end_ns <= by_name["CLIENT"].start_ns
    assert by_name["CLIENT"].end_ns - by_name["CLIENT"].start_ns < queue.end_ns - queue.start_ns


def test_who_gets_what_another_fetched_has_a_trace_of_its_own_that_names_no_other(
    fleet: Fleet, collector: Collector
) -> None:
    numbers = [0xD1, 0xD2, 0xD3]
    threads = [
        threading.Thread(
            target=ask,
            args=(fleet.url("tally"), "look", traceparent(number)),
            kwargs={"text": "same", "before_ms": 400},
        )
        for number in numbers
    ]
    for thread in threads:
        thread.start()
        time.sleep(0.05)
    for thread in threads:
        thread.join()
    server, client = pair(collector, 0xD1)
    assert server.attributes["omnimind.cache"] == "none"
    for number in numbers[1:]:
        [shared] = collector.wait(1, trace=f"{number:032x}")
        assert (shared.kind, shared.attributes["omnimind.cache"]) == ("SERVER", "shared")
        everything = repr(shared)
        assert not any(ids in everything for ids in (server.trace, server.span, client.span))
    again = ask(fleet.url("tally"), "look", traceparent(0xD4), text="same", before_ms=400)
    assert text(again) == "same"
    [kept] = collector.wait(1, trace=f"{0xD4:032x}")
    assert kept.attributes["omnimind.cache"] == "ram"


def test_a_list_of_all_servers_has_a_call_to_each_below_it(fleet: Fleet, collector: Collector) -> None:
    with closing(Caller(fleet.aggregate, meta=traceparent(0xE1))) as caller:
        assert caller.call("resources/list")["result"]
    wait_until(lambda: bool(collector.spans(trace=f"{0xE1:032x}", kind="SERVER")), 20, "the span came")
    [server] = collector.spans(trace=f"{0xE1:032x}", kind="SERVER")
    below = collector.spans(trace=f"{0xE1:032x}", kind="CLIENT")
    assert {span.parent for span in below} == {server.span}
    assert "memory" in {span.attributes["omnimind.server"] for span in below}
    assert server.name == "resources/list"


def test_no_argument_no_result_and_no_name_of_a_client_is_in_any_span(
    fleet: Fleet, collector: Collector
) -> None:
    ask(fleet.url("tally"), "look", {**traceparent(0xF1), "note": "s3cret-meta"}, text="s3cret-argument")
    ask(fleet.url("memory"), "s3cret-tool", traceparent(0xF2))
    pair(collector, 0xF1)
    collector.wait(2, trace=f"{0xF2:032x}")
    assert "s3cret" not in repr(collector.spans())
    assert "local" not in repr([span.attributes for span in collector.spans()])


def exported(fleet: Fleet) -> dict[str, float]:
    now = scrape(fleet.base)
    return {
        state: now.total("omnimind_spans_total", state=state) for state in ("exported", "failed", "dropped")
    }


def test_what_is_exported_is_counted(fleet: Fleet, collector: Collector) -> None:
    wait_until(lambda: exported(fleet)["exported"] == len(collector.spans()), 20, "all spans are counted")
    assert exported(fleet)["failed"] == exported(fleet)["dropped"] == 0


@pytest.mark.roomy
@pytest.mark.parametrize("trouble", ["dead", "slow", "500"])
def test_a_collector_that_fails_costs_spans_and_nothing_else(trouble: str) -> None:
    asked, room = 150, {"OTEL_BSP_MAX_QUEUE_SIZE": "16", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "8"}
    with Collector() as collector:
        collector.status, collector.pause_s = (
            (500 if trouble == "500" else 200),
            (3.0 if trouble == "slow" else 0.0),
        )
        with Fleet(
            {"memory": {}}, environment=collector.environment(OTEL_EXPORTER_OTLP_TIMEOUT="5", **room)
        ) as fleet:
            if trouble == "dead":
                collector.close()
            slowest = 0.0
            with closing(Caller(fleet.url("memory"))) as caller:
                for _ in range(asked):
                    since = time.monotonic()
                    assert "result" in caller.call("tools/call", {"name": "read_graph", "arguments": {}})
                    slowest = max(slowest, time.monotonic() - since)
            assert slowest < 2.0
            counted = lambda: sum(exported(fleet).values())  # noqa: E731
            wait_until(lambda: trouble == "slow" or exported(fleet)["failed"] > 0, 20, "failures are counted")
            assert counted() <= 2 * asked
            assert trouble == "500" or exported(fleet)["dropped"] > 0
            if trouble != "slow":
                said = (fleet.state / "logs").rglob("gateway*.log")
                lines = [line for file in said for line in file.read_text().splitlines() if "traces:" in line]
                assert len(lines) == 1, lines
            since = time.monotonic()
        assert time.monotonic() - since < 15


def test_without_the_variables_there_are_no_spans_and_no_counts(collector: Collector) -> None:
    before = collector.requests
    with Fleet(
        {"traced": SERVERS["traced"]}, environment=collector.environment(OTEL_SDK_DISABLED="true")
    ) as fleet:
        told = json.loads(text(ask(fleet.url("traced"), "where", traceparent(0xAA))))
        assert told["meta"]["traceparent"] == traceparent(0xAA)["traceparent"]
        assert "omnimind_spans_total" not in scrape(fleet.base).samples
    assert collector.requests == before
