"""`omnimind cache` against a real fleet: what is seen, forgotten and explained is what the gateway does."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from omnimind.cli import fleet as control
from omnimind.errors import Exit, FleetError
from tests.calling import Caller
from tests.fleet import Fleet, wait_until

pytestmark = pytest.mark.timeout(120)

TINY = Path(__file__).parent / "fleet_fixtures" / "tiny_server.py"
SETTLED_S = 0.06
"""A file that was changed within the last 50 ms makes an answer that is not kept."""
READ = {"name": "read_graph", "arguments": {}}


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    tiny = {"command": sys.executable, "args": ["-S", str(TINY)]}
    with Fleet({"memory": {}, "tiny": tiny}) as running:
        entity = {"name": "a", "entityType": "t", "observations": []}
        call(running, {"name": "create_entities", "arguments": {"entities": [entity]}})
        time.sleep(SETTLED_S)
        yield running


def call(fleet: Fleet, params: dict[str, Any]) -> dict[str, Any]:
    with closing(Caller(fleet.url("memory"), takes_kept=True)) as caller:
        return caller.call("tools/call", params)


def omnimind(fleet: Fleet, *words: str, code: Exit = Exit.OK) -> str:
    """What the command says; its errors too."""
    command = [sys.executable, "-m", "omnimind", "cache", *words, "--state", str(fleet.state)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def ask(fleet: Fleet, op: str, **more: Any) -> dict[str, Any]:
    return control.ask(fleet.state, {"cmd": "cache", "op": op, **more}, 30.0)


def counts(fleet: Fleet) -> tuple[int, int]:
    """Hits and misses of the memory server's requests."""
    row = next(row for row in ask(fleet, "stats")["servers"] if row["name"] == "memory")
    return sum(row["hits"].values()), row["misses"]


def test_a_read_is_a_miss_then_a_hit_then_forgotten(fleet: Fleet) -> None:
    hits, misses = counts(fleet)
    first = call(fleet, READ)
    assert counts(fleet) == (hits, misses + 1)
    assert call(fleet, READ)["result"] == first["result"]
    assert counts(fleet) == (hits + 1, misses + 1)

    said = omnimind(fleet, "explain", "memory", "read_graph")
    assert "memory read_graph for local: a hit (ram)" in said
    assert counts(fleet) == (hits + 1, misses + 1), "explaining is no request"
    same = json.loads(omnimind(fleet, "explain", "memory__read_graph", "{}", "--json"))
    assert same["hit"]["level"] == "ram"

    assert omnimind(fleet, "flush", "memory") == "flushed: memory\n"
    said = omnimind(fleet, "explain", "memory", "read_graph")
    assert "memory read_graph for local: no hit. It goes to memory" in said
    hits, misses = counts(fleet)
    call(fleet, READ)
    assert counts(fleet) == (hits, misses + 1)


def test_the_table_shows_the_levels_and_the_servers(fleet: Fleet) -> None:
    said = omnimind(fleet)
    rows = {line.split()[0]: line.split()[1] for line in said.splitlines() if line and line[0].islower()}
    assert {name: rows[name] for name in ("ram", "compressed", "semantic", "predictive")} == {
        "ram": "on",
        "compressed": "on",
        "semantic": "off",
        "predictive": "on",
    }
    assert {"disk", "memory", "tiny"} <= set(rows)
    assert "semantic: off: no tool was configured for it" in said


def test_the_level_on_disk_is_there_soon_after_the_start(fleet: Fleet) -> None:
    wait_until(lambda: "off" not in ask(fleet, "stats")["levels"]["disk"], 10, "the folder is open")


@pytest.mark.parametrize(
    ("words", "text", "help"),
    [
        (["memory", "create_entities"], "no hit: the tool is not read-only.", "always goes to its server"),
        (["memory", "no_such_tool"], "no hit: the server has not listed this tool.", "omnimind list"),
        (["tiny", "echo"], 'no hit: the server\'s hints are not trusted (trust: ["annotations"])', '"trust"'),
        (
            ["memory", "--method", "prompts/get", '{"name": "x"}'],
            "no answer to this method is kept",
            "tools/call",
        ),
    ],
)
def test_what_is_never_kept_says_why_and_what_helps(
    fleet: Fleet, words: list[str], text: str, help: str
) -> None:
    said, _, advice = omnimind(fleet, "explain", *words).partition("\nhelp: ")
    assert text in said
    assert help in advice


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["explain", "memroy", "read_graph"], Exit.FAILURE, "error[OM0203]: there is no server named memroy"),
        (["flush", "memroy"], Exit.FAILURE, "did you mean memory?"),
        (["explain", "memory", "f", "{"], Exit.USAGE, "error[OM0402]: the arguments are not JSON"),
        (
            ["explain", "memory", "f", "--principal", "ann"],
            Exit.FAILURE,
            "error[OM0301]: there is no principal",
        ),
        (["explain", "memory__none"], Exit.FAILURE, "error[OM0405]: "),
    ],
)
def test_a_question_about_nothing_is_an_error_with_a_code(
    fleet: Fleet, words: list[str], code: Exit, said: str
) -> None:
    assert said in omnimind(fleet, *words, code=code)


def test_a_request_that_no_link_can_carry_ends_nobody(fleet: Fleet) -> None:
    pids = [row["pid"] for row in control.ask(fleet.state, {"cmd": "status"})["servers"]]
    deep: Any = {}
    for _ in range(400):
        deep = {"a": deep}
    unreadable: list[Any] = [float("nan"), b"\xff", deep]
    for message in unreadable:
        with pytest.raises(FleetError, match="cannot be passed to the gateway"):
            ask(fleet, "explain", server="memory", principal="local", message=message)
    for message in ("text", {"jsonrpc": "2.0"}, {"jsonrpc": "2.0", "id": 1, "method": "m"}):
        assert {"error", "why"} & ask(
            fleet, "explain", server="memory", principal="local", message=message
        ).keys()
    with pytest.raises(FleetError, match="no operation 'fill'"):
        ask(fleet, "fill")
    assert ask(fleet, "stats")["on"]
    assert [row["pid"] for row in control.ask(fleet.state, {"cmd": "status"})["servers"]] == pids


def test_nobody_hears_of_anothers_answers(fleet: Fleet) -> None:
    call(fleet, READ)
    assert "a hit (ram)" in omnimind(fleet, "explain", "memory", "read_graph")
    subprocess.run(
        [sys.executable, "-m", "omnimind", "token", "add", "ann", "--state", str(fleet.state)], check=True
    )
    said = omnimind(fleet, "explain", "memory", "read_graph", "--principal", "ann")
    assert "memory read_graph for ann: no hit. It goes to memory" in said
