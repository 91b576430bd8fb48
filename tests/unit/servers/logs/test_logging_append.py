"""What clients append: kept, bounded, found again, and nobody else's."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from server_session import Session

from omnimind.servers.database import Databases
from omnimind.servers.logging import records
from omnimind.servers.logging.sources import Reader, Sources
from omnimind.servers.problem import Problem

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def test_a_record_is_found_by_message_field_level_and_origin(logging_server: Session) -> None:
    logging_server.data(
        "append_log", message="deploy failed", level="error", fields={"host": "a1", "took": 7}
    )
    logging_server.data("append_log", message="deploy began", origin="deployer")
    search = lambda **how: [one["text"] for one in logging_server.data("search_logs", **how)["records"]]  # noqa: E731
    assert search() == ["deploy began", "deploy failed"]
    assert search(query="a1") == search(pattern='"took": 7') == search(level="error") == ["deploy failed"]
    assert search(origin="deployer") == ["deploy began"]
    assert search(order="oldest", limit=1, query="deploy") == ["deploy failed"]
    (found,) = logging_server.data("search_logs", query="failed")["records"]
    assert found["fields"] == {"host": "a1", "took": 7}
    beside = logging_server.data("get_log_record", id=found["id"], after=1)["records"]
    assert [one["text"] for one in beside] == ["deploy failed", "deploy began"]


def test_limits_are_said_with_their_numbers(logging_server: Session) -> None:
    said = logging_server.problem
    assert "8,192 bytes, not 9,000" in said("append_log", message="x" * 9000)
    assert "empty" in said("append_log", message=" \n ")
    assert "32 fields" in said("append_log", message="x", fields={f"f{n}": n for n in range(33)})
    assert "8,192 bytes of JSON" in said("append_log", message="x", fields={"f": "x" * 9000})
    assert "64 characters" in said("append_log", message="x", fields={"f" * 65: 1})
    assert "4 levels" in said("append_log", message="x", fields={"a": [[[[["b"]]]]]})
    assert "same name" in said("append_log", message="x", fields={"a\n": 1, "a\\n": 2})
    assert logging_server.data("search_logs")["records"] == []


def consume(take: Callable[[str], None], names: list[str]) -> None:
    for name in names:
        take(name)


def test_who_appends_too_fast_is_told_when_to_come_back() -> None:
    rates = records.Rates()
    for _ in range(int(records.BURST)):
        rates.take("ann")
    with pytest.raises(Problem, match=r"20 a second.*try again in 0\.1 s"):
        consume(rates.take, ["ann"] * 50)
    rates.take("bob")


def test_the_oldest_go_when_there_is_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "KEPT_RECORDS", 100)
    databases = Databases(tmp_path, records.MIGRATIONS)
    removed = 0

    def append(data: sqlite3.Connection, text: str) -> int:
        return records.append(data, records.entry("info", text, {"n": text}, None), NOW)[2]

    for number in range(250):
        removed += databases.change("ann", lambda data, number=number: append(data, f"n{number}"))
    source = records.Records(databases, "ann", "@records", "@records")
    kept = source.kept()
    assert kept.records == 250 - removed
    assert 90 <= kept.records <= 100
    with databases.reading("ann") as data:
        assert data.execute("SELECT count(*), min(id), sum(bytes) FROM records").fetchone() == (
            kept.records,
            251 - kept.records,
            kept.bytes,
        )
        assert data.execute("SELECT count(*) FROM words WHERE words MATCH 'n0'").fetchone() == (0,)
    monkeypatch.setattr(records, "KEPT_RECORDS", 10_000)
    monkeypatch.setattr(records, "KEPT_BYTES", 50_000)
    for _ in range(20):
        databases.change("ann", lambda data: append(data, "x" * 8000))
    assert source.kept().bytes <= 50_000


def test_a_user_reads_its_own_records_and_learns_of_no_others(fleet: Any) -> None:
    fleet.says("git", "of the fleet")
    sources = Sources(fleet.state)
    for name in ("ann", "bob"):
        entry = records.entry("info", f"said by {name}", None, None)
        sources.databases.change(name, lambda data, entry=entry: records.append(data, entry, NOW))
    ann, operator = Reader("ann", False), Reader("root", True)
    assert sources.names(ann) == ["@records"]
    assert [one.name for one in sources.described(ann)] == ["@records"]
    assert set(sources.names(operator)) == {"git", "@records", "@records/ann", "@records/bob"}
    for name in ("git", "@events", "@journal", "@records/bob", "@records/ann", "nothing"):
        with pytest.raises(Problem, match="you may read @records only"):
            sources.chosen(ann, [name])
    with sources.opened(ann, ["git", "@records/bob", "@records"]) as opened:
        assert [source.name for source in opened] == ["@records"]
        assert opened[0].principal == "ann"  # type: ignore[attr-defined]
