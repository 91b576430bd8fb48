"""ruff's commands, and its answers as ruff 0.17 gave them."""

from __future__ import annotations

import json

import pytest

from omnimind.servers.problem import Problem
from omnimind.servers.python import findings, lint
from omnimind.servers.python.findings import Finding
from omnimind.servers.python.sources import given

FOLDER = "/run/folder"
UNUSED = {
    "cell": None,
    "code": "F401",
    "end_location": {"column": 10, "row": 1},
    "filename": f"{FOLDER}/pkg/snippet.py",
    "fix": {
        "applicability": "safe",
        "edits": [
            {
                "content": "",
                "end_location": {"column": 1, "row": 2},
                "location": {"column": 1, "row": 1},
            }
        ],
        "message": "Remove unused import: `os`",
    },
    "location": {"column": 8, "row": 1},
    "message": "`os` imported but unused",
    "name": "unused-import",
    "noqa_row": 1,
    "severity": "error",
    "url": "https://docs.astral.sh/ruff/rules/unused-import",
}
UNSAFE = {**UNUSED, "code": "F841", "fix": {"applicability": "unsafe", "edits": [], "message": "Remove"}}
BROKEN = {**UNUSED, "code": "invalid-syntax", "fix": None, "message": "Expected a parameter"}


def test_findings_say_where_what_and_whether_a_fix_is_safe() -> None:
    found = lint.read_findings(json.dumps([UNUSED, UNSAFE, BROKEN]).encode(), "", FOLDER)
    assert found[0] == Finding(
        path="pkg/snippet.py",
        line=1,
        column=8,
        end_line=1,
        end_column=10,
        code="F401",
        message="`os` imported but unused",
        severity="error",
        fixable=True,
        hint="Remove unused import: `os`",
    )
    assert [one.fixable for one in found] == [True, False, False]
    assert str(found[2]) == "pkg/snippet.py:1:8: error invalid-syntax: Expected a parameter"


def test_an_answer_that_is_none_is_told_in_ruffs_words_without_the_folder() -> None:
    said = f"ruff failed\n  Cause: Failed to load configuration `{FOLDER}/pyproject.toml`\n"
    with pytest.raises(Problem) as refusal:
        lint.read_findings(b"", said, FOLDER)
    assert "Failed to load configuration `pyproject.toml`" in str(refusal.value)
    assert FOLDER not in str(refusal.value)


def test_files_that_are_not_python_are_read_from_the_messages_of_a_format_run() -> None:
    said = "error: Failed to parse a/bad.py:1:7: Expected a parameter or the end of the parameter list\nwarning: x"
    assert [str(one) for one in lint.read_unparsed(said)] == [
        "a/bad.py:1:7: error invalid-syntax: Expected a parameter or the end of the parameter list"
    ]


def test_only_a_configuration_at_the_top_of_the_files_counts() -> None:
    plain, deep, both = (
        given(None, dict.fromkeys(names, ""))
        for names in (["a.py"], ["a.py", "b/ruff.toml"], ["pyproject.toml", "ruff.toml"])
    )
    for sources, option in ((plain, "--isolated"), (deep, "--isolated"), (both, "--config=ruff.toml")):
        assert option in lint.check_command("ruff", sources, [], [], fix=False)
        assert option in lint.format_command("ruff", sources, None)


def test_rules_are_names_and_never_options() -> None:
    command = lint.check_command("/bin/ruff", given("", None), ["F", "E501"], ["F401"], fix=True)
    assert command[0] == "/bin/ruff"
    assert command[-2:] == ["--", "."]
    assert {"--select=F,E501", "--ignore=F401", "--fix"} <= set(command)
    for rule in ("--config=x", "F,--fix", "", "F 4", "F" * 99):
        with pytest.raises(Problem, match="not a rule"):
            lint.check_command("ruff", given("", None), [rule], [], fix=False)
    with pytest.raises(Problem, match="limit is 100"):
        lint.check_command("ruff", given("", None), ["F"] * 101, [], fix=False)


def test_a_difference_shows_changed_files_only_and_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {"a.py": b"x=1\n", "b.py": b"same\n", "c.py": b"end"}
    text = lint.difference(before, {"a.py": b"x = 1\n", "b.py": b"same\n", "c.py": b"end\n"})
    assert "@@ -1,1 +1,1 @@\n-x=1\n+x = 1\n" in text
    assert "b.py" not in text
    assert "-end\n\\ No newline at end of file\n+end\n" in text
    monkeypatch.setattr(lint, "DIFF_LINES", 1)
    assert "more than 1 lines" in lint.difference({"a.py": b"1\n2\n"}, {"a.py": b"2\n1\n"})
    monkeypatch.setattr(lint, "DIFF_CHARACTERS", 20)
    assert "cut at 20 characters" in lint.difference(before, {"a.py": b"x = 1\n"})


def test_findings_come_in_pages_that_say_how_to_go_on() -> None:
    found = [
        Finding("a.py", line, 1, line, 2, "E1" if line % 2 else "E2", "m", "error") for line in range(1, 8)
    ]
    first = findings.page(found, 3, 0)
    assert [one["line"] for one in first["findings"]] == [1, 2, 3]
    assert (first["total"], first["next_offset"]) == (7, 3)
    assert first["by_code"] == {"E1": 4, "E2": 3}
    assert "4 more; go on with offset=3" in findings.shown(found, 3, 0)
    last = findings.page(found, 3, 6)
    assert len(last["findings"]) == 1
    assert "next_offset" not in last
    long = Finding("a.py", 1, 1, 1, 2, "E", "x" * 5_000, "error", hint="y" * 5_000)
    assert len(str(long)) < 2_500
    assert "left out" in long.data()["message"]
    assert Finding("a.py", 1, 1, 1, 2, "E", "half \ud800", "error").data()["message"] == "half ?"
