"""What is in the logs is found, once, wherever it is by now; and what is not there is not found."""

from __future__ import annotations

import os
import resource
import sqlite3
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from fleet import wait_until
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp import Client
from server_session import Session

from omnimind.logfiles import segments
from omnimind.servers.logging.words import parse, tokens_of, words_of

Texts = Callable[..., list[str]]


def pages(server: Session, cursor: str | None = None, **arguments: Any) -> list[str]:
    """All pages of a search, as texts."""

    async def turn(client: Client) -> list[str]:
        found, following = [], cursor
        while True:
            more = {"cursor": following} if following else {}
            result = await client.call_tool("search_logs", {**arguments, **more})
            page = result.structured_content
            assert page is not None, result.content
            found += [one["text"] for one in page["records"]]
            following = page.get("cursor")
            assert (following is not None) == page["more"]
            if following is None:
                return found

    texts: list[str] = server.ask(turn)
    return texts


def test_words_phrases_beginnings_and_exclusions(fleet: Any, texts: Texts) -> None:
    fleet.says(
        "git", "Connection refused by host", "refused a Connection", "CONNECTED to café_au_lait", "STRASSE"
    )
    assert texts(query="connection refused") == ["refused a Connection", "Connection refused by host"]
    assert texts(query='"connection refused"') == ["Connection refused by host"]
    assert texts(query="connect*", order="oldest")[-1] == "CONNECTED to café_au_lait"
    assert texts(query="connect* -host") == ["CONNECTED to café_au_lait", "refused a Connection"]
    assert texts(query="CAFÉ") == texts(query="caf*") == texts(query="lait") == ["CONNECTED to café_au_lait"]
    assert texts(query="straße") == ["STRASSE"]
    assert texts(query="connect") == texts(query="cafe") == []


def test_levels_times_logs_and_patterns_narrow_a_search(fleet: Any, texts: Texts) -> None:
    fleet.says("git", "ERROR one", "two", "DEBUG three")
    fleet.says("memory", "WARNING four", "ERROR 5")
    assert texts(level="warning") == ["ERROR 5", "WARNING four", "ERROR one"]
    assert texts(level="error", with_unknown=True) == ["ERROR 5", "two", "ERROR one"]
    assert texts(sources=["memory"]) == ["ERROR 5", "WARNING four"]
    assert texts(pattern="^error \\d$", ignore_case=True) == ["ERROR 5"]
    assert texts(pattern="^error") == []
    all_times = [one[:29] for one in (fleet.folder / "git.log").read_text().split('"time": "')[1:]]
    assert texts(since=all_times[1], until=all_times[2]) == ["two"]
    assert texts(since="2026-11-22T10:00:04") == ["ERROR 5", "WARNING four", "DEBUG three"]
    assert texts(until="2026-11-22T11:00:02+01:00") == ["ERROR one"]


def test_records_of_several_logs_come_in_the_order_of_time(fleet: Any, logging_server: Session) -> None:
    for number in range(60):
        fleet.says(f"s{number % 3}", f"n{number}")
    wanted = [f"n{number}" for number in range(60)]
    for limit in (1, 7, 60):
        assert pages(logging_server, order="oldest", limit=limit) == wanted
        assert pages(logging_server, limit=limit) == wanted[::-1]


def test_a_span_means_the_same_moment_on_every_page(fleet: Any, logging_server: Session) -> None:
    fleet.clock.now = datetime.now(UTC) - timedelta(seconds=30)
    fleet.says("git", "one", "two", "three")
    first = logging_server.data("search_logs", since="1m", limit=1)
    assert pages(logging_server, first["cursor"], since="1m", limit=1) == ["two", "one"]
    begun = first["cursor"][9 : first["cursor"].index("~")]
    later = first["cursor"].replace(begun, f"{int(begun, 16) + 120_000:x}")
    assert pages(logging_server, later, since="1m", limit=1) == []


def test_a_clock_that_was_set_back_hides_nothing(fleet: Any, logging_server: Session) -> None:
    for number in range(30):
        if number % 7 == 6:
            fleet.clock.now -= timedelta(seconds=20)
        fleet.says(f"s{number % 2}", f"n{number}")
    for order in ("newest", "oldest"):
        assert sorted(pages(logging_server, order=order, limit=4)) == sorted(f"n{n}" for n in range(30))


def test_nothing_is_lost_or_given_twice_over_rotation_and_packing(
    fleet: Any, logging_server: Session
) -> None:
    fleet.log("git", limit_bytes=20_000, files=100)
    written = [f"n{number} {'x' * 300}" for number in range(400)]
    fleet.says("git", *written[:200])
    first = logging_server.data("search_logs", limit=90)
    backward = [one["text"] for one in first["records"]]
    forward_page = logging_server.data("search_logs", order="oldest", limit=150, query="x*")
    fleet.says("git", *written[200:])
    wait_until(lambda: fleet.packed("git"), 10, "the segments are packed")
    assert len(list(fleet.folder.glob("git.log.*.lz4"))) > 5
    backward += pages(logging_server, first["cursor"], limit=90)
    assert backward == written[:200][::-1]
    forward = [one["text"] for one in forward_page["records"]]
    forward += pages(logging_server, forward_page["cursor"], order="oldest", limit=150, query="x*")
    assert forward == written


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


def test_a_search_while_a_log_is_written_sees_whole_lines_only(fleet: Any, logging_server: Session) -> None:
    fleet.log("git", limit_bytes=30_000, files=200)
    stop = threading.Event()
    written = []

    def write() -> None:
        while not stop.is_set() and len(written) < 1500:
            written.append(f"n{len(written)} {'x' * 80} end")
            fleet.says("git", written[-1])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(4):
            before = len(written)
            found = pages(logging_server, order="oldest", limit=500)
            assert found == written[: len(found)]
            assert len(found) >= before - 1
    finally:
        stop.set()
        writer.join()


def test_a_long_line_is_cut_and_can_be_had_whole(fleet: Any, logging_server: Session) -> None:
    fleet.says("git", "before", "x" * 7000, "after")
    found = logging_server.data("search_logs", pattern="x{20}")["records"][0]
    assert (len(found["text"]), found["characters"]) == (501, 7000)
    assert found["id"] in logging_server.text("search_logs", pattern="x{20}")
    whole = logging_server.data("get_log_record", id=found["id"], before=5, after=5)["records"]
    assert [one["text"] for one in whole] == ["before", "x" * 7000, "after"]


def test_a_record_that_is_gone_is_said_to_be(fleet: Any, logging_server: Session) -> None:
    fleet.says("git", "one")
    identity = logging_server.data("search_logs")["records"][0]["id"]
    fleet.log("git").file.remove()
    fleet.says("git", "two")
    assert "rotated" in logging_server.problem("get_log_record", id=identity)
    assert "id" in logging_server.problem("get_log_record", id="nonsense")
    assert "no such record" in logging_server.problem("get_log_record", id="../../etc/passwd:1.0")


def test_what_cannot_be_asked_is_said_with_what_can(fleet: Any, logging_server: Session) -> None:
    fleet.says("git", "one", "two")
    cursor = logging_server.data("search_logs", limit=1)["cursor"]
    said = logging_server.problem
    assert "other arguments" in said("search_logs", limit=1, cursor=cursor, level="error")
    assert "no cursor" in said("search_logs", order="oldest", cursor=cursor)
    assert "no cursor" in said("search_logs", cursor="xyz")
    assert "did you mean git" in said("search_logs", sources=["gitt"])
    assert "not available here" in said("search_logs", sources=["@journal"])
    assert "10m" in said("search_logs", since="yesterday")
    assert "10m" in said("search_logs", until="99999999999w")
    assert "pattern" in said("search_logs", query="!!")
    assert "look-around" in said("search_logs", pattern="(?=a)")
    assert "look-around" in said("search_logs", pattern="(")
    assert "1,000" in said("search_logs", pattern="a" * 1001)
    assert "500" in said("search_logs", query="a" * 501)
    assert "20" in said("search_logs", query="a " * 21)


def test_a_name_of_a_log_is_no_path(fleet: Any, logging_server: Session, tmp_path: Path) -> None:
    (tmp_path / "outside.log").write_text(
        '{"time": "2026-11-22T10:00:00.000+00:00", "server": "x", "line": "no"}\n'
    )
    for name in ("../outside", "/etc/passwd", "git/../../outside", "@records/../../../outside"):
        assert "there is no log" in logging_server.problem("search_logs", sources=[name])


def test_lines_that_are_no_records_are_shown_as_they_are(fleet: Any, texts: Texts) -> None:
    fleet.says("git", "one")
    with (fleet.folder / "git.log").open("ab") as file:
        file.write(
            b'not json\n{"time": "2026-11-22T10:00:02.000+00:00", "server": "git"}\n[1]\n\xff\xfe raw\n{"line": 7}\n'
        )
    assert len(texts()) == 6
    assert texts(query="raw") == ["\ufffd\ufffd raw"]


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


def test_segments_that_vanish_or_are_damaged_stop_nothing(
    fleet: Any, logging_server: Session, texts: Texts
) -> None:
    fleet.log("git", limit_bytes=20_000, files=100)
    fleet.says("git", *(f"n{number} {'x' * 300}" for number in range(300)))
    wait_until(lambda: fleet.packed("git"), 10, "the segments are packed")
    parts = [path for _, path in segments.segments(fleet.folder / "git.log")]
    parts[0].write_bytes(parts[0].read_bytes()[:200])
    parts[1].write_bytes(b"nothing of the kind")
    parts[2].unlink()
    found = pages(logging_server, limit=500)
    assert found[0].startswith("n299 ")
    assert 140 < len(found) < 200, "what is whole is found"


@pytest.mark.parametrize("name", ["git.log", "git.log.1"])
def test_a_log_that_is_no_file_is_passed_over(fleet: Any, texts: Texts, name: str) -> None:

    os.mkfifo(fleet.folder / name)
    fleet.says("memory", "one")
    assert texts() == ["one"]


def test_many_segments_need_few_descriptors_and_too_many_logs_are_said_to_be(
    fleet: Any, logging_server: Session
) -> None:
    fleet.log("git", limit_bytes=4096, files=200)
    fleet.says("git", *(f"n{number} {'x' * 300}" for number in range(1000)))
    wait_until(lambda: fleet.packed("git"), 10, "the segments are packed")
    used = len(os.listdir("/proc/self/fd"))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 40, hard))
    try:
        assert len(pages(logging_server, limit=500)) == 1000
        fleet.says("memory", "one")
        for number in range(60):
            (fleet.folder / f"s{number}.log").write_bytes((fleet.folder / "memory.log").read_bytes())
        assert "fewer" in logging_server.problem("search_logs")
        assert len(logging_server.data("search_logs", sources=["s1", "s2"])["records"]) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(os.listdir("/proc/self/fd")) <= used + 10, "none is left open"


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


def test_many_searches_at_once_find_the_same(fleet: Any, logging_server: Session) -> None:
    fleet.log("git", limit_bytes=100_000)
    fleet.says("git", *(f"line {number} {'x' * 300}" for number in range(1200)))

    async def together(client: Client) -> list[list[str]]:
        found: list[list[str]] = []

        async def one(number: int) -> None:
            asked = (
                {"query": f"line {number}", "limit": 3}
                if number % 2
                else {"level": "debug", "with_unknown": True}
            )
            result = await client.call_tool("search_logs", asked)
            assert result.structured_content is not None, result.content
            found.append([one["text"][:9].strip() for one in result.structured_content["records"]][:1])

        async with anyio.create_task_group() as tasks:
            for number in range(1001, 1021):
                tasks.start_soon(one, number)
        return found

    found = sorted(logging_server.ask(together))
    assert found == sorted([[f"line {n}"] for n in range(1001, 1021, 2)] + [["line 1199"]] * 10)


def test_a_long_work_tells_how_far_it_is(fleet: Any, logging_server: Session) -> None:
    record = (
        '{"time": "2026-11-22T10:00:00.000+00:00", "server": "git", "pid": 1, "line": "n%d of %d told"}\n'
    )
    (fleet.folder / "git.log").write_text("".join(record % (number, number * 7) for number in range(60_000)))
    told: list[float] = []

    async def progress(done: float, total: float | None, message: str | None) -> None:
        told.append(done)
        assert message is not None
        assert message.endswith("bytes read")

    async def ask(client: Client) -> Any:
        return await client.call_tool("log_templates", {}, progress_callback=progress)

    assert logging_server.ask(ask).structured_content["lines"] == 60_000
    assert told == sorted(told)
    assert told
    assert told[-1] <= (fleet.folder / "git.log").stat().st_size
