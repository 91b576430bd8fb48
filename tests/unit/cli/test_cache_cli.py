"""`omnimind cache`: what it asks the fleet, what it makes of each answer, and every way to ask wrongly."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from fake_fleet import FakeFleet

from omnimind import cli
from omnimind.cli import cache_words
from omnimind.errors import Exit
from omnimind.systemd import rendezvous

Capture = pytest.CaptureFixture[str]

ROOT = Path(__file__).parents[3]
STORE = {"bytes": 2_000, "max_bytes": 64_000_000, "stale_hits": 1, "evictions": 0, "refused": 0, "damaged": 0}
STATS: dict[str, Any] = {
    "ok": True,
    "on": True,
    "units": [],
    "levels": {
        "predictive": {
            "on": True,
            "observed": 9,
            "issued": 4,
            "used": 3,
            "wasted": 1,
            "cancelled": 0,
            "useful_ms": 1500.0,
            "wasted_ms": 20.0,
        },
        "ram": {**STORE, "entries": 3, "hits": 8, "misses": 1},
        "compressed": {**STORE, "entries": 0, "hits": 0, "stale_hits": 0, "misses": 0},
        "disk": {"off": "no space left on device"},
        "semantic": {"off": "no tool is configured for it"},
    },
    "servers": [
        {
            "name": "memory",
            "hits": {"ram": 6, "compressed": 1, "disk": 0},
            "stale": 1,
            "shared": 2,
            "misses": 4,
            "kept": 3,
            "changes": 5,
        }
    ],
}
MISS: dict[str, Any] = {
    "ok": True,
    "server": "memory",
    "method": "tools/call",
    "kept": True,
    "why": None,
    "hit": None,
    "key": "ab",
    "changes": 0,
    "state": "ready",
}


def asked(fleet: FakeFleet) -> dict[str, Any]:
    return fleet.asked[-1]


def says(fleet: FakeFleet, **answer: Any) -> None:
    fleet.answer = lambda _: {**MISS, **answer}


# --- stats


@pytest.mark.parametrize("argv", [["cache"], ["cache", "stats"]])
def test_stats_are_two_tables_and_the_reasons(fleet: FakeFleet, argv: list[str], capsys: Capture) -> None:
    fleet.answer = lambda _: STATS
    assert cli.main(argv) == Exit.OK
    assert asked(fleet) == {"cmd": "cache", "op": "stats"}
    levels, servers = capsys.readouterr().out.split("\n\n")
    head, *rows = [re.split(r"\s{2,}", line.strip()) for line in levels.splitlines()]
    assert head == ["LEVEL", "STATE", "ENTRIES", "BYTES", "HITS", "MISSES", "HIT RATIO"]
    assert rows[0] == ["ram", "on", "3", "2.0 KB of 64.0 MB", "9", "1", "90 %"]
    assert rows[1] == ["compressed", "on", "0", "2.0 KB of 64.0 MB", "0", "0", "-"]
    assert [row[:2] for row in rows[2:5]] == [["disk", "off"], ["semantic", "off"], ["predictive", "on"]]
    assert "disk: off: no space left on device" in levels
    assert "asked ahead 4: 3 wanted, 1 not, 0 ended; of 1.52 s of tool time 20 ms wasted" in levels
    assert servers.splitlines()[1].split() == ["memory", "7", "6", "1", "0", "1", "2", "4", "3", "5"]


def test_the_semantic_level_says_how_often_it_was_right(fleet: FakeFleet, capsys: Capture) -> None:
    tools = [
        {"server": "git", "tool": "ask", "served": 7, "checked": 5, "wrong": 1, "false_upper": 0.0042},
        {"server": "git", "tool": "find", "served": 1, "checked": 1, "wrong": 0, "false_upper": 0.001},
        {"server": "git", "tool": "other", "served": 0, "checked": 0, "wrong": 0, "false_upper": 1.0},
    ]
    levels = {**STATS["levels"], "semantic": {"entries": 12, "bytes": 3000, "tools": tools}}
    fleet.answer = lambda _: {**STATS, "levels": levels, "units": ["git"]}
    assert cli.main(["cache"]) == Exit.OK
    out = capsys.readouterr().out
    assert "3 tools; answered 8, compared with the real tool 6, of these different 1" in out
    assert "wrong answers of git ask are at most 0.42 % (95 % sure)" in out
    assert out.endswith("at their own ports units of systemd answer, with caches of their own: git\n")


def test_stats_as_json_are_what_the_gateway_said(fleet: FakeFleet, capsys: Capture) -> None:
    fleet.answer = lambda _: STATS
    assert cli.main(["cache", "--json"]) == Exit.OK
    assert json.loads(capsys.readouterr().out) == {key: STATS[key] for key in STATS if key != "ok"}


def test_a_cache_that_is_off_is_one_sentence(fleet: FakeFleet, capsys: Capture) -> None:
    fleet.answer = lambda _: {"ok": True, "on": False, "levels": {}, "servers": []}
    assert cli.main(["cache"]) == Exit.OK
    assert capsys.readouterr().out.startswith("the cache is off: every request goes to its server")


# --- flush


def test_flush_says_what_was_forgotten(fleet: FakeFleet, capsys: Capture) -> None:
    fleet.answer = lambda request: {"ok": True, "flushed": [request["server"] or "all of them"]}
    assert cli.main(["cache", "flush", "memory"]) == Exit.OK
    assert asked(fleet) == {"cmd": "cache", "op": "flush", "server": "memory"}
    assert cli.main(["cache", "flush"]) == Exit.OK
    assert capsys.readouterr().out == "flushed: memory\nflushed: all of them\n"
    assert cli.main(["cache", "flush", "--json"]) == Exit.OK
    assert json.loads(capsys.readouterr().out) == {"flushed": ["all of them"]}


# --- explain: the question


@pytest.mark.parametrize(
    ("words", "server", "method", "params"),
    [
        (["memory", "read_graph"], "memory", "tools/call", {"name": "read_graph", "arguments": {}}),
        (["memory", "f", '{"a": 1}'], "memory", "tools/call", {"name": "f", "arguments": {"a": 1}}),
        (["memory__f", '{"a": 1}'], None, "tools/call", {"name": "memory__f", "arguments": {"a": 1}}),
        (["memory__f"], None, "tools/call", {"name": "memory__f", "arguments": {}}),
        (["a__b", "f"], "a__b", "tools/call", {"name": "f", "arguments": {}}),
        (["memory", "f", "-"], "memory", "tools/call", {"name": "f", "arguments": {"in": True}}),
        (["memory", "--method", "tools/list"], "memory", "tools/list", {}),
        (
            ["memory", "--method", "resources/read", '{"uri": "x:y"}'],
            "memory",
            "resources/read",
            {"uri": "x:y"},
        ),
        (["--method", "tools/list", "memory", '{"cursor": ""}'], "memory", "tools/list", {"cursor": ""}),
    ],
)
def test_explain_asks_about_the_request_that_call_would_send(
    fleet: FakeFleet,
    words: list[str],
    server: str | None,
    method: str,
    params: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO('{"in": true}'))
    says(fleet)
    assert cli.main(["cache", "explain", *words]) == Exit.OK
    question = asked(fleet)
    message = question.pop("message")
    assert question == {"cmd": "cache", "op": "explain", "server": server, "principal": "local"}
    meta = message["params"].pop("_meta")
    assert message == {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    assert meta["io.modelcontextprotocol/clientCapabilities"] == {}


def test_explain_asks_for_another_principal(fleet: FakeFleet, capsys: Capture) -> None:
    says(fleet)
    assert cli.main(["cache", "explain", "memory", "f", "--principal", "ann"]) == Exit.OK
    assert asked(fleet)["principal"] == "ann"
    assert capsys.readouterr().out.startswith("memory f for ann: no hit. It goes to memory;")


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["memory", "f", "{"], "OM0402", "the arguments are not JSON"),
        (["memory", "f", "nope"], "OM0402", "the arguments are not JSON"),
        (["memory", "f", "[]"], "OM0402", "the arguments are not a JSON object"),
        (["memory", "f", '{"a": NaN}'], "OM0402", "NaN is no number"),
        (["memory", "f", "[" * 100_000], "OM0402", "the arguments are not JSON"),
        (["memory", "f", f'{{"a": {10**30}}}'], "OM0402", "the arguments cannot be looked up"),
        (["memory", "f", '{"a": "' + 70_000 * "x" + '"}'], "OM0402", "the arguments are larger than"),
        (["memory"], "OM0100", "no tool of memory is named"),
        (["memory", "f", "--method", "tools/list"], "OM0100", "--method stands in place of a tool"),
        (["memory", "f", "{}", "more"], "OM0100", "unrecognized arguments"),
        ([], "OM0100", "required: SERVER"),
    ],
)
def test_a_question_that_cannot_be_asked_is_usage(
    fleet: FakeFleet, words: list[str], code: str, text: str, capsys: Capture
) -> None:
    assert cli.main(["cache", "explain", *words]) == Exit.USAGE
    error = capsys.readouterr().err
    assert error.startswith(f"error[{code}]: ")
    assert text in error
    assert fleet.asked == []


# --- explain: the answer


def explained(fleet: FakeFleet, capsys: Capture, **answer: Any) -> str:
    says(fleet, **answer)
    assert cli.main(["cache", "explain", "memory", "f"]) == Exit.OK
    return capsys.readouterr().out


def test_a_hit_says_where_it_is_and_how_long_it_holds(fleet: FakeFleet, capsys: Capture) -> None:
    hit = {"level": "disk", "age_ms": 1500, "left_ms": 7_200_000}
    assert explained(fleet, capsys, hit=hit) == (
        "memory f for local: a hit (disk). The answer is 1.5 s old and good for 2 h more, "
        "unless something changes before.\n"
    )


def test_a_stale_answer_says_what_it_is_still_good_for(fleet: FakeFleet, capsys: Capture) -> None:
    out = explained(fleet, capsys, hit={"level": "ram", "age_ms": 90_000, "left_ms": 0})
    assert "past its time (ram, 1.5 min old)" in out
    assert "stale_ms" in out


def test_a_miss_says_that_the_next_one_may_hit(fleet: FakeFleet, capsys: Capture) -> None:
    out = explained(fleet, capsys, changes=3)
    assert "no hit. It goes to memory; whether its answer can be kept shows when it comes." in out
    assert "What was kept of memory has become old 3 times." in out
    assert "help: make the call, and ask again" in out
    assert "old once." in explained(fleet, capsys, changes=1)


@pytest.mark.parametrize(
    ("why", "help"),
    [
        ('the server\'s hints are not trusted (trust: ["annotations"])', '"trust": ["annotations"]'),
        (
            "no time is configured for this tool (cache.tools or cache.ttl_ms)",
            '"cache": {"tools": {"f": 60000}}',
        ),
        ("the tool is not read-only", "always goes to its server"),
        ("the server has not listed this tool", "omnimind list"),
    ],
)
def test_a_reason_comes_with_the_next_step(fleet: FakeFleet, why: str, help: str, capsys: Capture) -> None:
    out = explained(fleet, capsys, kept=False, why=why)
    assert out.startswith(f"memory f for local: no hit: {why}.\nhelp: ")
    assert help in out


def test_a_server_that_is_down_is_the_reason_itself(fleet: FakeFleet, capsys: Capture) -> None:
    why = "the server has not listed this tool"
    out = explained(fleet, capsys, kept=False, why=why, state="parked")
    assert "memory is parked, so nobody can say what its tools are." in out
    assert "help: omnimind start memory" in out


def test_an_unheard_of_reason_is_shown_as_it_came(fleet: FakeFleet, capsys: Capture) -> None:
    out = explained(fleet, capsys, kept=False, why="the moon\x1b[31m")
    assert out == "memory f for local: no hit: the moon\\x1b[31m.\n"


def test_explain_as_json_is_the_answer_and_the_help(fleet: FakeFleet, capsys: Capture) -> None:
    says(fleet)
    assert cli.main(["cache", "explain", "memory__f", "--json"]) == Exit.OK
    shown = json.loads(capsys.readouterr().out)
    assert shown == {k: v for k, v in MISS.items() if k != "ok"} | {
        "tool": "f",
        "help": "make the call, and ask again",
    }


def test_what_the_gateway_refuses_is_an_error_with_a_code(fleet: FakeFleet, capsys: Capture) -> None:
    fleet.answer = lambda _: {"ok": True, "error": "Unknown tool: memory__f"}
    assert cli.main(["cache", "explain", "memory__f"]) == Exit.FAILURE
    assert capsys.readouterr().err.startswith("error[OM0405]: Unknown tool: memory__f\nhelp: the tools: ")


def test_every_reason_of_the_gateway_has_its_advice() -> None:
    room = ROOT / "rust" / "gateway" / "src" / "cache"
    policy = (room / "policy.rs").read_text().split("#[cfg(test)]")[0]
    reasons = [*re.findall(r'Err\("((?:[^"\\]|\\.)*)"\)', policy), *re.findall(r'ok_or\("([^"]*)"\)', policy)]
    assert len(reasons) >= 9
    assert {reason.replace('\\"', '"') for reason in reasons} <= set(cache_words.ADVICE)
    sources = [*room.glob("*.rs"), room.parent / "relay" / "explain.rs"]
    spelled = "".join(path.read_text() for path in sources).replace('\\"', '"')
    assert [reason for reason in cache_words.ADVICE if reason not in spelled] == []


# --- no fleet


@pytest.mark.parametrize("words", [[], ["flush"], ["explain", "memory", "f"]])
def test_without_a_fleet_it_says_how_to_start_one(words: list[str], state: Path, capsys: Capture) -> None:
    assert cli.main(["cache", *words]) == Exit.NO_FLEET
    assert capsys.readouterr().err.endswith("help: start one: omnimind up\n")


def test_a_server_that_runs_alone_has_a_cache_of_its_own(
    state: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(rendezvous, "holder", lambda _, name: os.getpid() if name == "git" else None)
    assert cli.main(["cache"]) == Exit.NO_FLEET
    error = capsys.readouterr().err
    assert error.startswith("error[OM0201]: no fleet runs; served alone, each with a cache of its own: git\n")
    assert "/metrics" in error
