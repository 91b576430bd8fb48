"""`omnimind status --limits`, `--health` and `omnimind pool` against a real fleet: what is shown is what happens."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from omnimind.cli import fleet as control
from omnimind.errors import Exit
from tests.calling import Caller
from tests.fleet import Background, Fleet, fixture_entry, wait_until

pytestmark = pytest.mark.timeout(120)

TWO_AT_ONCE = {"policy": "fixed", "max": 2, "queue": 1}
ONCE = {"tools": {"echo": {"quota": {"per_s": 0.001, "burst": 1}}}}
SEEN_S = 10.0


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with Background("single_era", "modern", "--http", "0") as web:
        servers = {
            "slow": fixture_entry("slow_echo", sessions="shared", limits=TWO_AT_ONCE, tier="critical"),
            "rare": fixture_entry("slow_echo", limits=ONCE),
            "web": {"url": web.first_line, "pool": {"max_connections": 7}},
        }
        with Fleet(servers) as running:
            yield running


def omnimind(fleet: Fleet, *words: str) -> str:
    """What the command prints."""
    command = [sys.executable, "-m", "omnimind", *words, "--state", str(fleet.state)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == Exit.OK, done.stdout + done.stderr
    return done.stdout


def cells(text: str, name: str) -> dict[str, str]:
    """The row of a server in a printed table, by the heads of its columns."""
    head, *rows = [re.split(r"\s{2,}", line.strip()) for line in text.split("\n\n")[0].splitlines()]
    return next(dict(zip(head, row, strict=True)) for row in rows if row[0] == name)


def ask(fleet: Fleet, what: str) -> dict[str, Any]:
    return control.ask(fleet.state, {"cmd": what}, 30.0)


def row(fleet: Fleet, name: str, what: str = "limits") -> dict[str, Any]:
    found: dict[str, Any] = next(row for row in ask(fleet, what)["servers"] if row["name"] == name)
    return found


def echo(fleet: Fleet, server: str, delay_ms: int = 0) -> dict[str, Any]:
    with closing(Caller(fleet.url(server))) as caller:
        return caller.call("tools/call", {"name": "echo", "arguments": {"text": "x", "delay_ms": delay_ms}})


def listed(fleet: Fleet) -> dict[str, Any]:
    with closing(Caller(fleet.url("web"))) as caller:
        return caller.call("tools/list")


@contextmanager
def calls(fleet: Fleet, count: int, delay_ms: int) -> Iterator[list[dict[str, Any]]]:
    """So many slow calls at once; their answers are there at the end."""
    answers: list[dict[str, Any]] = []
    threads = [
        threading.Thread(target=lambda: answers.append(echo(fleet, "slow", delay_ms))) for _ in range(count)
    ]
    for thread in threads:
        thread.start()
    yield answers
    for thread in threads:
        thread.join()


def test_calls_in_flight_in_the_queue_and_at_the_door_are_seen(fleet: Fleet) -> None:
    assert "result" in echo(fleet, "slow")
    before = row(fleet, "slow")
    assert (before["policy"], before["limit"], before["usable"], before["tier"]) == (
        "fixed",
        2,
        2,
        "critical",
    )
    seen: list[dict[str, Any]] = []
    with calls(fleet, 5, 2_000) as answers:
        wait_until(
            lambda: seen.append(row(fleet, "slow")) or seen[-1]["waiting"]["interactive"] == 1,
            SEEN_S,
            "one waits",
        )
        wait_until(lambda: len(answers) >= 2, SEEN_S, "two are refused")
    assert (seen[-1]["in_flight"], seen[-1]["usable"]) == (2, 2)
    after, shown = row(fleet, "slow"), omnimind(fleet, "status", "--limits")
    assert (after["in_flight"], sum(after["waiting"].values())) == (0, 0)
    refused = sum("error" in answer for answer in answers)
    assert refused in (2, 3), "who waited was started, or had waited long enough"
    assert all(answer["error"]["code"] == 42901 for answer in answers if "error" in answer)
    assert sum(after["refused"].values()) - sum(before["refused"].values()) == refused
    assert after["started"] - before["started"] == 5 - refused
    assert after["service_ms"] > 100
    told = cells(shown, "slow")
    assert (told["POLICY"], told["LIMIT"], told["IN FLIGHT"], told["WAITING"]) == ("fixed", "2", "0", "0")
    assert (told["STARTED"], told["REFUSED"]) == (str(after["started"]), str(sum(after["refused"].values())))
    assert re.search(r"^  slow: refused 2 \((the queue was full|its place .*)\)", shown, re.MULTILINE)


def test_a_rate_refuses_and_is_counted_by_scope(fleet: Fleet) -> None:
    refused = ask(fleet, "limits")["rates"]["refused"]["server_tool"]
    assert "result" in echo(fleet, "rare")
    error = echo(fleet, "rare")["error"]
    assert error["code"] == 42900
    rates = ask(fleet, "limits")["rates"]
    assert rates["refused"]["server_tool"] == refused + 1
    assert (rates["policy"], rates["pace"]) == ("fixed", 1)
    assert "(by a tool's rate)" in omnimind(fleet, "status", "--limits")


def test_the_health_of_the_machine_is_known_soon(fleet: Fleet) -> None:
    wait_until(
        lambda: ask(fleet, "limits")["health"]["cpu"] is not None, SEEN_S, "the CPU was looked at twice"
    )
    health = json.loads(omnimind(fleet, "status", "--health", "--json"))["health"]
    assert set(health) == {"cpu", "psi", "p99_ms", "error_rate", "brake"}
    assert 0 <= health["cpu"] <= 1
    assert 0 < health["brake"] <= 1
    shown = omnimind(fleet, "status", "--health")
    assert re.search(r"^cpu +[\d.]+ %", shown, re.MULTILINE)
    assert re.search(r"^pace +1 ", shown, re.MULTILINE)


def test_a_pool_shows_its_connections(fleet: Fleet) -> None:
    assert ask(fleet, "pool")["unused"] == ["web"]
    assert "not called yet: web" in omnimind(fleet, "pool")
    for _ in range(3):
        assert "result" in listed(fleet)
    web = row(fleet, "web", "pool")
    assert [row["name"] for row in ask(fleet, "pool")["servers"]] == ["web"]
    assert (web["http"], web["max"], web["ejected_ms"], web["refused"]) == ("1.1", 7, 0, 0)
    assert web["opened"] >= 1
    assert web["reused"] >= 1
    assert web["open"] == web["busy"] + web["idle"]
    shown = cells(omnimind(fleet, "pool"), "web")
    assert (shown["HTTP"], shown["MAX"]) == ("1.1", "7")


def test_changed_limits_take_effect_while_calls_run_and_no_server_is_started_again(fleet: Fleet) -> None:
    def pids() -> dict[str, Any]:
        return {row["name"]: row["pid"] for row in ask(fleet, "status")["servers"]}

    assert "result" in echo(fleet, "slow")
    before = pids()
    document = json.loads(fleet.config.read_text())
    document["mcpServers"]["slow"]["limits"]["max"] = 9
    document["mcpServers"]["web"]["pool"]["max_connections"] = 11
    document["gateway"] = {"limits": {"policy": "aimd", "tenant": 10_000, "refusals_as_text": True}}
    with calls(fleet, 2, 2_000) as answers:
        wait_until(lambda: row(fleet, "slow")["in_flight"] == 2, SEEN_S, "two calls run")
        fleet.config.write_text(json.dumps(document))
        wait_until(lambda: row(fleet, "slow")["limit"] == 9, SEEN_S, "the new limit holds")
        assert "result" in echo(fleet, "slow"), "a third call runs at once"
        assert answers == []
    assert all("result" in answer for answer in answers)
    assert "result" in listed(fleet)
    assert row(fleet, "web", "pool")["max"] == 11
    assert ask(fleet, "limits")["rates"]["policy"] == "aimd"
    _, again = echo(fleet, "rare"), echo(fleet, "rare")["result"]
    assert again["isError"]
    assert "rate" in again["content"][0]["text"]
    assert pids() == before
