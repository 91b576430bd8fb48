"""`omnimind status --limits` and `--health`, `omnimind pool`: what they ask the fleet, what they make of its answer."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from fake_fleet import FakeFleet

from omnimind import cli
from omnimind.cli import limits_view, pool
from omnimind.errors import Exit
from omnimind.systemd import rendezvous
from tests.fleet import ROOT

Capture = pytest.CaptureFixture[str]

BUSY: dict[str, Any] = {
    "name": "memory",
    "tier": "critical",
    "policy": "gradient",
    "limit": 24,
    "usable": 22,
    "in_flight": 22,
    "zombies": 2,
    "waiting": {"system": 0, "interactive": 3, "normal": 12, "background": 0},
    "stretch": 1.618,
    "service_ms": 12.34,
    "started": 4711,
    "refused": {"deadline": 2, "queue_full": 40, "evicted": 0, "odd\x1b": 1},
    "queue_ms": {"p50": 0.001, "p99": 1480.0},
}
QUIET: dict[str, Any] = {
    "name": "tiny",
    "tier": "medium",
    "policy": "fixed",
    "limit": 8,
    "usable": 8,
    "in_flight": 0,
    "zombies": 0,
    "waiting": dict.fromkeys(("system", "interactive", "normal", "background"), 0),
    "stretch": None,
    "service_ms": 0.0,
    "started": 0,
    "refused": {},
    "queue_ms": {"p50": 0.0, "p99": 0.0},
}
LIMITS: dict[str, Any] = {
    "ok": True,
    "units": [],
    "servers": [BUSY, QUIET],
    "rates": {
        "policy": "cpu-step",
        "pace": 0.5,
        "refused": {"tenant": 7, "tenant_server": 0, "server_tool": 9},
    },
    "health": {"cpu": 0.876, "psi": None, "p99_ms": 65_400.0, "error_rate": 0.0, "brake": 0.9},
}
POOL: dict[str, Any] = {
    "ok": True,
    "unused": [],
    "servers": [
        {
            "name": "docs",
            "http": "1.1",
            "max": 100,
            "open": 5,
            "busy": 2,
            "idle": 3,
            "waiting": 1,
            "idle_limit_ms": 4_000,
            "learned": True,
            "ejected_ms": 29_500,
            "opened": 9,
            "reused": 300,
            "closed": {"odd": 1, "idle": 3, "broken": 0},
            "waited": 4,
            "refused": 6,
        },
        {
            "name": "fresh",
            "http": None,
            "max": 7,
            "open": 0,
            "busy": 0,
            "idle": 0,
            "waiting": 0,
            "idle_limit_ms": 250,
            "learned": False,
            "ejected_ms": 0,
            "opened": 0,
            "reused": 0,
            "closed": {},
            "waited": 0,
            "refused": 0,
        },
    ],
}


def cells(line: str) -> list[str]:
    return re.split(r"\s{2,}", line.strip())


def printed(argv: list[str], capsys: Capture) -> list[str]:
    assert cli.main(argv) == Exit.OK
    return capsys.readouterr().out.splitlines()


# --- status --limits


def test_every_server_has_a_row_and_its_refusals_a_line(fleet: FakeFleet, capsys: Capture) -> None:
    fleet.answer = lambda _: LIMITS
    head, busy, quiet, refused, empty, rates = printed(["status", "--limits"], capsys)
    assert fleet.asked == [{"cmd": "limits"}]
    told = dict(zip(cells(head), cells(busy), strict=True))
    assert told == {
        "SERVER": "memory",
        "POLICY": "gradient",
        "LIMIT": "24",
        "USABLE": "22",
        "IN FLIGHT": "22",
        "ZOMBIES": "2",
        "STRETCH": "1.62",
        "SERVICE": "12.3 ms",
        "QUEUE P50, P99": "0 ms, 1.48 s",
        "STARTED": "4711",
        "REFUSED": "43",
        "WAITING": "3 interactive, 12 normal",
    }
    assert cells(quiet) == ["tiny", "fixed", "8", "8", "0", "0", "-", "-", "-", "0", "0", "0"]
    assert (
        refused == "  memory: refused 40 (the queue was full), 2 (too late to be done in time), 1 (odd\\x1b)"
    )
    assert empty == ""
    assert rates == (
        "rates 0.5 times what is configured (policy cpu-step); refused 9 (by a tool's rate), 7 (by the tenant's rate)"
    )


def test_rates_that_nothing_moves_and_units_are_said_in_words(fleet: FakeFleet, capsys: Capture) -> None:
    rates = {"policy": "fixed", "pace": 1.0, "refused": {}}
    fleet.answer = lambda _: {**LIMITS, "servers": [], "rates": rates, "units": ["git"]}
    *_, last, units = printed(["status", "--limits"], capsys)
    assert last == "rates as configured (policy fixed)"
    assert units == "at their own ports units of systemd answer, with limits of their own: git"


@pytest.mark.parametrize(
    ("file", "enum", "words"),
    [("queue/refused.rs", "Reason", limits_view.REASONS), ("rate/admission.rs", "Scope", limits_view.SCOPES)],
)
def test_every_reason_of_the_gateway_has_words(file: str, enum: str, words: dict[str, str]) -> None:
    source = (ROOT / "rust" / "limits" / "src" / file).read_text()
    block = re.search(rf"pub enum {enum} \{{(.*?)\n\}}", source, re.DOTALL)
    assert block is not None
    names = re.findall(r"^ +([A-Z]\w+),$", block[1], re.MULTILINE)
    assert {re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower() for name in names} == set(words)


# --- status --health


def test_health_is_what_is_known(fleet: FakeFleet, capsys: Capture) -> None:
    fleet.answer = lambda _: LIMITS
    _, *lines = printed(["status", "--health"], capsys)
    assert {cells(line)[0]: cells(line)[1] for line in lines} == {
        "cpu": "87.6 %",
        "cpu pressure": "-",
        "p99": "1.09 min",
        "errors": "0 %",
        "brake": "90 %",
        "pace": "0.5",
    }
    assert "cpu-step" in lines[-1]


@pytest.mark.parametrize("view", ["--limits", "--health"])
def test_as_json_it_is_what_the_gateway_said(fleet: FakeFleet, view: str, capsys: Capture) -> None:
    fleet.answer = lambda _: LIMITS
    assert json.loads("\n".join(printed(["status", view, "--json"], capsys))) == {
        key: LIMITS[key] for key in LIMITS if key != "ok"
    }


def test_one_view_at_a_time(fleet: FakeFleet, capsys: Capture) -> None:
    assert cli.main(["status", "--limits", "--health"]) == Exit.USAGE
    assert "not allowed with" in capsys.readouterr().err
    assert fleet.asked == []


# --- pool


def test_every_pool_has_a_row_and_what_is_wrong_with_it_a_line(fleet: FakeFleet, capsys: Capture) -> None:
    fleet.answer = lambda _: POOL
    head, docs, fresh, ejected, closed = printed(["pool"], capsys)
    assert fleet.asked == [{"cmd": "pool"}]
    assert dict(zip(cells(head), cells(docs), strict=True)) == {
        "SERVER": "docs",
        "HTTP": "1.1",
        "OPEN": "5",
        "BUSY": "2",
        "IDLE": "3",
        "MAX": "100",
        "IDLE LIMIT": "4 s, learned",
        "WAITING": "1",
        "OPENED": "9",
        "REUSED": "300",
        "WAITED": "4",
        "REFUSED": "6",
    }
    assert cells(fresh) == ["fresh", "-", "0", "0", "0", "7", "250 ms", "0", "0", "0", "0", "0"]
    assert ejected == "  docs: ejected: it failed too often; asked again in 29.5 s"
    assert closed == "  docs: closed 3 (rested too long), 1 (odd)"


def test_pools_as_json_are_what_the_gateway_said(fleet: FakeFleet, capsys: Capture) -> None:
    fleet.answer = lambda _: POOL
    assert json.loads("\n".join(printed(["pool", "--json"], capsys))) == {
        "servers": POOL["servers"],
        "unused": [],
    }


def test_a_server_that_nobody_called_yet_is_named(fleet: FakeFleet, capsys: Capture) -> None:
    fleet.answer = lambda _: {"ok": True, "servers": [], "unused": ["docs", "web"]}
    assert printed(["pool"], capsys)[-1] == "not called yet: docs, web"


def test_every_reason_to_close_has_words() -> None:
    source = (ROOT / "rust" / "gateway" / "src" / "pool" / "tally.rs").read_text()
    assert set(re.findall(r'\(Why::\w+, "(\w+)"\)', source)) == set(pool.CLOSED)


def test_without_a_server_over_http_there_is_nothing_to_pool(fleet: FakeFleet, capsys: Capture) -> None:
    fleet.answer = lambda _: {"ok": True, "servers": [], "unused": []}
    assert printed(["pool"], capsys) == [
        'no server is reached over HTTP: none has a "url" with http or https'
    ]


# --- nobody to ask


@pytest.mark.parametrize("words", [["status", "--limits"], ["status", "--health"], ["pool"]])
def test_without_a_fleet_it_says_how_to_start_one(words: list[str], state: Path, capsys: Capture) -> None:
    assert cli.main(words) == Exit.NO_FLEET
    assert capsys.readouterr().err.endswith("help: start one: omnimind up\n")


def test_a_server_that_runs_alone_has_limits_of_its_own(
    state: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(rendezvous, "holder", lambda _, name: os.getpid() if name == "git" else None)
    assert cli.main(["status", "--limits"]) == Exit.NO_FLEET
    error = capsys.readouterr().err
    assert error.startswith("error[OM0201]: no fleet runs; served alone, each with limits of its own: git\n")


@pytest.mark.parametrize("words", [["status", "--limits"], ["pool"]])
def test_a_gateway_that_does_not_answer_is_named(fleet: FakeFleet, words: list[str], capsys: Capture) -> None:
    fleet.answer = lambda _: {
        "ok": False,
        "code": "OM0204",
        "what": "the gateway, which is backoff, did not answer",
        "help": "see what it does: omnimind logs gateway",
    }
    assert cli.main(words) == Exit.FAILURE
    error = capsys.readouterr().err
    assert "the gateway, which is backoff, did not answer" in error
    assert "help: see what it does: omnimind logs gateway" in error
