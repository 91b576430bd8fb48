"""The page about HTTP for Python programs: what it shows is run, from top to bottom, against a server of ours."""

from __future__ import annotations

from omnimind import errors
from omnimind.pool import face
from tests.docs.pages import blocks, table
from tests.fleet import ROOT
from tests.unit.pool.origin import Answer, Asked, Origin, chunked

PAGE = ROOT / "docs" / "pool-python.md"


def answer(asked: Asked) -> Answer:
    if asked.path == "/events":
        return Answer(raw=chunked([b"data: 1\n\n"] * 3, pause_s=0.01))
    status = 201 if asked.method == "POST" else 200
    return Answer(b"[]", status, {"content-type": "application/json"})


def test_what_the_page_shows_works() -> None:
    with Origin(answer) as origin:
        program = "\n".join(blocks(PAGE, "python")).replace("https://api.example.com", origin.url)
        exec(compile(program, PAGE.name, "exec"), {"__name__": "page"})


def test_every_setting_is_on_the_page() -> None:
    shown = {name.strip() for row in table(PAGE, "setting") for name in row[0].split(",")}
    code = face.ConnectionPool.__init__.__code__
    assert shown == set(code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount])


def test_every_error_is_on_the_page() -> None:
    kinds = {kind.__name__ for kind in errors.RequestError.__subclasses__()}
    assert {row[0] for row in table(PAGE, "error")} == kinds
