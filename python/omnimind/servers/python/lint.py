"""ruff: which command checks or formats a folder of files, and what its answer means. Starts nothing itself.

A configuration is used only if it lies at the top of the given files; ruff is told its name, or told that there
is none, and so never searches further up. Its fixes are applied to the copies, and their text is what comes back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from omnimind.servers.filesystem.diff import unified
from omnimind.servers.problem import Problem
from omnimind.servers.python.findings import Finding, complaint, relative
from omnimind.servers.python.sources import Sources

CONFIGURATION: Final = ("ruff.toml", ".ruff.toml", "pyproject.toml")
RULES: Final = 100
DIFF_CHARACTERS: Final = 256 * 1024
DIFF_LINES: Final = 20_000

_RULE = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
_UNPARSED = re.compile(r"error: Failed to parse (?P<path>.+?):(?P<line>\d+):(?P<column>\d+): (?P<message>.+)")


def check_command(
    ruff: str, sources: Sources, select: Sequence[str], ignore: Sequence[str], *, fix: bool
) -> list[str]:
    """The command that lints the working folder and prints JSON; with `fix` it also puts right what is safe."""
    chosen = [f"--select={','.join(_rules(select))}"] if select else []
    ignored = [f"--ignore={','.join(_rules(ignore))}"] if ignore else []
    return [
        *(ruff, "check", "--output-format=json", "--no-cache", "--exit-zero", "--no-respect-gitignore"),
        *_configuration(sources),
        *chosen,
        *ignored,
        "--fix" if fix else "--no-fix",
        *("--", "."),
    ]


def format_command(ruff: str, sources: Sources, line_length: int | None) -> list[str]:
    """The command that formats the files of the working folder in place."""
    length = [f"--line-length={line_length}"] if line_length is not None else []
    return [
        *(ruff, "format", "--no-cache", "--no-respect-gitignore"),
        *_configuration(sources),
        *length,
        *("--", "."),
    ]


def _configuration(sources: Sources) -> list[str]:
    name = sources.first_of(*CONFIGURATION)
    return ["--isolated"] if name is None else [f"--config={name}"]


def _rules(given: Sequence[str]) -> Sequence[str]:
    if len(given) > RULES:
        raise Problem(
            f"{len(given):,} rules were given; the limit is {RULES}, name a group such as 'B' instead"
        )
    wrong = next((rule for rule in given if not _RULE.fullmatch(rule)), None)
    if wrong is not None:
        raise Problem(
            f"{wrong!r} is not a rule of ruff; name codes such as 'F401', groups such as 'B', or 'ALL'"
        )
    return given


def read_findings(stdout: bytes, stderr: str, folder: str) -> list[Finding]:
    """The findings of a check, in the order of the files."""
    try:
        found = json.loads(stdout)
    except ValueError:
        raise complaint("ruff", stderr, folder) from None
    return [_finding(one, folder) for one in found]


def _finding(one: Mapping[str, Any], folder: str) -> Finding:
    start, end, fix = one["location"], one["end_location"], one.get("fix") or {}
    return Finding(
        path=relative(one["filename"], folder),
        line=start["row"],
        column=start["column"],
        end_line=end["row"],
        end_column=end["column"],
        code=one.get("code") or "invalid-syntax",
        message=one["message"],
        severity=one.get("severity") or "error",
        fixable=fix.get("applicability") == "safe",
        hint=fix.get("message") or "",
    )


def read_unparsed(stderr: str) -> list[Finding]:
    """The files that a formatting run could not read as Python."""
    return [
        Finding(
            path=found["path"],
            line=int(found["line"]),
            column=int(found["column"]),
            end_line=int(found["line"]),
            end_column=int(found["column"]) + 1,
            code="invalid-syntax",
            message=found["message"],
            severity="error",
        )
        for found in map(_UNPARSED.match, stderr.splitlines())
        if found
    ]


def difference(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> str:
    """A unified diff of the files that changed, cut at its limit."""
    parts: list[str] = []
    for name in sorted(after):
        old, new = (side[name].decode("utf-8", "replace") for side in (before, after))
        if max(old.count("\n"), new.count("\n")) > DIFF_LINES:
            parts.append(
                f"{name} changed; it has more than {DIFF_LINES:,} lines, the limit of a difference\n"
            )
        elif old != new:
            parts.append(unified(old, new, name))
    text = "".join(parts)
    if len(text) <= DIFF_CHARACTERS:
        return text
    return f"{text[:DIFF_CHARACTERS]}\n... the diff is cut at {DIFF_CHARACTERS:,} characters, the limit\n"
