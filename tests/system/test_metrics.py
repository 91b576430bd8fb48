"""`/metrics` of a fleet in use: every request is counted once, under what it was and how it ended."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from promql_parser import VectorSelector
from promql_parser import parse as parse_promql

from tests.calling import Caller
from tests.fleet import ROOT, Fleet, fixture_entry, wait_until
from tests.scrape import Scrape, scrape

pytestmark = pytest.mark.timeout(180)

DURATION = "mcp_server_operation_duration_seconds"
COUNT, BUCKET, SUM = f"{DURATION}_count", f"{DURATION}_bucket", f"{DURATION}_sum"
ONCE = {"tools": {"count": {"quota": {"per_s": 0.001, "burst": 1}}}}
ONE_AT_A_TIME = {"policy": "fixed", "start": 1, "min": 1, "max": 1}
HOLD_MS = 300
PAGE = ROOT / "docs" / "metrics.md"
GRAFANA = ROOT / "docs" / "grafana"
VARIABLES = {"$__rate_interval": "5m", "$__range": "1h", "$server": ".*"}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("metrics")
    (folder / "there").write_text("here")

    def tally(name: str, **keys: Any) -> dict[str, Any]:
        return fixture_entry("tally", "--file", str(folder / name), sessions="shared", **keys)

    servers = {
        "filesystem": {"args": [str(folder)]},
        "kept": tally("kept", trust=["annotations"], cache={"ttl_ms": 600_000}),
        "narrow": tally("narrow", limits=ONE_AT_A_TIME),
        "rare": tally("rare", limits=ONCE),
        "dies": tally("dies", restart={"backoff_min_ms": 50}),
    }
    with Fleet(servers) as running:
        yield running


def tool(caller: Caller, name: str, **arguments: Any) -> dict[str, Any]:
    return caller.call("tools/call", {"name": name, "arguments": arguments})


def calls(now: Scrape, **labels: str) -> float:
    return now.total(COUNT, method="tools/call", **labels)


def added(fleet: Fleet, before: Scrape, **labels: str) -> float:
    return calls(scrape(fleet.base), **labels) - calls(before, **labels)


def test_every_series_of_a_histogram_adds_up(fleet: Fleet) -> None:
    with closing(Caller(fleet.url("kept"))) as caller:
        tool(caller, "look", text="x")
    now = scrape(fleet.base)
    histograms = [name for name, kind in now.kinds.items() if kind == "histogram"]
    assert {DURATION, "omnimind_queue_wait_seconds", "omnimind_service_seconds"} <= set(histograms)
    for name in histograms:
        series: dict[Any, list[tuple[float, float]]] = {}
        for labels, value in now.rows(f"{name}_bucket"):
            bound = float(labels.pop("le"))
            series.setdefault(tuple(sorted(labels.items())), []).append((bound, value))
        assert series.keys() == now.samples[f"{name}_count"].keys() == now.samples[f"{name}_sum"].keys()
        for labels, buckets in series.items():
            counts = [count for _, count in sorted(buckets)]
            assert counts == sorted(counts)
            assert len(counts) == 20
            assert counts[-1] == now.samples[f"{name}_count"][labels]


def test_a_call_is_counted_once_by_server_tool_era_and_outcome(fleet: Fleet) -> None:
    before = scrape(fleet.base)
    with closing(Caller(fleet.url("kept"))) as caller:
        for number in range(7):
            assert "result" in tool(caller, "count", id=str(number))
    with closing(Caller(fleet.aggregate)) as caller:
        for number in range(3):
            assert "result" in tool(caller, "kept__count", id=f"a{number}")
    assert added(fleet, before, server="kept", tool="count", era="modern", outcome="ok", cache="none") == 10
    assert added(fleet, before, server="kept") == 10
    assert added(fleet, before) == 10


def test_answers_from_memory_are_told_from_others_and_none_is_missed(fleet: Fleet) -> None:
    before = scrape(fleet.base)
    asked = 200
    with closing(Caller(fleet.url("kept"), takes_kept=True)) as caller:
        for _ in range(asked):
            assert tool(caller, "look", text="again")["result"]["content"][0]["text"] == "again"
    with closing(Caller(fleet.url("kept"))) as caller:
        tool(caller, "look", text="again")
    seen = {"server": "kept", "tool": "look", "outcome": "ok"}
    assert added(fleet, before, **seen, cache="none") == 2
    assert added(fleet, before, **seen, cache="ram") == asked - 1
    now = scrape(fleet.base)
    hits = now.total("omnimind_cache_hits_total", server="kept", level="ram")
    assert calls(now, server="kept", cache="ram") == hits


def test_errors_of_tools_of_the_protocol_and_refusals_are_apart(fleet: Fleet) -> None:
    before = scrape(fleet.base)
    with closing(Caller(fleet.url("filesystem"))) as caller:
        assert tool(caller, "read_text_file", path="/nowhere/at/all")["result"]["isError"] is True
    with closing(Caller(fleet.url("rare"))) as caller:
        assert "result" in tool(caller, "count", id="1")
        for _ in range(4):
            assert tool(caller, "count", id="2")["error"]["data"]["reason"] == "rate_limited"
        assert "error" in tool(caller, "no such tool")
    assert added(fleet, before, server="filesystem", tool="read_text_file", outcome="tool_error") == 1
    assert added(fleet, before, server="rare", tool="count", outcome="rate_limited") == 4
    assert added(fleet, before, server="rare", tool="_other", outcome="error") == 1
    now = scrape(fleet.base)
    refused = now.total("omnimind_refusals_total", reason="rate_limited")
    assert refused - before.total("omnimind_refusals_total", reason="rate_limited") == 4


def test_names_that_clients_make_up_get_no_series(fleet: Fleet) -> None:
    before = scrape(fleet.base)
    with closing(Caller(fleet.url("kept"))) as caller:
        for number in range(50):
            assert "error" in tool(caller, f"made up {number}")
            assert "error" in caller.call(f"made/up{number}")
    now = scrape(fleet.base)
    assert {row["tool"] for row, _ in now.rows(COUNT, server="kept", method="tools/call")} <= {
        "count",
        "look",
        "_other",
    }
    assert calls(now, tool="_other") - calls(before, tool="_other") == 50
    unknown = [scraped.total(COUNT, server="kept", method="_other") for scraped in (before, now)]
    assert unknown[1] - unknown[0] == 50


def test_waiting_is_counted_apart_from_being_served(fleet: Fleet) -> None:
    before = scrape(fleet.base)

    def held(number: int) -> None:
        with closing(Caller(fleet.url("narrow"))) as caller:
            assert "result" in tool(caller, "look", text=str(number), before_ms=HOLD_MS)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(held, range(3)))
    now = scrape(fleet.base)

    def seconds(name: str) -> float:
        return sum(sign * at.total(f"{name}_sum", server="narrow") for sign, at in ((1, now), (-1, before)))

    hold_s = HOLD_MS / 1_000
    assert seconds("omnimind_service_seconds") == pytest.approx(3 * hold_s, rel=0.5)
    assert seconds("omnimind_queue_wait_seconds") == pytest.approx((1 + 2) * hold_s, rel=0.5)
    whole = now.total(SUM, server="narrow", tool="look") - before.total(SUM, server="narrow", tool="look")
    assert whole >= seconds("omnimind_service_seconds") + seconds("omnimind_queue_wait_seconds")
    short = now.total(BUCKET, server="narrow", tool="look", le="0.2")
    assert short == before.total(BUCKET, server="narrow", tool="look", le="0.2")


def test_a_client_that_goes_away_is_a_call_that_was_cancelled(fleet: Fleet) -> None:
    before = scrape(fleet.base)
    caller = Caller(fleet.url("kept"))
    with ThreadPoolExecutor(1) as pool:
        lost = pool.submit(tool, caller, "look", text="late", before_ms=2_000)
        wait_until(
            lambda: scrape(fleet.base).total("omnimind_server_in_flight", server="kept") > 0, 5, "it is there"
        )
        sock = caller._connection.sock
        assert sock is not None
        sock.shutdown(2)
        assert lost.exception(10) is not None
    wait_until(
        lambda: added(fleet, before, server="kept", tool="look", outcome="cancelled") == 1, 5, "it is counted"
    )


def test_a_server_that_begins_anew_is_counted(fleet: Fleet) -> None:
    before = scrape(fleet.base).total("omnimind_server_restarts_total", server="dies")
    [child] = [process for process in fleet.descendants() if str(process.cmdline()).find("/dies'") > 0]
    child.kill()

    def again() -> bool:
        now = scrape(fleet.base)
        return (
            now.total("omnimind_server_restarts_total", server="dies") == before + 1
            and now.total("omnimind_server_ready", server="dies") == 1
        )

    wait_until(again, 20, "it is up again")


def test_refusals_before_any_server_is_known_are_counted() -> None:
    with Fleet({"rare": fixture_entry("slow_echo")}, auth=True) as fleet:
        with closing(Caller(fleet.url("rare"), token="wrong")) as caller:
            for _ in range(3):
                assert caller.call("tools/list")["error"]["data"]["reason"] == "unauthenticated"
        now = scrape(fleet.base, fleet.token)
        assert now.total("omnimind_refusals_total", reason="unauthenticated") == 3
        assert now.total(COUNT) == 0


def legacy(fleet: Fleet) -> None:
    """A session of the other era, with one call."""
    session: dict[str, str] = {}
    url = urlsplit(fleet.url("kept"))
    assert url.hostname is not None
    with closing(HTTPConnection(url.hostname, url.port, timeout=30)) as connection:
        about = {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "t", "version": "1"},
        }
        for method, params in (
            ("initialize", about),
            ("tools/call", {"name": "count", "arguments": {"id": "l"}}),
        ):
            body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
            headers = {
                "Content-Type": "application/json",
                "Accept": "application/json, text/event-stream",
                **session,
            }
            connection.request("POST", url.path, body, headers)
            answer = connection.getresponse()
            assert b'"result"' in answer.read()
            session = {
                "Mcp-Session-Id": answer.headers["Mcp-Session-Id"] or session.get("Mcp-Session-Id", "")
            }


def test_both_eras_are_told_apart(fleet: Fleet) -> None:
    before = scrape(fleet.base)
    legacy(fleet)
    assert added(fleet, before, server="kept", tool="count", era="legacy", outcome="ok") == 1
    now = scrape(fleet.base)
    assert now.total(COUNT, server="kept", method="initialize", era="legacy") == 1


def written(text: str) -> set[str]:
    """Names of metrics in a text, as they are scraped."""
    return set(re.findall(r"\b(?:omnimind|mcp)_[a-z0-9_]+", text))


def selectors(expression: Any) -> Iterator[Any]:
    """All series a parsed expression asks for."""
    if isinstance(expression, VectorSelector):
        yield expression
        return
    for name in ("expr", "lhs", "rhs", "vector_selector", "args"):
        part = getattr(expression, name, None)
        for one in part if isinstance(part, list) else [part]:
            if one is not None:
                yield from selectors(one)


def expressions() -> list[str]:
    """Of the dashboard and of the rules."""
    dashboard = json.loads((GRAFANA / "fleet.json").read_text())
    rules = yaml.safe_load((GRAFANA / "alerts.yaml").read_text())
    texts = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    texts += [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    for variable, value in VARIABLES.items():
        texts = [text.replace(variable, value) for text in texts]
    return texts


def test_what_the_dashboard_and_the_rules_ask_for_is_there(fleet: Fleet) -> None:
    now = scrape(fleet.base)
    names = 0
    for text in expressions():
        asked = list(selectors(parse_promql(text)))
        assert asked, text
        for selector in asked:
            names += 1
            assert selector.name in now.samples, f"{selector.name} in {text}"
            labels = {matcher.name for matcher in selector.matchers.matchers}
            assert labels <= now.labels(selector.name), f"{labels} of {selector.name} in {text}"
    assert names > 25


def test_labels_that_are_summed_by_exist(fleet: Fleet) -> None:
    now = scrape(fleet.base)
    for text in expressions():
        known = {label for selector in selectors(parse_promql(text)) for label in now.labels(selector.name)}
        for by in re.findall(r"by \(([^)]*)\)", text):
            assert {label.strip() for label in by.split(",")} <= known, text


def test_values_that_are_asked_for_by_name_are_words_the_gateway_says(fleet: Fleet) -> None:
    page = PAGE.read_text()
    for text in expressions():
        for label, said in re.findall(r'\b(outcome|cache|reason|method)[!=~]+"([^"]*)"', text):
            for word in said.split("|"):
                assert f"`{word}`" in page, f"{label}={word} in {text}"


def test_rules_are_rules_and_say_what_to_do() -> None:
    rules = [
        rule
        for group in yaml.safe_load((GRAFANA / "alerts.yaml").read_text())["groups"]
        for rule in group["rules"]
    ]
    assert len({rule["alert"] for rule in rules}) == len(rules)
    page = PAGE.read_text()
    for rule in rules:
        assert (
            {"alert", "expr", "labels", "annotations"}
            <= rule.keys()
            <= {"alert", "expr", "for", "labels", "annotations"}
        )
        assert {"summary", "help"} == rule["annotations"].keys()
        assert f"`{rule['alert']}`" in page


def test_panels_of_the_dashboard_do_not_overlap() -> None:
    panels = json.loads((GRAFANA / "fleet.json").read_text())["panels"]
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken
        assert all(x < 24 for x, _ in cells)
        taken |= cells
    assert len({panel["id"] for panel in panels}) == len(panels)


def test_the_page_names_every_metric_and_no_other(fleet: Fleet) -> None:
    told = scrape(fleet.base).kinds.keys()
    page = PAGE.read_text()
    named = written(page)
    parts = {name + part for name in told for part in ("_bucket", "_sum", "_count")}
    only_there = {"omnimind_pool_"}  # servers over HTTP, which this fleet has none of
    assert told <= named
    assert {
        name for name in named - told - parts if not any(name.startswith(part) for part in only_there)
    } == set()
