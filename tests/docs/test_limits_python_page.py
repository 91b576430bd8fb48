"""The page about limits for Python programs: what it shows is run, from top to bottom."""

from __future__ import annotations

from pathlib import Path

import pytest

from omnimind.limits import face
from tests.docs.pages import blocks, table
from tests.fleet import ROOT

PAGE = ROOT / "docs" / "limits-python.md"


def test_what_the_page_shows_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    program = "\n".join(blocks(PAGE, "python"))
    exec(compile(program, PAGE.name, "exec"), {"__name__": "page"})


def test_every_setting_is_on_the_page() -> None:
    shown = {name.strip() for row in table(PAGE, "setting") for name in row[0].split(",")}
    code = face.RateLimiter.__new__.__code__
    names = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]
    assert shown == set(names)
