"""Many calls in flight over one pipe: every answer reaches its caller, none comes twice.

The upstream holds back each answer for a time drawn anew, so that answers overtake each other; every call
carries a text of its own that must come back with its own id.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benches import load, processes
from tests.fleet import Fleet, wait_until

CALLS = 1000
IN_FLIGHT = 100
DELAY_MS = "0..20"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    socket: Path = tmp_path_factory.mktemp("upstream") / "echo.sock"
    servers = {
        "unix": {"url": f"unix:{socket}"},
        "stdio": load.stdio_entry(delay_ms=DELAY_MS),
        "stdio-legacy": load.stdio_entry(delay_ms=DELAY_MS, era="legacy"),
    }
    with load.Upstream(unix=socket, delay_ms=DELAY_MS), Fleet(servers) as fleet:
        yield fleet


def children_of(fleet: Fleet, era: str) -> list[int]:
    lines = {pid: processes.command_line(pid) for pid in processes.family(fleet.pid)}
    return [pid for pid, line in lines.items() if "--stdio" in line and era in line]


@pytest.mark.bar
@pytest.mark.parametrize("era", ["modern", "legacy"])
@pytest.mark.parametrize("server", ["stdio", "unix", "stdio-legacy"])
def test_each_of_a_thousand_calls_gets_its_own_answer(fleet: Fleet, server: str, era: str) -> None:
    report = load.run(
        *("--http", fleet.url(server), "--era", era, "--allow-saturated"),
        *("--count", str(CALLS), "--in-flight", str(IN_FLIGHT), "--duration-s", "40", "--timeout-s", "15"),
    )
    assert report.is_clean, report.all
    assert (report.sent, report.right) == (CALLS, CALLS)


@pytest.mark.bar
def test_large_calls_in_flight_do_not_mix(fleet: Fleet) -> None:
    report = load.run(
        *("--http", fleet.url("stdio"), "--allow-saturated", "--size", "40000"),
        *("--count", "300", "--in-flight", "50", "--duration-s", "40", "--timeout-s", "15"),
    )
    assert report.is_clean, report.all
    assert report.sent == 300


def test_all_those_calls_went_over_one_child(fleet: Fleet) -> None:
    before = children_of(fleet, "legacy")
    report = load.run(
        *("--http", fleet.url("stdio-legacy"), "--allow-saturated"),
        *("--count", "200", "--in-flight", str(IN_FLIGHT), "--duration-s", "40"),
    )
    assert report.is_clean, report.all
    assert children_of(fleet, "legacy") == before
    assert len(before) == 1


def add_principal(fleet: Fleet, name: str) -> str:
    """A new token, in a file."""
    command = [sys.executable, "-m", "omnimind", "token", "add", name, "--json"]
    environment = {**os.environ, "OMNIMIND_STATE": str(fleet.state)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    file = fleet.folder / f"{name}.token"
    file.write_text(json.loads(done.stdout)["token"])
    return f"{name}={file}"


def knows(fleet: Fleet, principal: str) -> bool:
    report = load.run("--http", fleet.url("stdio"), "--principal", principal, "--count", "1")
    return report.is_clean


@pytest.mark.bar
@pytest.mark.parametrize("era", ["modern", "legacy"])
def test_principals_that_share_one_child_get_only_their_own_answers(era: str) -> None:
    servers = {"stdio": load.stdio_entry(delay_ms=DELAY_MS, sessions="shared")}
    with Fleet(servers, auth=True) as fleet:
        principals = [add_principal(fleet, name) for name in ("alice", "bob", "carol")]
        wait_until(lambda: all(knows(fleet, one) for one in principals), 10, "the new tokens are known")
        report = load.run(
            *(word for one in principals for word in ("--principal", one)),
            *("--http", fleet.url("stdio"), "--era", era, "--allow-saturated"),
            *("--count", str(CALLS), "--in-flight", str(IN_FLIGHT), "--duration-s", "40"),
        )
        assert report.is_clean, report.all
        assert report.sent == CALLS
