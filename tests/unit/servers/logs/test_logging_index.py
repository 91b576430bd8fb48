"""The index decides nothing: with it, without it and with a damaged one the same is found."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from log_pages import Texts, pages
from server_session import Session

from omnimind.servers.logging.words import parse, tokens_of, words_of


def test_the_index_finds_what_a_scan_finds(fleet: Any, logging_server: Session, tmp_path: Path) -> None:
    fleet.log("git", limit_bytes=150_000, files=100)
    words = [
        "Ärger",
        "alpha",
        "beta_9",
        "ΣΊΣΥΦΟΣ",
        "x-request-id",
        "10.0.0.7",
        "ERROR",
        "z" * 70,
        "\t<tab>",
        '"q"',
    ]
    for number in range(1500):
        fleet.says(
            "git", " ".join(words[(number * k) % len(words)] for k in (1, 3, 7)) + f" n{number} {'pad ' * 60}"
        )
    asked = [
        "alpha",
        "ärger",
        "σίσυφος",
        "beta",
        "9",
        "request -alpha",
        '"0 0 7"',
        "n14*",
        "zzzz*",
        "z" * 70,
        "tab",
        "q",
    ]
    scanned = {}
    (tmp_path / "db" / "logging" / "index.db").mkdir(parents=True)  # so that there can be no index
    for query in asked:
        scanned[query] = pages(logging_server, query=query, limit=500)
        assert scanned[query], query
    (tmp_path / "db" / "logging" / "index.db").rmdir()
    for query in asked:
        assert pages(logging_server, query=query, limit=500) == scanned[query]
    rows = (
        sqlite3.connect(tmp_path / "db" / "logging" / "index.db")
        .execute("SELECT count(*) FROM blocks")
        .fetchone()
    )
    assert rows[0] > 5
    read = logging_server.data("search_logs", query="nowhere")["bytesRead"]
    assert read < 64 * 1024 * 2, "blocks without the word are not read"


def test_what_was_reset_is_found_no_more_and_what_came_after_is(
    fleet: Any, logging_server: Session, texts: Texts
) -> None:
    fleet.log("git", limit_bytes=100_000)
    fleet.says("git", *(f"old {number} {'x' * 300}" for number in range(600)))
    assert texts(query="old")
    cursor = logging_server.data("search_logs", limit=5)["cursor"]
    fleet.log("git").file.remove()
    fleet.says("git", *(f"new {number} {'x' * 300}" for number in range(600)))
    assert texts(query="old") == []
    assert len(pages(logging_server, query="new", limit=500)) == 600
    late = logging_server.data("search_logs", limit=5, cursor=cursor)
    assert (late["records"], late["more"]) == ([], False)
    assert "removed since" in late["note"]


def test_a_damaged_index_is_made_again(
    fleet: Any, logging_server: Session, texts: Texts, tmp_path: Path
) -> None:
    fleet.says("git", *(f"line {number} {'x' * 300}" for number in range(600)))
    index = tmp_path / "db" / "logging" / "index.db"
    assert texts(query="599")
    for damage in (b"no database", index.read_bytes()[:4096] + b"\xff" * 40_000):
        for leftover in index.parent.glob("index.db*"):
            leftover.unlink()
        index.write_bytes(damage)
        for _ in range(3):
            assert [text[:8] for text in texts(query="599")] == ["line 599"]
    assert index.read_bytes()[:6] == b"SQLite"


def test_an_index_that_another_process_holds_is_not_waited_for(
    fleet: Any, texts: Texts, tmp_path: Path
) -> None:
    fleet.says("git", *(f"line {number} {'x' * 300}" for number in range(600)))
    assert texts(query="599")
    other = sqlite3.connect(tmp_path / "db" / "logging" / "index.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    fleet.says("git", *(f"line {number} {'x' * 300}" for number in range(600, 1200)))
    assert [text[:9] for text in texts(query="1199")] == ["line 1199"]
    other.close()


@settings(max_examples=200, deadline=None)
@given(st.text(min_size=1, max_size=40))
def test_every_word_of_a_line_finds_it(line: str) -> None:
    data = sqlite3.connect(":memory:")
    data.execute("CREATE VIRTUAL TABLE words USING fts5(said, tokenize='ascii', detail='none', columnsize=0)")
    data.execute("INSERT INTO words VALUES (?)", (tokens_of(words_of(line)),))
    for word in words_of(line):
        for asked in (word, word[:1] + "*", f'"{word}"'):
            query = parse(asked)
            assert query.keeps(line)
            assert data.execute(
                "SELECT count(*) FROM words WHERE words MATCH ?", (query.match,)
            ).fetchone() == (1,)


def test_logs_of_servers_that_are_no_more_leave_the_index(fleet: Any, texts: Texts, tmp_path: Path) -> None:
    for name in ("git", "memory"):
        fleet.says(name, *(f"line {number} {'x' * 300}" for number in range(600)))
    assert len(texts(query="577")) == 2
    fleet.log("git").file.remove()
    assert len(texts(query="577", sources=["memory"])) == 1
    data = sqlite3.connect(tmp_path / "db" / "logging" / "index.db")
    assert data.execute("SELECT DISTINCT log FROM parts").fetchall() == [("memory",)]
    blocks, words = (
        data.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("blocks", "words")
    )
    assert blocks == words > 1
