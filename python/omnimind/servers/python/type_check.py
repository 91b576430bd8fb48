"""mypy: which command checks a folder of files, and what its answer means. Starts nothing itself.

mypy and not ty: ty's releases are 0.0.x and change what they report from one to the next, while mypy's codes and
its JSON are stable, its configuration is what projects have, and its strict mode is what they are held to. Its
configuration can name plugins, and those are code: like all code it runs in the jail only. The cache is the
caller's own; with it a check takes about a fifth of the time.
"""

from __future__ import annotations

import json
from typing import Any, Final

from omnimind.servers.problem import Problem
from omnimind.servers.python.findings import Finding, complaint, relative, sendable
from omnimind.servers.python.sources import Sources

RUN: Final = "omnimind.servers.python.inside.mypy_run:run"
CONFIGURATION: Final = ("mypy.ini", ".mypy.ini", "pyproject.toml", "setup.cfg")


def arguments(sources: Sources, cache: str, *, strict: bool) -> list[str]:
    """The arguments after `python -m mypy`, which prints one JSON object a line."""
    names = sources.python()
    if not names:
        raise Problem("there is no Python file to check; the names of Python files end in .py or .pyi")
    return [
        *("--output=json", "--no-error-summary", "--no-color-output"),
        *("--explicit-package-bases", "--namespace-packages"),
        f"--config-file={sources.first_of(*CONFIGURATION) or ''}",
        f"--cache-dir={cache}",
        *(["--strict"] if strict else []),
        "--",
        *names,
    ]


def read_findings(stdout: str, stderr: str, folder: str) -> list[Finding]:
    """The findings, errors and notes, in mypy's order."""
    found: list[Finding] = []
    for line in [*stdout.splitlines(), *stderr.splitlines()]:
        try:
            found.append(_finding(json.loads(line), folder))
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            continue  # what a plugin printed
    if not found and stderr.strip():
        raise complaint("mypy", stderr, folder)
    return found


def _finding(one: Any, folder: str) -> Finding:
    if not isinstance(one, dict):
        raise TypeError("no finding")
    code, hint = one.get("code") or "misc", one.get("hint") or ""
    from_zero = 0 if code == "syntax" else 1  # mypy counts columns from 0, but not those of its parser
    line, column = max(1, int(one["line"])), int(one["column"]) + from_zero
    if not all(isinstance(text, str) for text in (one["file"], one["message"], one["severity"], code, hint)):
        raise TypeError("no finding")
    return Finding(
        path=sendable(relative(one["file"], folder)),
        line=line,
        column=max(1, column),
        end_line=max(line, int(one.get("end_line") or line)),
        end_column=max(1, int(one.get("end_column") or column) + from_zero),
        code=sendable(code),
        message=one["message"],
        severity=sendable(one["severity"]),
        hint=hint,
    )
