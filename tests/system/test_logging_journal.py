"""journald as the logging server reads it: a real one, in a machine of its own, from behind the fence."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.systemd.machine import FULL, Machine, why_not

ASKER = Path(__file__).with_name("journal_asker.py")
MESSAGES = 25
NATIVE = r"""
import socket, struct
messages = [
    b"a\nPRIORITY=0\nMESSAGE=forged\x00 \x1b[2J \xe2\x80\xa8 \xff", b"token=abcdef1234567890", b"long " + b"x" * 100000
]
for message in messages:
    packet = b"PRIORITY=3\nSYSLOG_IDENTIFIER=bin\nMESSAGE\n" + struct.pack("<Q", len(message)) + message + b"\n"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        journal.sendto(packet, "/run/systemd/journal/socket")
"""

Call = tuple[str, dict[str, Any]]


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    if reason := why_not():
        pytest.skip(f"no throw-away machine with systemd: {reason}")
    with Machine() as running:
        numbered = "; ".join(f"echo n{number}" for number in range(MESSAGES))
        running.check(f"({numbered}) | systemd-cat -t counter -p notice", root=True)
        running.check(f"python -c {shlex.quote(NATIVE)}; journalctl --sync", root=True)
        yield running


def ask(machine: Machine, calls: dict[str, Call], *, root: bool = True) -> dict[str, Any]:
    """Answers by the names of the calls."""
    state = "/root/state" if root else "~/state"
    asked = shlex.quote(json.dumps(list(calls.values())))
    lines = machine.check(f"python {ASKER} {state} {asked}", root=root).splitlines()
    return dict(zip(calls, map(json.loads, lines), strict=True))


def search(**arguments: Any) -> Call:
    return "search_logs", {"sources": ["@journal"], **arguments}


def texts(answer: dict[str, Any]) -> list[str]:
    assert not answer["error"], answer
    return [one["text"] for one in answer["data"]["records"]]


ENTRIES = {
    "word": search(origin="counter", query="n7"),
    "level": search(origin="counter", level="error"),
    "time": search(origin="counter", level="notice", limit=100, since="1h", until="2100-01-01"),
    "pattern": search(origin="counter", pattern="^n2[34]$", order="oldest"),
    "future": search(since="2100-01-01"),
    "list": ("log_sources", {}),
    "counts": ("log_stats", {"sources": ["@journal"], "level": "notice"}),
}
BACK = {"origin": "counter", "order": "newest", "limit": 10}
ON = {**BACK, "order": "oldest"}
PAGES = {
    f"{name}{turn}": search(**page, **({"cursor": "$cursor"} if turn else {}))
    for name, page in (("back", BACK), ("on", ON))
    for turn in range(3)
} | {"last": ("get_log_record", {"id": "$id", "before": 2})}
BYTES = {
    "bytes": search(origin="bin", order="oldest"),
    "nonsense": ("get_log_record", {"id": "@journal:<s=nonsense;i=zz"}),
}


@pytest.fixture(scope="module")
def answers(machine: Machine) -> dict[str, Any]:
    """Starting a server costs more than asking it."""
    return ask(machine, {**ENTRIES, **PAGES, **BYTES})


def test_entries_are_found_by_level_name_words_and_time(answers: dict[str, Any]) -> None:
    (seven,) = answers["word"]["data"]["records"]
    assert (seven["text"], seven["level"], seven["origin"]) == ("n7", "notice", "counter")
    assert texts(answers["level"]) == texts(answers["future"]) == []
    assert texts(answers["pattern"]) == ["n23", "n24"]
    assert len(texts(answers["time"])) == MESSAGES
    assert answers["list"]["data"]["journald"] == "available"
    (journal,) = (one for one in answers["list"]["data"]["sources"] if one["kind"] == "journal")
    assert journal["first"] < journal["last"]
    assert answers["counts"]["data"]["bySource"][0]["levels"]["notice"] >= MESSAGES


def test_pages_give_each_entry_once_in_both_directions(answers: dict[str, Any]) -> None:
    wanted = [f"n{number}" for number in range(MESSAGES)]
    for name, order in (("back", wanted[::-1]), ("on", wanted)):
        pages = [answers[f"{name}{turn}"] for turn in range(3)]
        assert [text for page in pages for text in texts(page)] == order
        assert [page["data"]["more"] for page in pages] == [True, True, False]
    assert texts(answers["last"]) == wanted[-3:]


def test_an_entry_of_bytes_is_one_line_without_secrets(answers: dict[str, Any]) -> None:
    forged, secret, long = answers["bytes"]["data"]["records"]
    assert {one["level"] for one in (forged, secret, long)} == {"error"}
    assert forged["text"] == "a\\nPRIORITY=0\\nMESSAGE=forged\\x00 \\x1b[2J \\u2028 \ufffd"
    assert secret["text"] == "token=[redacted]"
    assert 500 < long["characters"] <= 100_005
    assert answers["nonsense"]["error"]
    assert "no such record" in answers["nonsense"]["text"][0]


@FULL
def test_what_comes_is_followed(machine: Machine) -> None:
    tail = ask(machine, {"tail": ("tail_logs", {"sources": ["@journal"], "lines": 1})})["tail"]
    machine.check("echo fresh | systemd-cat -t fresh; journalctl --sync", root=True)
    since = {"sources": ["@journal"], "lines": 100, "cursor": tail["data"]["cursor"]}
    page = ask(machine, {"since": ("tail_logs", since)})["since"]
    assert [one["text"] for one in page["data"]["records"] if one.get("origin") == "fresh"] == ["fresh"]


def test_who_may_not_read_it_is_told_why_or_sees_its_own(machine: Machine) -> None:
    told = ask(machine, {"list": ("log_sources", {}), "found": search(origin="counter")}, root=False)
    if told["list"]["data"]["journald"] == "available":
        assert texts(told["found"]) == []
    else:
        assert "may" in told["list"]["data"]["journald"]
        assert "not available here" in told["found"]["text"][0]
