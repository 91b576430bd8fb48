"""What a checker found, in one form for all checkers, and a page of it.

Lines and columns count from 1, as editors do; `end_column` is the first one after.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from omnimind.servers.problem import Problem

MESSAGE_CHARACTERS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One complaint of a checker about one place."""

    path: str
    line: int
    column: int
    end_line: int
    end_column: int
    code: str
    message: str
    severity: str
    fixable: bool = False
    hint: str = ""

    def data(self) -> dict[str, Any]:
        """As it goes over the wire; what is empty stays away."""
        found = {
            "path": self.path,
            "line": self.line,
            "column": self.column,
            "end_line": self.end_line,
            "end_column": self.end_column,
            "code": self.code,
            "message": shortened(self.message, MESSAGE_CHARACTERS),
            "severity": self.severity,
            "fixable": self.fixable,
        }
        return {**found, "hint": shortened(self.hint, MESSAGE_CHARACTERS)} if self.hint else found

    def __str__(self) -> str:
        fix = " (fixable)" if self.fixable else ""
        hint = "".join(f"\n    {line}" for line in shortened(self.hint, MESSAGE_CHARACTERS).splitlines())
        text = shortened(self.message, MESSAGE_CHARACTERS)
        return f"{self.path}:{self.line}:{self.column}: {self.severity} {self.code}: {text}{fix}{hint}"


def page(found: Sequence[Finding], limit: int, offset: int) -> dict[str, Any]:
    """Some of the findings, the counts of all by code, and where to go on."""
    some = found[offset : offset + limit]
    after = offset + len(some)
    data: dict[str, Any] = {
        "findings": [one.data() for one in some],
        "total": len(found),
        "by_code": dict(Counter(one.code for one in found).most_common(50)),
    }
    return {**data, "next_offset": after} if after < len(found) else data


def shown(found: Sequence[Finding], limit: int, offset: int) -> str:
    """The same page as text."""
    some = found[offset : offset + limit]
    after = offset + len(some)
    more = [f"... {len(found) - after:,} more; go on with offset={after}"] if after < len(found) else []
    return "\n".join([*map(str, some), *more])


def relative(path: str, folder: str) -> str:
    """A path that a tool named, as the caller knows it."""
    return os.path.relpath(path, folder) if os.path.isabs(path) else os.path.normpath(path)


def shortened(text: str, most: int) -> str:
    """The text, or its beginning and end with a note of what is left out between."""
    text = sendable(text)
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n... {len(text) - 2 * half:,} characters left out ...\n{text[-half:]}"


def sendable(text: str) -> str:
    """The text with question marks for halves of surrogate pairs, which no message can carry."""
    return text.encode("utf-8", "replace").decode()


def complaint(tool: str, stderr: str, folder: str) -> Problem:
    """For a tool that ended without a result: its own words, without the folder it worked in."""
    said = stderr.replace(folder + "/", "").replace(folder, ".").strip() or "it said nothing"
    if said.startswith("Traceback"):
        said = said.splitlines()[-1]
    return Problem(
        f"{tool} could not do its work: {shortened(said, MESSAGE_CHARACTERS)}\n"
        "Put right what it names (often a configuration file among the given files), and call again."
    )
