"""Counts and templates: what they say is what is in the logs."""

from __future__ import annotations

from typing import Any

from server_session import Session


def test_counts_are_the_same_by_the_index_and_by_reading(fleet: Any, logging_server: Session) -> None:
    fleet.log("git", limit_bytes=300_000)
    for number in range(2000):
        fleet.says("git", f"{('ERROR', 'INFO', 'plain')[number % 3]} n{number} {'x' * 200}")
    fleet.says("memory", "WARNING one", "two")
    counted = logging_server.data("log_stats", bucket="1d")
    assert (counted["total"], counted["complete"]) == (2002, True)
    git, memory = counted["bySource"]
    assert (git["source"], git["levels"]) == ("git", {"error": 667, "info": 667, "unknown": 666})
    assert memory["levels"] == {"warning": 1, "unknown": 1}
    by_minutes = logging_server.data("log_stats", bucket="10m")
    assert sum(one["total"] for one in by_minutes["byTime"]) == 2002
    assert [one["begin"][11:16] for one in by_minutes["byTime"]] == [f"10:{m}0" for m in range(6)] + ["11:00"]
    assert by_minutes["byTime"][1]["total"] == 300, "a line every two seconds"
    only = logging_server.data("log_stats", level="error", since="2026-11-22T10:10", until="2026-11-22T10:20")
    assert only["bySource"] == [{"source": "git", "total": 100, "levels": {"error": 100}}]
    assert logging_server.data("log_stats", query="n17")["total"] == 1
    assert "1,000 buckets" in logging_server.problem("log_stats", bucket="1s")


def test_lines_that_differ_in_names_and_numbers_are_one_template(fleet: Any, logging_server: Session) -> None:
    for number in range(30):
        fleet.says("git", f"INFO request {number} of user{number} took {number * 7} ms from 10.0.0.{number}")
        fleet.says("memory", f"stored {'abcdef'[number % 6]} in db")
    fleet.says("git", "ERROR disk is full")
    result = logging_server.data("log_templates")
    counts = {one["template"]: one["count"] for one in result["templates"]}
    assert counts == {
        "INFO request <*> of <*> took <*> ms from <*>": 30,
        "stored <*> in db": 30,
        "ERROR disk is full": 1,
    }
    assert logging_server.data("log_templates", sort="rare", limit=1)["templates"][0]["levels"] == {
        "error": 1
    }
    first = result["templates"][0]
    assert (
        logging_server.data("get_log_record", id=first["sampleId"])["records"][0]["text"] == first["sample"]
    )
    assert logging_server.data("log_templates", limit=1, offset=1)["found"] == 3


def test_what_is_new_is_what_was_never_said_before(fleet: Any, logging_server: Session) -> None:
    fleet.says("git", *(f"request {number} done" for number in range(10)), "ERROR old trouble 1")
    moment = fleet.clock().isoformat()
    fleet.says(
        "git", *(f"request {number} done" for number in range(10)), "ERROR old trouble 2", "ERROR new one"
    )
    new = logging_server.data("log_templates", new_since=moment)
    assert [one["template"] for one in new["templates"]] == ["ERROR new one"]
    assert (new["found"], new["lines"], new["complete"]) == (1, 23, True)


def test_a_line_without_end_is_one_template(fleet: Any, logging_server: Session) -> None:
    fleet.says("git", "x" * 8000, "1a" * 4000, " ".join("a" * 4000), "")
    assert logging_server.data("log_templates")["lines"] == 4


def test_the_list_of_logs_says_what_there_is(fleet: Any, logging_server: Session) -> None:
    fleet.says("git", "one")
    logging_server.data("append_log", message="mine")
    listed = logging_server.data("log_sources")
    git, own = listed["sources"]
    assert (git["name"], git["kind"], git["files"]) == ("git", "server", 1)
    assert git["first"] == "2026-11-22T10:00:01.000+00:00"
    assert git["bytes"] == (fleet.folder / "git.log").stat().st_size
    assert (own["name"], own["records"]) == ("@records", 1)
    assert listed["journald"] == "available" or listed["journald"].startswith("not available here: ")
