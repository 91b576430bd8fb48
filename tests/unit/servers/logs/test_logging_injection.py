"""One record is one line, and says what its writer said and no more: nothing in it can forge time, log or level of
another, steer a terminal, or show a secret."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from server_session import Session

from omnimind.servers.logging.plain import plain

FORGED = '{"time": "2031-01-01T00:00:00.000+00:00", "server": "orchestrator", "pid": 1, "line": "forged"}'
ATTACKS = {
    "newline": f"first\n{FORGED}",
    "carriage return": f"good\r{FORGED}",
    "both": f"a\r\n{FORGED}\r\n",
    "colours and cursor": "\x1b[31mred\x1b[0m \x1b[2J\x1b[1;1H\x1b]0;title\x07\x1b]8;;http://x\x1b\\link",
    "one character": "\x9b31m\x9d0;t\x9c",
    "separators of Unicode": f"a\u2028{FORGED}\u2029b\x85c\x0bd\x0ce\x1c\x1d\x1ef",
    "NUL": "before\x00after",
    "turned writing": "user\u202eresu\u2066x\u2069\u200f\u061c",
    "nothing to see": "a\u200bb\u2060c\ufeffd\u00ad",
    "backspace": "safe\b\b\b\bevil\x7f",
    "JSON": FORGED,
    "a half of a quotation": 'x", "server": "git", "line": "y',
    "lone surrogates": "\ud800x\udfff",
    "tags": "\U000e0041\U000e0042",
    "one line of many": "a\n" * 50,
}


def visible(text: str) -> None:
    """Nothing in it does anything but stand there."""
    assert text.isprintable()
    assert not any(unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp", "Cs") for char in text)


@pytest.mark.parametrize("name", ATTACKS)
def test_what_a_process_prints_is_one_record_of_its_own_log(
    fleet: Any, logging_server: Session, name: str
) -> None:
    fleet.says("git", ATTACKS[name])
    result = logging_server.call("search_logs")
    records = result.structured_content["records"]  # type: ignore[index]
    assert [(one["source"], one["pid"]) for one in records] == [("git", 7)]
    assert records[0]["time"].startswith("2026-11-22T10:00")
    visible(records[0]["text"])
    shown = result.content[0].text  # type: ignore[union-attr]
    assert len(shown.splitlines()) == 2, "the record, and what is said of the page"
    for tool in ("tail_logs", "log_templates"):
        for line in logging_server.text(tool).split("\n"):
            visible(line)
    whole = logging_server.data("get_log_record", id=records[0]["id"])["records"]
    assert len(whole) == 1
    visible(whole[0]["text"])


@pytest.mark.parametrize("name", [name for name in ATTACKS if name != "lone surrogates"])
def test_what_a_client_appends_is_one_record_at_our_time(logging_server: Session, name: str) -> None:
    attack = ATTACKS[name]
    fields = {attack[:60]: attack, "time": "2031-01-01", "nested": {"x": [attack, {"y": attack}]}}
    kept = logging_server.data("append_log", message=attack, fields=fields, origin=attack)
    visible(kept["text"])
    result = logging_server.call("search_logs")
    (record,) = result.structured_content["records"]  # type: ignore[index]
    assert (record["time"], record["source"], record["level"]) == (kept["time"], "@records", "info")
    assert not record["time"].startswith("2031")
    visible(record["text"])
    visible(record["origin"])
    for text in _texts(record["fields"]):
        visible(text)
    assert len(result.content[0].text.splitlines()) == 2  # type: ignore[union-attr]


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for pair in value.items() for each in pair for text in _texts(each)]
    if isinstance(value, list):
        return [text for each in value for text in _texts(each)]
    return [value] if isinstance(value, str) else []


def test_bytes_that_are_no_text_are_shown_as_that(fleet: Any, logging_server: Session) -> None:
    fleet.says("git", "one")
    with (fleet.folder / "git.log").open("ab") as file:
        file.write(b'{"time": "2026-11-22T10:00:02.000+00:00", "server": "git", "pid": 1, ')
        file.write(b'"line": "\xff\xc3\x28 \xed\xa0\x80"}\n')
    first = logging_server.data("search_logs")["records"][0]
    assert first["text"] == "\ufffd\ufffd( \ufffd\ufffd\ufffd"


def test_events_of_the_fleet_cannot_be_forged_by_a_reason(fleet: Any, logging_server: Session) -> None:
    reason = f'exit 1: "\n{FORGED}\u2028\x1b[2J'
    entry = {"time": "2026-11-22T10:00:02.000+00:00", "event": "phase", "server": "git", "from": "ready"}
    line = json.dumps({**entry, "to": "backoff", "reason": reason}, ensure_ascii=False)
    (fleet.folder / "events.jsonl").write_text(line + "\n")
    result = logging_server.call("fleet_history", server="git")
    (record,) = result.structured_content["records"]  # type: ignore[index]
    assert (record["level"], record["origin"]) == ("warning", "git")
    for text in _texts(record):
        visible(text)
    assert len(result.content[0].text.splitlines()) == 2  # type: ignore[union-attr]
    assert logging_server.data("fleet_history", server="memory")["records"] == []
    assert len(logging_server.data("fleet_history", event="phase", since="2026-11-22")["records"]) == 1
    assert logging_server.data("fleet_history", event="gateway")["records"] == []


SECRETS = [
    ("token=abcdef1234567890", "abcdef1234567890"),
    ("Authorization: Bearer abcdef1234567890", "abcdef1234567890"),
    ("postgres://user:hunter22@db/x", "hunter22"),
    ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "ghp_abc"),
    ("tok\x1b[0men=abcdef1234567890", "abcdef1234567890"),
    ("sk-abc\x1b[31mdefghijklmnopqrstuvw", "defghijklmnop"),
]


@pytest.mark.parametrize(("text", "secret"), SECRETS)
def test_a_secret_is_not_given_out_even_if_somebody_wrote_it(
    fleet: Any, logging_server: Session, text: str, secret: str
) -> None:
    """Appended by us it is not even kept; in a file of an older fleet it is hidden when it is read."""
    (fleet.folder / "git.log").write_text(
        json.dumps({"time": "2026-11-22T10:00:02.000+00:00", "server": "git", "pid": 1, "line": text}) + "\n"
    )
    logging_server.data("append_log", message=text, fields={"said": text, "token": "abcdef1234567890"})
    shown = logging_server.text("search_logs") + logging_server.text("log_templates")
    assert secret not in shown
    assert "abcdef1234567890" not in shown
    for path in (fleet.state / "db").rglob("*.db*"):
        if "records" in path.parts:
            assert secret.encode() not in path.read_bytes()


@pytest.mark.parametrize(
    "asked", [{"query": "abcdef1234567890"}, {"pattern": "abcdef"}, {"pattern": "token=a"}, {"query": "abc*"}]
)
def test_no_question_tells_what_a_secret_was(
    fleet: Any, logging_server: Session, asked: dict[str, Any]
) -> None:
    entry = {"time": "2026-11-22T10:00:02.000+00:00", "server": "git", "pid": 1}
    line = json.dumps({**entry, "line": "login with token=abcdef1234567890 done"}) + "\n"
    (fleet.folder / "git.log").write_text(line)
    assert logging_server.data("search_logs", **asked)["records"] == []
    found = logging_server.data("search_logs", query="login -abcdef1234567890")["records"]
    assert [one["text"] for one in found] == ["login with token=[redacted] done"]


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60))
def test_every_text_becomes_one_line_that_stays_as_it_is(text: str) -> None:
    once = plain(text)
    visible(once)
    assert plain(once) == once
