"""The page about long results: what it shows is run, from top to bottom."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

import omnimind
from tests.docs.pages import blocks, table
from tests.fleet import ROOT

PAGE = ROOT / "docs" / "streaming-python.md"


def test_what_the_page_shows_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    program = "\n".join(blocks(PAGE, "python"))
    exec(compile(program, PAGE.name, "exec"), {"__name__": "page"})


def test_every_setting_is_on_the_page() -> None:
    shown = {row[0] for row in table(PAGE, "setting")}
    assert shown == set(inspect.signature(omnimind.stream).parameters)
