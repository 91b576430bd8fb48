"""A pattern of a stranger holds nobody up: it costs linear time, and what takes long is cut at its deadline."""

from __future__ import annotations

import time
from typing import Any

import pytest
from server_session import Session

from omnimind._core import LineMatcher
from omnimind.servers.logging import walk
from omnimind.servers.logging.sources import Reader, Sources
from omnimind.servers.logging.wanted import Budget, made

BOMBS = ["(a+)+$", "(a|aa)+$", "(a|a)*b", "(.*a){25}$", "^(([a-z])+.)+[A-Z]([a-z])+$", "(a*)*(a*)*(a*)*!"]


@pytest.mark.roomy
@pytest.mark.parametrize("pattern", BOMBS)
def test_what_explodes_elsewhere_is_answered(fleet: Any, logging_server: Session, pattern: str) -> None:
    fleet.says("git", *("a" * 8000 for _ in range(5)))
    began = time.monotonic()
    logging_server.data("search_logs", pattern=pattern)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("pattern", ["a{1000}{1000}", r"(\w{100}){100}", "(" * 300 + ")" * 300])
def test_a_pattern_that_is_too_large_is_refused(logging_server: Session, pattern: str) -> None:
    assert "cannot be used" in logging_server.problem("search_logs", pattern=pattern)


@pytest.mark.roomy
def test_a_list_of_lines_is_searched_until_time_is_over() -> None:
    slow = LineMatcher("(?:[ab]*a[ab]{300}c)|(?:[ab]*b[ab]{299}d)")
    lines = [b"ab" * 4000] * 3000
    began = time.monotonic()
    found, looked = slow.filter(lines, 100)
    assert time.monotonic() - began < 5
    assert 0 < looked <= 3000
    assert found == []
    assert LineMatcher("B", ignore_case=True).filter([b"a", b"b", b"xB"], 1000) == ([1, 2], 3)


def test_a_search_that_was_cut_goes_on_where_it_was(fleet: Any) -> None:
    """Cut after every line: the pages together are all records, each once."""
    fleet.log("git", limit_bytes=30_000)
    written = [f"n{number} {'x' * 60}" for number in range(500)]
    fleet.says("git", *written)
    sources, reader = Sources(fleet.state), Reader("local", True)
    wanted = made(fleet.clock(), pattern="n\\d*7 ")
    for backward in (True, False):
        found: list[str] = []
        places: dict[str, str] | None = None
        turns = 0
        while True:
            ticks = iter(range(10_000))
            with sources.opened(reader, ["git"]) as opened:
                budget = Budget(2.5, clock=lambda ticks=ticks: float(next(ticks)))  # type: ignore[misc]
                page = walk.page(opened, wanted, budget, limit=500, backward=backward, places=places)
            found += [record.text for record in page.records]
            places = page.places
            turns += 1
            if not page.more:
                break
        matching = [text for text in written if text.split()[0].endswith("7")]
        assert found == (matching[::-1] if backward else matching)
        assert turns > 2
