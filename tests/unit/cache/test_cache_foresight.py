"""The predictive level: a function's next call is made ahead where it can be told, and never in the caller's way."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from omnimind.cache import Cache

Job = Callable[[], None]


class Reader:
    """A directory of files, its two functions, and what runs ahead of them."""

    def __init__(self, prefetch: Callable[[Job], object]) -> None:
        self.cache: Cache[bytes, Any] = Cache(("ram", "predictive"), prefetch=prefetch)
        self.calls: list[str] = []
        self.entries = self.cache.memoize(predict=True)(self._entries())
        self.text = self.cache.memoize(predict=True)(self._text())

    def _entries(self) -> Callable[[str], list[str]]:
        def entries(folder: str) -> list[str]:
            time.sleep(0.002)
            return [f"{folder}/{name}" for name in "abcdef"]

        return entries

    def _text(self) -> Callable[[str], str]:
        def text(path: str) -> str:
            self.calls.append(path)
            time.sleep(0.002)
            return f"text of {path}"

        return text

    def go_through(self, folder: str) -> None:
        for path in self.entries(folder):
            assert self.text(path) == f"text of {path}"


def test_going_through_a_list_is_foreseen_and_answered_in_advance() -> None:
    reader = Reader(lambda job: job())
    for number in range(30):
        reader.go_through(f"folder {number}")
    stats = reader.cache.stats()["predictive"]
    assert stats.hits > 10
    assert stats.hits > stats.misses * 4
    assert len(reader.calls) == len(set(reader.calls)) + stats.misses


def test_what_is_asked_ahead_runs_where_the_owner_wants_it() -> None:
    jobs: list[Job] = []
    reader = Reader(jobs.append)
    for number in range(10):
        reader.go_through(f"folder {number}")
    assert jobs
    asked = list(reader.calls)
    assert len(asked) == 60
    jobs[0]()
    assert reader.cache.stats()["predictive"].inserts == len(jobs) <= 2


def test_a_failure_ahead_is_nobodys() -> None:
    reader = Reader(lambda job: job())
    cache: Cache[bytes, Any] = Cache(("ram", "predictive"), prefetch=lambda job: job())

    @cache.memoize(predict=True)
    def page(number: int) -> dict[str, int]:
        time.sleep(0.002)
        if number > 20:
            raise LookupError(number)
        return {"next": number + 1}

    for number in range(21):
        assert page(number) == {"next": number + 1}
    with pytest.raises(LookupError):
        page(21)
    assert reader.calls == []


def test_a_removal_makes_what_was_asked_ahead_before_it_worthless() -> None:
    jobs: list[Job] = []
    reader = Reader(jobs.append)
    for number in range(10):
        reader.go_through(f"folder {number}")
    size = len(reader.cache)
    reader.cache.clear()
    assert size > 0
    for job in jobs:
        job()
    ahead = len(reader.cache)
    assert ahead <= len(jobs)


def test_only_what_says_so_is_asked_ahead() -> None:
    with pytest.raises(ValueError, match="belong together"):
        Cache(("ram", "predictive"))
    cache: Cache[bytes, Any] = Cache()
    with pytest.raises(ValueError, match="no level 'predictive'"):
        cache.memoize(predict=True)
    foreseen: Cache[bytes, Any] = Cache(("ram", "predictive"), prefetch=lambda job: job())

    async def task(number: int) -> int:
        return number

    with pytest.raises(ValueError, match="only plain functions"):
        foreseen.memoize(predict=True)(task)
    with pytest.raises(ValueError, match="a name for each"):
        foreseen.memoize(predict=True)(lambda *numbers: numbers)
