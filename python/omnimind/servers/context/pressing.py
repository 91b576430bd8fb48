"""A composed context in fewer tokens, and what has to be said of it. Knows no MCP.

Rule: the original is kept before the shorter text is handed out, so that every byte of what was left out can be read
back with `expand`; and whether all that is critical is there is said, never assumed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from omnimind.compression import Compressed, Compressor, tokens
from omnimind.servers.context.originals import Originals
from omnimind.servers.problem import Problem

_SOURCE: Final = "context"
_LISTED: Final = 8
_SHOWN: Final = 120


@dataclass(frozen=True, slots=True)
class Told:
    """A context as it is handed out."""

    text: str
    tokens: int
    pressed: Compressed | None
    """None: it is short enough as it is."""


def tell(kept: Originals, owner: str, text: str, target_tokens: int, query: str | None) -> Told:
    """The text in at most `target_tokens`; its original is kept for the owner where something was left out."""
    count = tokens.count(text)
    if count <= target_tokens:
        return Told(text, count, None)
    pressed = Compressor().compress(text, target_tokens, query)
    if pressed.omissions:
        kept.keep(owner, text, _SOURCE)
    return Told(pressed.content, pressed.tokens_after, pressed)


def report(told: Told) -> dict[str, Any]:
    """What was done, as data."""
    pressed = told.pressed
    if pressed is None:
        return {"compressed": False, "tokens_before": told.tokens, "critical_info_preserved": True}
    found: dict[str, Any] = {
        "compressed": True,
        "tokens_before": pressed.tokens_before,
        "critical_info_preserved": pressed.critical_info_preserved,
        "critical": {kind: {"kept": one.kept, "total": one.total} for kind, one in pressed.critical.items()},
    }
    if pressed.omissions:
        found["handle"] = pressed.handle
    if pressed.missing:
        found["missing"] = [
            {"why": one.why, "lines": list(one.lines), "text": one.text} for one in pressed.missing
        ]
        found["missing_count"] = pressed.missing_count
    return found


def demand_all(told: Told, target_tokens: int) -> None:
    """Raises Problem, which names the first of it, if anything critical is missing."""
    pressed = told.pressed
    if pressed is None or pressed.critical_info_preserved:
        return
    named = "; ".join(
        f"{one.why} at line {one.lines[0]}: {one.text[:_SHOWN]}" for one in pressed.missing[:_LISTED]
    )
    raise Problem(
        f"{target_tokens:,} tokens are too few for {pressed.tokens_before:,}: {pressed.missing_count:,} things that "
        f"must stay do not fit ({named}). Raise target_tokens, choose fewer levels, or move entries to the archive"
    )
