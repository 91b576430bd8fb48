"""Tokens are counted exactly, whatever the text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from omnimind.compression import tokens


def test_counts_are_those_of_the_vocabulary() -> None:
    assert tokens.TOKENIZER == "o200k_base"
    assert tokens.count("The quick brown fox jumps over the lazy dog.") == 10


def test_a_lone_surrogate_counts_as_what_would_be_sent_in_its_place() -> None:
    assert tokens.count("a\ud800b") == tokens.count("a?b")


@given(st.text(max_size=200), st.text(max_size=200))
def test_a_line_break_between_words_parts_the_count(first: str, second: str) -> None:
    """What a budget relies on: a text costs at most the sum of its lines and their ends."""
    lines = [first.replace("\n", " ").strip(), second.replace("\n", " ").strip()]
    whole = tokens.count("\n".join(lines))
    assert whole <= tokens.count(lines[0]) + tokens.count("\n") + tokens.count(lines[1]) + 1
