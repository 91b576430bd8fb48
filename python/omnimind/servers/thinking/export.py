"""A session as text: `json` for programs, `markdown` for people."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal

from omnimind.servers.problem import Problem
from omnimind.servers.thinking.store import MAIN, Branch, Session, Step

Format = Literal["json", "markdown"]

ANSWER_CHARACTERS: Final = 6_000_000


def step_json(step: Step) -> dict[str, Any]:
    """A step, in the words of the reference tool."""
    printed: dict[str, Any] = {
        "thought": step.thought,
        "thoughtNumber": step.thought_number,
        "totalThoughts": step.total_thoughts,
        "nextThoughtNeeded": step.next_needed,
    }
    if step.branch != MAIN:
        printed["branchId"] = step.branch
    if step.is_revision:
        printed["isRevision"] = True
    if step.revises is not None:
        printed["revisesThought"] = step.revises
    if step.needs_more:
        printed["needsMoreThoughts"] = True
    if step.merged_from is not None:
        printed["mergedFrom"] = step.merged_from
    return {**printed, "createdMs": step.created_ms}


def branch_json(branch: Branch) -> dict[str, Any]:
    """A branch."""
    merged = None if branch.merged_into is None else branch.merged_into or "main"
    return {"branchId": branch.id, "branchFromThought": branch.from_thought, "mergedInto": merged}


def session_json(session: Session) -> dict[str, Any]:
    """A session without its steps."""
    return {
        "sessionId": session.id,
        "title": session.title,
        "steps": session.steps,
        "createdMs": session.created_ms,
        "updatedMs": session.updated_ms,
    }


def check_size(steps: Sequence[Step]) -> None:
    """Refuse what does not fit in one answer."""
    size = sum(len(step.thought) for step in steps)
    if size > ANSWER_CHARACTERS:
        raise Problem(
            f"these {len(steps):,} steps have {size:,} characters; the limit for one answer is "
            f"{ANSWER_CHARACTERS:,}. Read them in parts with thinking_history, limit and offset"
        )


def export(session: Session, steps: Sequence[Step], branches: Sequence[Branch], form: Format) -> str:
    """The whole session in this form."""
    check_size(steps)
    if form == "markdown":
        return "\n".join(_markdown(session, steps, branches))
    whole = {
        **session_json(session),
        "branches": [branch_json(branch) for branch in branches],
        "history": [step_json(step) for step in steps],
    }
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":"))


def _markdown(session: Session, steps: Sequence[Step], branches: Sequence[Branch]) -> Iterator[str]:
    yield f"# {session.title or 'Thinking'}"
    yield from _line("Main line", [step for step in steps if step.branch == MAIN])
    for branch in branches:
        outcome = (
            "" if branch.merged_into is None else f", merged into {branch.merged_into or 'the main line'}"
        )
        title = f"Branch {branch.id} (from thought {branch.from_thought}{outcome})"
        yield from _line(title, [step for step in steps if step.branch == branch.id])


def _line(title: str, steps: Sequence[Step]) -> Iterator[str]:
    yield f"\n## {title}\n"
    for step in steps:
        remark = ""
        if step.revises is not None:
            remark = f" (revises {step.revises})"
        elif step.merged_from is not None:
            remark = f" (from branch {step.merged_from})"
        yield f"{step.thought_number}. {' '.join(step.thought.split())}{remark}"
