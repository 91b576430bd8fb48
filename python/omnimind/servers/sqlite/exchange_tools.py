"""The tools that carry rows in and out as text."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from mcp.types import CallToolResult
from pydantic import BaseModel, Field

from omnimind.servers.depends import FILES
from omnimind.servers.sqlite import exchange, limits
from omnimind.servers.sqlite.calls import AnyContext, Calls, Database, Limit, Offset, Seconds, telling
from omnimind.servers.sqlite.exchange import Format, Mode
from omnimind.servers.sqlite.query_tools import paged_result
from omnimind.servers.tools import CHANGES, READS, Toolbox, data_result

AnyFormat = Annotated[
    Format, Field(description="csv, json (an array of objects) or jsonl (an object a line)")
]


class Exported(BaseModel):
    """Rows as text."""

    content: str
    rows: int
    more: bool
    next_offset: int | None = None


class Imported(BaseModel):
    """What an import did."""

    table: str
    columns: dict[str, str] = Field(description='Each column with its type; "" takes any value')
    rows: int


def add_exchange_tools(box: Toolbox, calls: Calls) -> None:
    """Register them."""

    @box.tool("Export Rows", READS, FILES)
    async def export_rows(
        ctx: AnyContext,
        table: Annotated[str | None, Field(description="The table or view to export")] = None,
        query: Annotated[str | None, Field(description="Or a SELECT whose rows to export")] = None,
        format: AnyFormat = "csv",
        limit: Limit = limits.ROWS,
        offset: Offset = 0,
        database: Database = None,
        timeout_s: Seconds = None,
    ) -> Annotated[CallToolResult, Exported]:
        """Export a table or a query as CSV or JSON, in pages that can be put behind one another (csv, jsonl).
        In CSV an empty field is NULL, "" the empty text, base64:... bytes."""
        text, page = await calls.run(
            ctx,
            database,
            lambda access: exchange.export_rows(access, table, query, format, limit, offset),
            timeout_s=timeout_s,
        )
        shown: dict[str, Any] = {"content": text, "rows": len(page.rows), "more": page.more}
        if page.more:
            shown["next_offset"] = page.next_offset
        return paged_result(page, text, shown)

    @box.tool("Import Rows", CHANGES)
    async def import_rows(
        ctx: AnyContext,
        table: Annotated[str, Field(description="The table to fill")],
        text: Annotated[
            str, Field(description="The rows, up to 4 MiB; CSV begins with the names of the columns")
        ],
        format: AnyFormat = "csv",
        mode: Annotated[
            Mode, Field(description="create a new table, append to one, or replace all rows of one")
        ] = "create",
        types: Annotated[
            dict[str, Literal["INTEGER", "REAL", "TEXT", "BLOB"]],
            Field(description="Types of columns of a new table; guessed from all rows where left out"),
        ] = {},  # noqa: B006
        database: Database = None,
        timeout_s: Seconds = None,
    ) -> Annotated[CallToolResult, Imported]:
        """Put rows from CSV or JSON text into a table: all of them, or none when one does not fit."""
        done = await calls.run(
            ctx,
            database,
            lambda access: exchange.import_rows(access, table, text, format, mode, types, telling(ctx)),
            timeout_s=timeout_s,
            usual_s=limits.SECONDS_MOST,
        )
        return data_result({"table": done.table, "columns": dict(done.columns), "rows": done.rows})
