"""One thing that doctor looked at. Rule: whatever is not ok says what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """A line: how it stands, what was looked at, what was found, and a fix for what is not ok."""

    level: Level
    check: str
    detail: str
    help: str | None = None

    def __post_init__(self) -> None:
        """Hold the rule."""
        if self.level != "ok" and not self.help:
            raise ValueError(f"{self.check}: no fix for {self.detail!r}")


def ok(check: str, detail: str) -> Finding:
    """All is well."""
    return Finding("ok", check, detail)


def warn(check: str, detail: str, help: str) -> Finding:
    """It works, but not as well as it could."""
    return Finding("warn", check, detail, help)


def fail(check: str, detail: str, help: str) -> Finding:
    """Something does not work."""
    return Finding("fail", check, detail, help)
