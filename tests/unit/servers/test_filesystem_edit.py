"""Edits: what is replaced, what the diff says, and that nothing is lost."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnimind.servers.filesystem.diff import unified
from omnimind.servers.filesystem.edit import Edit, apply_edits, edit_file, fenced
from omnimind.servers.filesystem.roots import open_roots
from omnimind.servers.problem import Problem

TEXT = st.text(alphabet="ab \n", max_size=60)


def test_the_first_of_several_places_is_changed_and_the_rest_is_told() -> None:
    changed, notes = apply_edits("x\nx\nx\n", [Edit("x", "y")])
    assert changed == "y\nx\nx\n"
    assert "3 times" in notes[0]


def test_a_passage_is_found_despite_other_indentation_and_keeps_the_files() -> None:
    before = "def f():\n    if a:\n        return 1\n"
    changed, _ = apply_edits(before, [Edit("if a:\n    return 1", "if b:\n    return 2")])
    assert changed == "def f():\n    if b:\n        return 2\n"


def test_edits_build_on_each_other_and_all_apply_or_none(tmp_path: Path) -> None:
    assert apply_edits("a", [Edit("a", "b"), Edit("b", "c")])[0] == "c"
    (tmp_path / "f").write_text("a")
    with pytest.raises(Problem, match="Could not find exact match for edit:\nabsent"):
        edit_file(open_roots([str(tmp_path)]), "f", [Edit("a", "b"), Edit("absent", "x")], False)
    assert (tmp_path / "f").read_text() == "a"


def test_an_empty_passage_is_refused() -> None:
    with pytest.raises(Problem, match="write_file"):
        apply_edits("a", [Edit("", "b")])


def test_line_ends_of_the_file_stay(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"one\r\ntwo\r\nthree")
    edit_file(open_roots([str(tmp_path)]), "f", [Edit("one\ntwo", "1\n2")], False)
    assert (tmp_path / "f").read_bytes() == b"1\r\n2\r\nthree"


def test_line_ends_that_differ_from_line_to_line_stay_so_too(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"one\r\ntwo\nthree\r\n")
    edit_file(open_roots([str(tmp_path)]), "f", [Edit("two", "2")], False)
    assert (tmp_path / "f").read_bytes() == b"one\r\n2\nthree\r\n"


def test_a_diff_says_where_a_last_line_does_not_end() -> None:
    assert unified("a\nb", "a\nb\n", "f").endswith(
        "@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+b\n"
    )
    assert unified("same", "same", "f").split("\n")[4:] == [""]


def test_a_form_feed_ends_no_line_of_a_diff() -> None:
    assert "-a\x0cb\u2028c\n+d" in unified("a\x0cb\u2028c\n", "d\n", "f")


def test_a_diff_of_two_strangers_is_true_and_quick() -> None:
    old, new = ([f"{number * step % 9973}\n" for number in range(9000)] for step in (1, 7))
    before = time.process_time()
    body = unified("".join(old), "".join(new), "f").split("\n")[5:-1]
    assert time.process_time() - before < 5
    assert [line[1:] for line in body if line[0] in "- "] == [line[:-1] for line in old]
    assert [line[1:] for line in body if line[0] in "+ "] == [line[:-1] for line in new]


def test_a_file_that_is_not_utf8_is_not_damaged(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"caf\xe9 a")
    with pytest.raises(Problem, match="UTF-8"):
        edit_file(open_roots([str(tmp_path)]), "f", [Edit("a", "b")], False)
    assert (tmp_path / "f").read_bytes() == b"caf\xe9 a"


def test_edits_of_one_file_at_once_are_all_kept(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("".join(f"<{number}>\n" for number in range(20)))
    roots = open_roots([str(tmp_path)])
    threads = [
        threading.Thread(target=edit_file, args=(roots, "f", [Edit(f"<{number}>", f"[{number}]")], False))
        for number in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "f").read_text() == "".join(f"[{number}]\n" for number in range(20))


@given(st.lists(st.sampled_from("abc"), max_size=40), st.lists(st.sampled_from("abc"), max_size=40))
def test_a_diff_leads_from_one_text_to_the_other(old: list[str], new: list[str]) -> None:
    """Applied with nothing but its own line numbers."""
    before, after = ("".join(f"{line}\n" for line in lines) for lines in (old, new))
    body = unified(before, after, "f").split("\n")[4:-1]
    lines, shift = list(old), 0
    at = 0
    for line in body:
        if line.startswith("@@"):
            start, _, count = line.split(" ")[1][1:].partition(",")
            at = int(start) + shift - (0 if count == "0" else 1)
        elif line.startswith("-"):
            assert lines.pop(at) == line[1:]
            shift -= 1
        elif line.startswith("+"):
            lines.insert(at, line[1:])
            at, shift = at + 1, shift + 1
        elif line:
            assert lines[at] == line[1:]
            at += 1
    assert lines == new


@given(TEXT, TEXT, TEXT, TEXT)
def test_an_exact_passage_is_replaced_exactly(head: str, old: str, tail: str, new: str) -> None:
    content = head + old + tail
    if old:
        assert apply_edits(content, [Edit(old, new)])[0] == content.replace(old, new, 1)


def test_the_fence_is_longer_than_any_in_the_text() -> None:
    assert fenced("a\n```\nb\n").startswith("````diff\n")


def test_a_large_file_with_a_small_edit_is_quick(tmp_path: Path) -> None:
    lines = [f"line {number} of many" for number in range(100_000)]
    (tmp_path / "f").write_text("\n".join(lines))
    shown = edit_file(open_roots([str(tmp_path)]), "f", [Edit("line 50000 of many", "changed")], False)
    assert "@@ -49997,9 +49997,9 @@" in shown
    assert shown.count("\n") < 20
