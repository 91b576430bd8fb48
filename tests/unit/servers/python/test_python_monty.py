"""The fast tier: what goes to it, what comes back, and what it leaves to the jail."""

from __future__ import annotations

import time
from typing import Any

import pytest
from server_session import Session

from omnimind.servers.python import subset
from omnimind.servers.python.inside import fast

pytestmark = pytest.mark.skipif(subset.monty() is None, reason="pydantic-monty is not installed")


def run(python: Session, code: str, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = python.call("execute", code=code, **more).structured_content or {}
    return found


@pytest.fixture
def warm(python: Session) -> Session:
    run(python, "1", engine="monty")
    return python


@pytest.mark.parametrize(
    ("code", "value", "stdout"),
    [
        ("print('hi')\nx = 2\nx * 21", "42", "hi\n"),
        ("import math\nround(math.pi, 3)", "3.142", ""),
        ("{'a': [1, (2,)], 'b': None}", "{'a': [1, (2,)], 'b': None}", ""),
        ("sum(n * n for n in range(10)); 'é'", "'é'", ""),
        ("(1 + 2)  # a comment", "3", ""),
        ("x = 1; x", "1", ""),
        ("None", None, ""),
        ("x = 5", None, ""),
        ("", None, ""),
        ("[\n  1,\n  2,\n]", "[1, 2]", ""),
    ],
)  # fmt: skip
def test_both_engines_say_the_same(warm: Session, code: str, value: str | None, stdout: str) -> None:
    for engine in ("auto", "monty", "jail"):
        found = run(warm, code, engine=engine)
        assert (found.get("value"), found["stdout"], found["ok"]) == (value, stdout, True), (engine, found)
        assert found["engine"] == ("jail" if engine == "jail" else "monty")


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("import string\nstring.digits", "'0123456789'"),
        ("def f():\n    yield 1\nlist(f())", "[1]"),
        ("type(object()).__name__", "'object'"),
        ("import os\nos.getcwd()[:1]", "'/'"),
        ("x = [1]\ndel x[0]\nx", "[]"),
        ("eval('1 + 1')", "2"),
        ("open('x', 'w').write('y')", "1"),
    ],
)  # fmt: skip
def test_what_the_fast_tier_cannot_do_is_done_in_the_jail(warm: Session, code: str, value: str) -> None:
    found = run(warm, code)
    assert (found["engine"], found.get("value")) == ("jail", value)


def test_an_error_is_always_that_of_cpython(warm: Session) -> None:
    found = run(warm, "print('before')\n{}['x']")
    assert (found["engine"], found["error"]["type"], found["stdout"]) == ("jail", "KeyError", "before\n")


def test_an_error_of_the_fast_tier_shows_the_lines_of_the_code(warm: Session) -> None:
    error = run(warm, "def f():\n    return 1 / 0\n\nf()", engine="monty")["error"]
    assert (error["type"], error["line"]) == ("ZeroDivisionError", 2)
    assert (
        'line 4, in <module>\n    f()\n  File "<cell 1>", line 2, in f\n    return 1 / 0\n'
        in error["traceback"]
    )
    assert "omnimind_value" not in error["traceback"]


def test_long_work_is_begun_in_the_fast_tier_and_done_in_the_jail(warm: Session) -> None:
    found = run(warm, "n = 0\nwhile n < 8000000: n += 1\nn")
    assert (found["engine"], found["value"]) == ("jail", "8000000")


def test_its_limits_hold(warm: Session) -> None:
    assert run(warm, "while True: pass", engine="monty", timeout_s=0.2)["ended"] == "timeout"
    assert run(warm, "x = [0] * 10**9", engine="monty")["error"]["type"] == "MemoryError"
    assert "PermissionError" in run(warm, "open('/etc/passwd').read()", engine="monty")["error"]["type"]
    assert run(warm, "2", engine="monty")["value"] == "2"


def test_nothing_is_kept_from_one_call_to_the_next_in_it(warm: Session) -> None:
    run(warm, "kept = 1", engine="monty")
    assert run(warm, "kept", engine="monty")["error"]["type"] == "NameError"


def test_the_wrapped_source_keeps_its_lines() -> None:
    source = "x = 'é'\n(\n x,\n 1\n)  # end"
    wrapped = fast.with_result(source)
    assert wrapped == "x = 'é'\nomnimind_value = ((\n x,\n 1\n))  # end"
    for nothing in ("x = 1", "", "def f(): pass", "# only a comment"):
        assert fast.with_result(nothing) is None


def test_what_fits_is_told_from_the_source_alone() -> None:
    for fits in ("1", "import json, math", "from re import match", "[n for n in 'x']", "def f(): return 1"):
        assert subset.fits(fits)
    for not_so in (
        "import os",
        "from .x import y",
        "await f()",
        "open('x')",
        "def f(): yield",
        "del x",
        "(",
        "\0",
    ):
        assert not subset.fits(not_so)
    assert not subset.fits("-" * 100_000 + "1")
    assert subset.plots("import matplotlib.pyplot as plt")
    assert not subset.plots("'matplotlib'")


@pytest.mark.roomy
def test_the_fast_tier_is_fast(warm: Session) -> None:
    """A guard against hangs and lost warmth: the bar itself is measured where nothing else runs."""
    figures = sorted(run(warm, "1 + 1", engine="monty")["duration_ms"] for _ in range(20))
    assert figures[10] < 10
    started = time.monotonic()
    slow = sorted(run(warm, "1 + 1", engine="jail")["duration_ms"] for _ in range(20))
    assert figures[10] < slow[10] < 150
    assert time.monotonic() - started < 30
