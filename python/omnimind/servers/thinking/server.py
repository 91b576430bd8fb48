"""The MCP face of the thinking server: the reference server's one tool, and the tools around sessions.

`sequentialthinking` writes a step down, so it is not marked read-only, whatever the reference server says:
a gateway that believed that would answer the second identical thought from its cache.
"""

from __future__ import annotations

import sqlite3
from typing import Annotated, Any

from mcp.server import MCPServer
from mcp.types import CallToolResult
from pydantic import BeforeValidator, Field, WithJsonSchema

from omnimind.servers import ServerContext
from omnimind.servers.database import Databases
from omnimind.servers.depends import FILES
from omnimind.servers.desk import Desk
from omnimind.servers.thinking import rubric, store
from omnimind.servers.thinking.export import Format, branch_json, check_size, export, session_json, step_json
from omnimind.servers.thinking.schema import MIGRATIONS
from omnimind.servers.thinking.shapes import (
    Deleted,
    Evaluation,
    History,
    Opened,
    Position,
    Resumed,
    SessionItem,
    Sessions,
    StepItem,
)
from omnimind.servers.tools import (
    ADDS,
    ENSURES,
    READS,
    REPLACES,
    Toolbox,
    data_result,
    new_server,
    text_result,
)


def _word_as_bool(value: object) -> object:
    """Models write booleans as words; the reference server takes exactly these."""
    return {"true": True, "false": False}.get(value.lower(), value) if isinstance(value, str) else value


Flag = Annotated[bool, BeforeValidator(_word_as_bool), WithJsonSchema({"type": ["boolean", "string"]})]
Ordinal = Annotated[int, Field(ge=1, le=2**53 - 1)]
SessionId = Annotated[str, Field(description="The handle of a session")]


def build(context: ServerContext) -> MCPServer:
    """The thinking server on the state folder's `db/thinking`. It takes no arguments."""
    if context.args:
        raise ValueError(f"the thinking server takes no arguments, not {context.args[0]!r}")
    desk = Desk(Databases(context.state_dir / "db" / "thinking", MIGRATIONS))
    box = Toolbox()
    _add_sequential(box, desk)
    _add_sessions(box, desk)
    _add_branching(box, desk)
    _add_reading(box, desk)
    return new_server(
        context,
        box,
        title="Thinking",
        instructions=(
            "Reason step by step with sequentialthinking; it returns a sessionId. With it, history, "
            "branches, evaluation and export are at hand, also in a later conversation."
        ),
    )


def _add_sequential(box: Toolbox, desk: Desk) -> None:
    @box.tool("Sequential Thinking", ADDS)
    async def sequentialthinking(
        thought: Annotated[str, Field(description="Your current thinking step")],
        nextThoughtNeeded: Annotated[Flag, Field(description="Whether another step is needed")],
        thoughtNumber: Annotated[Ordinal, Field(description="The number of this thought")],
        totalThoughts: Annotated[Ordinal, Field(description="How many you expect to need; may change")],
        isRevision: Annotated[Flag | None, Field(description="Whether this revises earlier thinking")] = None,
        revisesThought: Annotated[Ordinal | None, Field(description="Which thought is revised")] = None,
        branchFromThought: Annotated[
            Ordinal | None, Field(description="The thought after which a branch leaves")
        ] = None,
        branchId: Annotated[str | None, Field(description="The name of the branch")] = None,
        needsMoreThoughts: Annotated[
            Flag | None, Field(description="Whether more are needed after all")
        ] = None,
        session_id: Annotated[
            str | None, Field(description="Continue this session; without it, the one in use")
        ] = None,
    ) -> Annotated[CallToolResult, Position]:
        """Work through a problem in steps that you may revise, branch and extend as you understand more.
        Use it for planning, analysis and anything whose scope is not clear at first: state a step, say
        whether another is needed, correct the total when it turns out wrong, mark revisions and branches,
        and finish when you have an answer that you have checked. Steps are kept; the result holds the
        sessionId to continue later."""
        step = store.Step(
            # The reference server counts a step as part of a branch only if it says where from.
            branchId if branchId and (branchFromThought or session_id) else store.MAIN,
            thought,
            thoughtNumber,
            totalThoughts,
            bool(nextThoughtNeeded),
            revisesThought,
            bool(isRevision),
            bool(needsMoreThoughts),
        )

        def work(data: sqlite3.Connection, now: int) -> dict[str, Any]:
            session = store.for_step(data, session_id, step, now)
            kept = store.add_step(data, session, step, branchFromThought, now)
            return {
                "thoughtNumber": kept.thought_number,
                "totalThoughts": kept.total_thoughts,
                "nextThoughtNeeded": kept.next_needed,
                "branches": [branch.id for branch in store.branches(data, session)],
                "thoughtHistoryLength": session.steps + 1,
                "sessionId": session.id,
            }

        return data_result(await desk.change(work))


def _add_sessions(box: Toolbox, desk: Desk) -> None:
    @box.tool("Start Thinking", ADDS)
    async def start_thinking(
        title: Annotated[str, Field(description="The question to think about")] = "",
    ) -> Annotated[CallToolResult, SessionItem]:
        """Open a session and return its handle. Sessions that nobody touches for 90 days are removed."""
        return data_result(session_json(await desk.change(lambda data, now: store.start(data, title, now))))

    @box.tool("List Thinking Sessions", READS, FILES)
    async def list_thinking_sessions(
        limit: Annotated[int, Field(ge=1, le=200)] = 20, offset: Annotated[int, Field(ge=0)] = 0
    ) -> Annotated[CallToolResult, Sessions]:
        """Your sessions, the one used last first."""
        found = await desk.read(lambda data: store.listed(data, limit + 1, offset))
        answer: dict[str, Any] = {"sessions": [session_json(session) for session in found[:limit]]}
        return data_result({**answer, "nextOffset": offset + limit} if len(found) > limit else answer)

    @box.tool("Resume Thinking", ENSURES)
    async def resume_thinking(session_id: SessionId) -> Annotated[CallToolResult, Resumed]:
        """Take a session up again: where each line stands and what number comes next. Steps sent without a
        session_id go to it from now on."""

        def work(data: sqlite3.Connection, now: int) -> dict[str, Any]:
            session = store.resume(data, session_id, now)
            return {**session_json(session), "lines": _standings(data, session)}

        return data_result(await desk.change(work))

    @box.tool("Delete Thinking Session", REPLACES)
    async def delete_thinking_session(session_id: SessionId) -> Annotated[CallToolResult, Deleted]:
        """Remove a session with all its steps."""
        await desk.change(lambda data, _: store.delete(data, session_id))
        return data_result({"deleted": session_id})


def _standings(data: sqlite3.Connection, session: store.Session) -> list[dict[str, Any]]:
    """The last step of every line that is not finished."""
    last: dict[str, store.Step] = {}
    for step in store.steps(data, session):
        last[step.branch] = step
    lines: list[dict[str, Any]] = []
    if store.MAIN in last:
        step = last[store.MAIN]
        lines.append({"line": "main", "last": step_json(step), "nextThoughtNumber": step.thought_number + 1})
    for branch in store.branches(data, session):
        if branch.merged_into is None:
            after = last.get(branch.id)
            number = after.thought_number if after else branch.from_thought or 0
            line = {**branch_json(branch), "nextThoughtNumber": number + 1}
            lines.append({**line, "last": step_json(after)} if after else line)
    return lines


def _add_branching(box: Toolbox, desk: Desk) -> None:
    @box.tool("Branch Thinking", ADDS)
    async def branch_thinking(
        session_id: SessionId,
        branch_id: Annotated[str, Field(description="A name for the new line")],
        from_thought: Annotated[Ordinal, Field(description="The thought after which it leaves")],
    ) -> Annotated[CallToolResult, Opened]:
        """Open a line of its own after a thought, to try another way. Send its steps to sequentialthinking
        with this session_id and branchId."""

        def work(data: sqlite3.Connection, now: int) -> dict[str, Any]:
            session = store.find(data, session_id)
            branch = store.open_branch(data, session, branch_id, from_thought, now)
            return {**branch_json(branch), "nextThoughtNumber": from_thought + 1}

        return data_result(await desk.change(work))

    @box.tool("Merge Thinking", ADDS)
    async def merge_thinking(
        session_id: SessionId,
        branch_id: Annotated[str, Field(description="The branch that ends")],
        conclusion: Annotated[str, Field(description="What it has shown; becomes a step of the other line")],
        into: Annotated[str, Field(description="Another branch; empty for the main line")] = "",
    ) -> Annotated[CallToolResult, StepItem]:
        """Close a branch and carry its outcome into the main line or another branch."""

        def work(data: sqlite3.Connection, now: int) -> dict[str, Any]:
            session = store.find(data, session_id)
            return step_json(store.merge(data, session, branch_id, into, conclusion, now))

        return data_result(await desk.change(work))


def _add_reading(box: Toolbox, desk: Desk) -> None:
    @box.tool("Thinking History", READS, FILES)
    async def thinking_history(
        session_id: SessionId,
        branch_id: Annotated[
            str | None, Field(description="Only this branch; empty for the main line alone")
        ] = None,
        limit: Annotated[int, Field(ge=1, le=1000)] = 100,
        offset: Annotated[int, Field(ge=0)] = 0,
    ) -> Annotated[CallToolResult, History]:
        """The steps of a session in the order they were thought, and its branches."""

        def work(data: sqlite3.Connection) -> dict[str, Any]:
            session = store.find(data, session_id)
            found = store.some_steps(data, session, branch_id, limit + 1, offset)
            steps = found[:limit]
            check_size(steps)
            answer = {
                **session_json(session),
                "history": [step_json(step) for step in steps],
                "branches": [branch_json(branch) for branch in store.branches(data, session)],
            }
            return {**answer, "nextOffset": offset + limit} if len(found) > limit else answer

        return data_result(await desk.read(work))

    @box.tool("Evaluate Thinking", READS, FILES)
    async def evaluate_thinking(session_id: SessionId) -> Annotated[CallToolResult, Evaluation]:
        """Check a session against a stated rubric of its form (finished, unbroken, sound references, branches
        closed, estimate, repetition, promises, question). Each finding says its rule and its evidence; there
        is no score, and whether a thought is right is yours to judge."""

        def work(data: sqlite3.Connection) -> dict[str, Any]:
            session = store.find(data, session_id)
            subject = rubric.Subject(session.title, store.steps(data, session), store.branches(data, session))
            findings = rubric.evaluate(subject)
            applicable = [one for one in findings if one.verdict != "does not apply"]
            met = sum(one.verdict == "met" for one in applicable)
            return {
                "sessionId": session.id,
                "summary": f"{met} of {len(applicable)} criteria that apply are met",
                "findings": [
                    {
                        "criterion": one.criterion,
                        "rule": one.rule,
                        "verdict": one.verdict,
                        "evidence": one.evidence,
                        "thoughts": list(one.thoughts),
                    }
                    for one in findings
                ],
            }

        return data_result(await desk.read(work))

    @box.tool("Export Thinking", READS, FILES)
    async def export_thinking(
        session_id: SessionId,
        format: Annotated[Format, Field(description="For programs or people")] = "markdown",
    ) -> CallToolResult:
        """A whole session as one text."""

        def work(data: sqlite3.Connection) -> str:
            session = store.find(data, session_id)
            return export(session, store.steps(data, session), store.branches(data, session), format)

        return text_result(await desk.read(work))
