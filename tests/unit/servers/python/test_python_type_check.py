"""mypy's arguments, and its answers as mypy 2.4 gave them."""

from __future__ import annotations

import json

import pytest

from omnimind.servers.problem import Problem
from omnimind.servers.python import type_check
from omnimind.servers.python.sources import given

RETURN = {
    "file": "snippet.py", "line": 6, "column": 11, "end_line": 6, "end_column": 12, "hint": None,
    "message": 'Incompatible return value type (got "int", expected "str")',
    "code": "return-value", "severity": "error",
}  # fmt: skip
SYNTAX = {
    "file": "bad.py", "line": 1, "column": 7, "end_line": 1, "end_column": 8, "hint": None,
    "message": "Expected a parameter or the end of the parameter list", "code": "syntax", "severity": "error",
}  # fmt: skip
MISSING = {
    "file": "notes.py", "line": 8, "column": 0, "end_line": 8, "end_column": 1,
    "message": 'Library stubs not installed for "yaml"', "hint": 'Hint: "python3 -m pip install types-PyYAML"',
    "code": "import-untyped", "severity": "error",
}  # fmt: skip


FORGED = [
    "[1]", "null", "{}", json.dumps({**RETURN, "line": "x"}), json.dumps({**RETURN, "column": None}),
    json.dumps({**RETURN, "message": 7}), json.dumps({**RETURN, "hint": [1]}), json.dumps({**RETURN, "file": {}}),
    json.dumps({**RETURN, "line": float("inf")}), "[" * 100_000,
]  # fmt: skip
"""Lines that a plugin can print, and that are no findings."""


def test_findings_count_columns_from_one() -> None:
    lines = [json.dumps(one) for one in (RETURN, SYNTAX, MISSING)]
    found = type_check.read_findings("\n".join(["a plugin says hello", *FORGED, *lines]), "", "/run")
    assert [(one.path, one.line, one.column, one.end_column) for one in found] == [
        ("snippet.py", 6, 12, 13),
        ("bad.py", 1, 7, 8),
        ("notes.py", 8, 1, 2),
    ]
    assert found[0].code == "return-value"
    assert "types-PyYAML" in found[2].hint
    assert type_check.read_findings("", "", "/run") == []
    assert len(type_check.read_findings("", json.dumps(MISSING), "/run")) == 1, "what stops it goes to stderr"


def test_a_configuration_that_cannot_be_read_is_told() -> None:
    said = "/run/pyproject.toml: Expected ']' at the end of a table declaration (at line 1, column 11)"
    with pytest.raises(Problem, match=r"pyproject\.toml: Expected ']'"):
        type_check.read_findings("", said, "/run")


def test_files_are_named_and_a_configuration_is_used_only_if_it_was_given() -> None:
    plain = type_check.arguments(
        given(None, {"b.py": "", "a/c.pyi": "", "x.txt": ""}), "/cache", strict=False
    )
    assert plain[plain.index("--") + 1 :] == ["a/c.pyi", "b.py"]
    assert {"--config-file=", "--cache-dir=/cache"} <= set(plain)
    assert "--strict" not in plain
    strict = type_check.arguments(given(None, {"b.py": "", "mypy.ini": ""}), "/cache", strict=True)
    assert {"--strict", "--config-file=mypy.ini"} <= set(strict)
    with pytest.raises(Problem, match=r"end in \.py"):
        type_check.arguments(given(None, {"x.txt": ""}), "/cache", strict=False)
