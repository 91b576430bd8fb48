"""The tools that take a statement: read_query, write_query and create_table of the reference server, and explain."""

from __future__ import annotations

from typing import Annotated, Any

from mcp.types import CallToolResult, TextContent
from pydantic import BaseModel, ConfigDict, Field

from omnimind.servers.depends import FILES
from omnimind.servers.sqlite import limits, query, values
from omnimind.servers.sqlite.calls import AnyContext, Binding, Calls, Database, Limit, Offset, Seconds
from omnimind.servers.sqlite.query import Page, Step
from omnimind.servers.tools import ADDS, CHANGES, READS, Toolbox


class Rows(BaseModel):
    """A page of rows."""

    columns: list[str]
    rows: list[list[Any]] = Field(
        description='Bytes are {"$blob": base64}, integers beyond 2^53 {"$integer": digits}, infinity {"$real": "inf"}'
    )
    more: bool
    next_offset: int | None = None


class Written(BaseModel):
    """What a statement changed; -1 where rows do not count."""

    affected_rows: int
    returned: Rows | None = None


class Made(BaseModel):
    """The result of create_table."""

    message: str


class PlanStep(BaseModel):
    """A step of a plan."""

    model_config = ConfigDict(from_attributes=True)

    detail: str
    steps: list[PlanStep]


class Plan(BaseModel):
    """A query plan."""

    steps: list[PlanStep]


def rows_json(page: Page) -> dict[str, Any]:
    """A page as structured content."""
    shown: dict[str, Any] = {
        "columns": list(page.columns),
        "rows": [[values.to_json(value) for value in row] for row in page.rows],
        "more": page.more,
    }
    return {**shown, "next_offset": page.next_offset} if page.more else shown


def paged_result(page: Page, text: str, structured: dict[str, Any]) -> CallToolResult:
    """A page as content, with a second block that says how to go on where there is more."""
    content = [text]
    if page.more:
        note = f"{len(page.rows):,} rows from offset {page.offset:,}; there are more: offset {page.next_offset} goes on"
        content.append(note if page.ordered else f"{note}. Without ORDER BY their order is not promised")
    return CallToolResult(
        content=[TextContent(type="text", text=one) for one in content], structured_content=structured
    )


def add_query_tools(box: Toolbox, calls: Calls) -> None:
    """Register them."""

    @box.tool("Read Query", READS, FILES)
    async def read_query(
        ctx: AnyContext,
        query: Annotated[
            str, Field(description="SELECT statement (also WITH, VALUES, EXPLAIN, PRAGMA table_info)")
        ],
        parameters: Binding = None,
        limit: Limit = limits.ROWS,
        offset: Offset = 0,
        database: Database = None,
        timeout_s: Seconds = None,
    ) -> Annotated[CallToolResult, Rows]:
        """Run a SELECT on a connection that cannot change anything. The rows come in pages of at most 1 MiB."""
        bound = values.parameters(parameters)
        page = await calls.run(
            ctx, database, lambda access: _read(access, query, bound, limit, offset), timeout_s=timeout_s
        )
        return paged_result(page, str(page.records()), rows_json(page))

    @box.tool("Write Query", CHANGES)
    async def write_query(
        ctx: AnyContext,
        query: Annotated[str, Field(description="INSERT, UPDATE, DELETE or DDL statement")],
        parameters: Binding = None,
        database: Database = None,
        timeout_s: Seconds = None,
    ) -> Annotated[CallToolResult, Written]:
        """Run one statement that changes data or schema, as a transaction: on disk when it returns, or undone."""
        bound = values.parameters(parameters)
        done = await calls.run(
            ctx, database, lambda access: _write(access, query, bound), timeout_s=timeout_s
        )
        content = [str([{"affected_rows": done.affected_rows}])]
        structured: dict[str, Any] = {"affected_rows": done.affected_rows}
        if done.returned is not None:
            content.append(str(done.returned.records()))
            structured["returned"] = rows_json(done.returned)
        return CallToolResult(
            content=[TextContent(type="text", text=one) for one in content], structured_content=structured
        )

    @box.tool("Create Table", ADDS)
    async def create_table(
        ctx: AnyContext,
        query: Annotated[str, Field(description="CREATE TABLE statement")],
        database: Database = None,
    ) -> Annotated[CallToolResult, Made]:
        """Create a table, also one filled by a SELECT (CREATE TABLE ... AS). Changes nothing that is there."""
        await calls.run(ctx, database, lambda access: _create(access, query))
        return _said("Table created successfully")

    @box.tool("Explain", READS, FILES)
    async def explain(
        ctx: AnyContext,
        query: Annotated[str, Field(description="The statement to explain; it is not run")],
        parameters: Binding = None,
        database: Database = None,
    ) -> Annotated[CallToolResult, Plan]:
        """Show how SQLite would run a statement (EXPLAIN QUERY PLAN) as a tree: which indices it uses, what it
        scans and sorts."""
        bound = values.parameters(parameters)
        steps = await calls.run(ctx, database, lambda access: _explain(access, query, bound))
        structured = {"steps": [_step_json(step) for step in steps]}
        text = "\n".join(_outline(steps)) or "nothing to plan: the statement visits no table"
        return CallToolResult(content=[TextContent(type="text", text=text)], structured_content=structured)


# The parameter `query` has the name that the reference gives it, so the module goes by these.
_read, _write, _create, _explain, _outline = (
    query.read,
    query.write,
    query.create_table,
    query.explain,
    query.outline,
)


def _said(message: str) -> CallToolResult:
    return CallToolResult(
        content=[TextContent(type="text", text=message)], structured_content={"message": message}
    )


def _step_json(step: Step) -> dict[str, Any]:
    return {"detail": step.detail, "steps": [_step_json(one) for one in step.steps]}
