"""What the tools for sessions return, as the schemas that they list."""

from __future__ import annotations

from pydantic import BaseModel


class Position(BaseModel):
    """The result of sequentialthinking."""

    thoughtNumber: int
    totalThoughts: int
    nextThoughtNeeded: bool
    branches: list[str]
    thoughtHistoryLength: int
    sessionId: str


class StepItem(BaseModel):
    """A step, in the words of the reference tool."""

    thought: str
    thoughtNumber: int
    totalThoughts: int
    nextThoughtNeeded: bool
    branchId: str | None = None
    isRevision: bool | None = None
    revisesThought: int | None = None
    needsMoreThoughts: bool | None = None
    mergedFrom: str | None = None
    createdMs: int


class SessionItem(BaseModel):
    """A session without its steps."""

    sessionId: str
    title: str
    steps: int
    createdMs: int
    updatedMs: int


class Sessions(BaseModel):
    """The result of list_thinking_sessions."""

    sessions: list[SessionItem]
    nextOffset: int | None = None


class BranchItem(BaseModel):
    """A branch."""

    branchId: str
    branchFromThought: int | None
    mergedInto: str | None


class Opened(BranchItem):
    """The result of branch_thinking."""

    nextThoughtNumber: int


class MainLine(BaseModel):
    """Where the main line stands."""

    line: str
    last: StepItem
    nextThoughtNumber: int


class BranchLine(Opened):
    """Where an open branch stands; it may have no step yet."""

    last: StepItem | None = None


class Resumed(SessionItem):
    """The result of resume_thinking."""

    lines: list[MainLine | BranchLine]


class Deleted(BaseModel):
    """The result of delete_thinking_session."""

    deleted: str


class History(SessionItem):
    """The result of thinking_history."""

    history: list[StepItem]
    branches: list[BranchItem]
    nextOffset: int | None = None


class FindingItem(BaseModel):
    """One rule of the rubric, and what was found."""

    criterion: str
    rule: str
    verdict: str
    evidence: str
    thoughts: list[int]


class Evaluation(BaseModel):
    """The result of evaluate_thinking."""

    sessionId: str
    summary: str
    findings: list[FindingItem]
