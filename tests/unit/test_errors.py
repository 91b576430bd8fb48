"""Errors for people: stable codes, one order of lines, suggestions."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import omnimind
from omnimind.errors import CODES, OmniMindError, closest


def test_an_error_is_rendered_with_what_where_why_and_help() -> None:
    error = OmniMindError("OM0107", "port 1 is held", where="f:1:2", why="a\nb", help="free it")
    assert error.render() == "error[OM0107]: port 1 is held\n  --> f:1:2\n  | a\n  | b\nhelp: free it"
    assert "\x1b[" in error.render(color=True)
    assert str(error) == "error[OM0107]: port 1 is held (f:1:2)"


def test_a_code_that_is_not_in_the_table_cannot_be_used() -> None:
    with pytest.raises(ValueError, match="OM9999"):
        OmniMindError("OM9999", "x")


def test_every_code_in_the_source_is_in_the_table() -> None:
    package = Path(omnimind.__file__).parent
    used = {code for path in package.rglob("*.py") for code in re.findall(r"OM\d{4}", path.read_text())}
    assert used <= set(CODES)


def test_every_code_stands_in_the_guide_with_its_meaning() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "errors.md").read_text()
    described = dict(re.findall(r"^\| (OM\d{4}) \| ([^|]+?) \|", guide, re.MULTILINE))
    assert described == CODES


@pytest.mark.parametrize(
    ("word", "near"), [("comand", "command"), ("Sequential-Thinking", "sequential_thinking"), ("zzz", None)]
)
def test_the_nearest_word_is_suggested(word: str, near: str | None) -> None:
    assert closest(word, ["command", "sequential_thinking", "url"]) == near
