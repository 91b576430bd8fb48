"""Columns hold whatever others wrote: wide letters, accents, what cannot be printed, numbers of any length."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnimind.cli.terminal import printable
from omnimind.pictures.columns import LABEL, WIDTH, count, cut, labelled, rate, row, width


@pytest.mark.parametrize(
    ("text", "columns"),
    [("", 0), ("memory", 6), ("伺服器", 6), ("e\u0301", 1), ("🚀", 2), ("a\x1bb", 6), ("\u200b", 6)],
)
def test_width_is_what_a_terminal_shows(text: str, columns: int) -> None:
    assert width(text) == columns


@given(st.text(max_size=120), st.integers(2, 80))
def test_what_is_cut_fits_as_it_is_shown(text: str, room: int) -> None:
    kept = cut(text, room)
    assert width(kept) <= room
    assert width(printable(kept)) == width(kept)
    whole = text.replace("\n", " ").replace("\t", " ")
    assert kept == whole or (kept.endswith("…") and whole.startswith(kept[:-1]))


@given(st.text(max_size=400), st.sampled_from(["", "note", "calls"]))
def test_labelled_words_are_all_there_in_lines_that_fit(words: str, label: str) -> None:
    lines = labelled(label, words)
    assert lines
    assert all(width(line) <= WIDTH for line in lines)
    assert lines[0].startswith(label)
    assert all(line.startswith(" " * LABEL) for line in lines[1:])
    assert "".join(line[LABEL:] for line in lines).replace(" ", "") == "".join(words.split())


@given(st.integers(0, 10**21), st.integers(7, 12))
def test_a_number_keeps_a_blank_before_it(number: int, room: int) -> None:
    for shown in (count(number, room), rate(number, room)):
        assert len(shown) < room
        digits, unit = shown.replace(",", "").split(".")[0].rstrip("kMGTP"), shown[-1]
        factor = {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}.get(unit, 1)
        assert abs(int(digits) * factor - number) < max(factor, 1)


def test_a_row_is_as_wide_as_its_columns() -> None:
    assert row(["伺服器", "1", "2.5"], (10, 4, 6)) == "伺服器       1   2.5"
    assert row(["a name that is too long", "1"], (10, 4)) == "a name t…    1"
