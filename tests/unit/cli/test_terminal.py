"""Colour only where it is wanted, and no control characters from servers."""

from __future__ import annotations

import io

import pytest

from omnimind.cli import terminal


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "environment", "colored"),
    [
        (Terminal(), {}, True),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"NO_COLOR": ""}, True),
        (Terminal(), {"TERM": "dumb"}, False),
        (io.StringIO(), {}, False),
    ],
)
def test_colour_needs_a_terminal_that_wants_it(
    stream: io.StringIO, environment: dict[str, str], colored: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert ("\x1b[" in terminal.paint("x", "red", stream)) is colored


def test_a_table_aligns_and_shows_control_characters() -> None:
    text = terminal.table(("A", "B"), [("x", None), ("long", "c\x1b[2J\n")])
    assert text == "A     B\nx     -\nlong  c\\x1b[2J"
