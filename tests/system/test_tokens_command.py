"""`omnimind tokens` beside a real fleet: what it counts is what the gateway sends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from omnimind.compression import tokens
from tests.calling import Caller
from tests.fleet import Fleet

SERVERS = ("memory", "thinking", "git")


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with Fleet({name: {} for name in SERVERS}, auth=True) as up:
        yield up


def run(fleet: Fleet, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMNIMIND_STATE": str(fleet.state)}
    command = [sys.executable, "-m", "omnimind", "tokens", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)


def listed(fleet: Fleet, address: str) -> int:
    """Tokens of the tools that are listed at an address."""
    with closing(Caller(address, token=fleet.token)) as caller:
        tools = caller.call("tools/list")["result"]["tools"]
    return tokens.count(json.dumps({"tools": tools}, ensure_ascii=False, separators=(",", ":")))


def test_a_servers_list_and_each_form_of_all_are_what_is_sent(fleet: Fleet) -> None:
    done = run(fleet, "--json")
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    for row in told["servers"]:
        assert row["tokens"]["whole"] == listed(fleet, fleet.url(row["name"])), row["name"]
    assert {row["name"] for row in told["servers"]} == set(SERVERS)
    paid = {form: one["tokens"] for form, one in told["paid"].items()}
    assert paid == {form: listed(fleet, f"{fleet.aggregate}?tools={form}") for form in paid}
    assert paid["whole"] > paid["pruned"] > paid["signatures"] > paid["search"] > 0
    assert told["paid"]["whole"]["shown"] < paid["whole"]


def test_it_fits_on_a_terminal(fleet: Fleet) -> None:
    for words in ((), ("--tools",), ("git",)):
        done = run(fleet, *words)
        assert done.returncode == 0, done.stderr
        assert "git" in done.stdout
        assert max(map(len, done.stdout.splitlines())) <= 80
