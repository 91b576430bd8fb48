"""How milliseconds become the verdict of `make bar-compression-speed`; the measuring itself takes a quiet machine."""

from __future__ import annotations

import random

import pytest

from benches.compression import corpus, speed
from benches.compression.document import Document
from omnimind.compression import tokens


class Paced:
    """Takes so many milliseconds for each token."""

    def __init__(self, name: str, ms_per_token: float) -> None:
        self.name = name
        self.pace = ms_per_token
        self.seen: list[str] = []

    def compress(self, document: Document, budget: int, ratio: float) -> tuple[str, float]:
        self.seen.append(document.text)
        return "", self.pace * tokens.count(document.text)


def figures(ours: float, theirs: float, kinds: int = 2) -> list[speed.Figure]:
    return [speed.Figure(f"kind {at}", {"omnimind": ours, speed.BY_HAND: theirs}) for at in range(kinds)]


def test_a_figure_is_of_a_hundred_thousand_tokens_whatever_a_document_has() -> None:
    documents = [
        speed.made(corpus.MAKERS[0], wanted, random.Random(wanted)) for wanted in (2_000, 3_000, 9_000)
    ]
    ours, theirs = Paced("omnimind", 0.0002), Paced(speed.BY_HAND, 0.0007)
    figure = speed.measure([ours, theirs], documents)
    assert figure.ms == pytest.approx({"omnimind": 20, speed.BY_HAND: 70})
    assert figure.times == pytest.approx(3.5)
    assert ours.seen == theirs.seen == [document.text for document in documents]


def test_a_document_is_about_as_long_as_wanted() -> None:
    for maker in corpus.MAKERS:
        document = speed.made(maker, 10_000, random.Random(3))
        assert 7_000 < tokens.count(document.text) < 14_000, document.kind


def test_two_and_a_half_times_is_the_bar_of_the_longest() -> None:
    enough, less = figures(20, 50), figures(20, 49)
    assert speed.missed({100_000: enough, 10_000: less}, absolute=False) == []
    assert "2.45 times" in speed.missed({100_000: less, 10_000: enough}, absolute=False)[0]


def test_milliseconds_count_only_where_that_is_wanted() -> None:
    slow = {100_000: figures(41, 200), 10_000: figures(51, 200)}
    assert speed.missed(slow, absolute=False) == []
    missed = speed.missed(slow, absolute=True)
    assert [line.split(":")[0] for line in missed] == [
        "41.0 ms for 100,000 tokens, at most 40",
        "kind 0",
        "kind 1",
    ]


def test_a_kind_that_they_fail_on_is_in_no_mean() -> None:
    failed = speed.Figure("odd", {"omnimind": 1000.0, speed.BY_HAND: float("nan")})
    assert speed.mean([*figures(20, 60), failed], "omnimind") == 20
    assert "nan" in speed.table([*figures(20, 60), failed])
