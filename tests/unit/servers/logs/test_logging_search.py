"""What is in the logs is found, in order, once, by those words, levels and times; and what is not is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
from log_pages import Texts, pages
from mcp import Client
from server_session import Session


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
