"""Glob patterns against what the reference server's library (minimatch, with dot) answers."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnimind.servers.filesystem.glob import excluder, expand, matcher
from omnimind.servers.problem import Problem

CASES = [
    ("*.py", "a.py", True),
    ("*.py", "b/a.py", False),
    ("**/*.py", "a.py", True),
    ("**/*.py", "b/c/a.py", True),
    ("b/**", "b/c/a.py", True),
    ("b/**/a.py", "b/a.py", True),
    ("!*.py", "a.txt", True),
    ("!*.py", "a.py", False),
    ("!!*.py", "a.py", True),
    (r"\!a", "!a", True),
    (r"\*.{a,b\,c}", "*.b,c", True),
    (r"\*", "a", False),
    (r"[\]x]", "]", True),
    (r"\ab", "ab", True),
    ("**", "anything/at/all", True),
    ("b/**", "b", False),
    ("**/b/**", "a/b", False),
    ("*", ".hidden", True),
    ("a?c", "abc", True),
    ("a?c", "a/c", False),
    ("[a-c].txt", "b.txt", True),
    ("[!a-c].txt", "b.txt", False),
    ("*.{js,ts}", "x.ts", True),
    ("{src,lib}/**/*.{a,b}", "lib/x/y.b", True),
    ("{src,lib}/**/*.{a,b}", "bin/x/y.b", False),
    ("**/node_modules/**", "a/node_modules/b/c", True),
    ("a.py", "xa.py", False),
    ("A.py", "a.py", False),
    ("**/**/**/a", "a", True),
]


@pytest.mark.parametrize(("pattern", "path", "expected"), CASES)
def test_a_pattern_matches_what_it_says(pattern: str, path: str, expected: bool) -> None:
    assert matcher(pattern)(path) is expected


def test_a_plain_name_is_excluded_anywhere_where_asked() -> None:
    assert excluder(["build"], anywhere=True)("a/build/c")
    assert not excluder(["build"], anywhere=False)("a/build/c")
    assert not excluder(["*.o"], anywhere=True)("a/b.o")
    assert not excluder([], anywhere=True)("a")


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("*a" * 200 + "b", "a" * 250),
        ("**/" * 300 + "b", "/".join("a" * 60)),
        ("*?" * 300, "a" * 255),
        ("[" * 500, "a"),
    ],
)
def test_a_hostile_pattern_takes_no_time(pattern: str, path: str) -> None:
    before = time.process_time()
    matcher(pattern)(path)
    assert time.process_time() - before < 0.5


def test_too_much_is_refused_with_the_number() -> None:
    with pytest.raises(Problem, match="1,024"):
        matcher("x" * 2000)
    with pytest.raises(Problem, match="256"):
        matcher("{a,b}" * 20)
    with pytest.raises(Problem, match="100"):
        excluder(["x"] * 101, anywhere=True)


def test_braces_stand_for_their_alternatives() -> None:
    assert sorted(expand("{a,b{c,d}}x")) == ["ax", "bcx", "bdx"]
    assert expand("{a}") == ["{a}"]


@given(st.lists(st.text(alphabet="ab.", min_size=1, max_size=4), min_size=1, max_size=5))
def test_every_path_matches_itself_and_two_stars(parts: list[str]) -> None:
    path = "/".join(parts)
    assert matcher(path)(path)
    assert matcher("**")(path)
    assert matcher(f"**/{parts[-1]}")(path)
