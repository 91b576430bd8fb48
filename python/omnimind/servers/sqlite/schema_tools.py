"""The tools that tell what there is: databases, tables, columns, indices, DDL and sizes."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

from mcp.types import CallToolResult, TextContent
from pydantic import BaseModel, Field

from omnimind.servers.depends import FILES
from omnimind.servers.problem import Problem
from omnimind.servers.sqlite import describe, limits
from omnimind.servers.sqlite.calls import AnyContext, Calls, Database, Limit, Offset
from omnimind.servers.sqlite.engine import Access
from omnimind.servers.sqlite.query_tools import Rows, paged_result, rows_json
from omnimind.servers.tools import ENSURES, READS, Toolbox, data_result

OneTable = Annotated[str | None, Field(description="Only this table")]


class DatabaseItem(BaseModel):
    """A database."""

    name: str
    bytes: int
    modified: str
    default: bool


class DatabaseList(BaseModel):
    """The databases of this caller."""

    databases: list[DatabaseItem]
    more: bool


class Created(BaseModel):
    """The result of create_database."""

    name: str
    created: bool


class Column(BaseModel):
    """A column, as PRAGMA table_info tells it."""

    cid: int
    name: str
    type: str
    notnull: int
    dflt_value: str | None
    pk: int


class Columns(BaseModel):
    """The columns of a table."""

    columns: list[Column]


class DefinitionItem(BaseModel):
    """One statement of the schema."""

    kind: str
    name: str
    table: str
    sql: str


class Definitions(BaseModel):
    """The schema."""

    definitions: list[DefinitionItem]


class IndexItem(BaseModel):
    """An index."""

    name: str
    table: str
    unique: bool
    partial: bool
    origin: str
    columns: list[str | None] = Field(description="null stands for an expression")
    sql: str | None


class Indices(BaseModel):
    """The indices."""

    indices: list[IndexItem]


class TableSize(BaseModel):
    """A table and its rows."""

    table: str
    rows: int
    bytes: int | None = Field(description="With its indices; null where SQLite cannot tell")


class Statistics(BaseModel):
    """The figures of a database."""

    bytes: int
    free_bytes: int
    page_bytes: int
    journal_mode: str
    encoding: str
    user_version: int
    application_id: int
    tables: list[TableSize]


def add_schema_tools(box: Toolbox, calls: Calls) -> None:
    """Register them."""
    _add_reference(box, calls)
    _add_databases(box, calls)
    _add_details(box, calls)


def _add_reference(box: Toolbox, calls: Calls) -> None:
    @box.tool("List Tables", READS, FILES)
    async def list_tables(
        ctx: AnyContext, database: Database = None, limit: Limit = limits.ROWS, offset: Offset = 0
    ) -> Annotated[CallToolResult, Rows]:
        """List the names of all tables in the database."""
        page = await calls.run(ctx, database, lambda access: describe.tables(access, limit, offset))
        return paged_result(page, str(page.records()), rows_json(page))

    @box.tool("Describe Table", READS, FILES)
    async def describe_table(
        ctx: AnyContext,
        table_name: Annotated[str, Field(description="Name of the table or view")],
        database: Database = None,
    ) -> Annotated[CallToolResult, Columns]:
        """Show the columns of a table: name, type, NOT NULL, default value, place in the primary key."""
        page = await calls.run(ctx, database, lambda access: describe.columns(access, table_name))
        records = page.records()
        return CallToolResult(
            content=[TextContent(type="text", text=str(records))], structured_content={"columns": records}
        )


def _add_databases(box: Toolbox, calls: Calls) -> None:
    @box.tool("List Databases", READS, FILES)
    async def list_databases(
        ctx: AnyContext, limit: Limit = limits.LISTED, offset: Offset = 0
    ) -> Annotated[CallToolResult, DatabaseList]:
        """List the databases that the other tools can name in `database`, with size and time of change."""

        def look(access: Access) -> dict[str, Any]:
            found: list[dict[str, Any]] = []
            for number, (place, spot) in enumerate(access.shelf.listed(access.watch.check)):
                if number >= offset + limit:
                    return {"databases": found, "more": True}
                if number >= offset:
                    modified = datetime.fromtimestamp(spot.modified, UTC).isoformat(timespec="seconds")
                    one = DatabaseItem(
                        name=place.shown, bytes=spot.bytes, modified=modified, default=place.default
                    )
                    found.append(one.model_dump())
            return {"databases": found, "more": False}

        return data_result(await calls.run(ctx, None, look))

    @box.tool("Create Database", ENSURES)
    async def create_database(
        ctx: AnyContext,
        database: Annotated[
            str, Field(description="Name ending in .db or .sqlite, like shop.db or 2026/shop.db")
        ],
    ) -> Annotated[CallToolResult, Created]:
        """Create an empty database. One that exists is left as it is."""
        if not database:
            raise Problem("the name of the database is empty; give one like shop.db")
        made = await calls.run(ctx, database, lambda access: (access.make(), access.place.shown))
        return data_result({"name": made[1], "created": made[0]})


def _add_details(box: Toolbox, calls: Calls) -> None:
    @box.tool("Schema", READS, FILES)
    async def schema(
        ctx: AnyContext, table: OneTable = None, database: Database = None
    ) -> Annotated[CallToolResult, Definitions]:
        """Show the DDL of the whole database, or of one table with its indices and triggers."""
        found = await calls.run(ctx, database, lambda access: describe.schema(access, table))
        text = "\n".join(f"{one.sql};" for one in found)
        return data_result({"definitions": [asdict(one) for one in found]}, text or "the database is empty")

    @box.tool("Indices", READS, FILES)
    async def indices(
        ctx: AnyContext, table: OneTable = None, database: Database = None
    ) -> Annotated[CallToolResult, Indices]:
        """List indices with their columns, also those that a UNIQUE or a PRIMARY KEY makes."""
        found = await calls.run(ctx, database, lambda access: describe.indices(access, table))
        return data_result({"indices": [asdict(one) for one in found]})

    @box.tool("Statistics", READS, FILES)
    async def statistics(ctx: AnyContext, database: Database = None) -> Annotated[CallToolResult, Statistics]:
        """Count the rows of every table and show sizes, journal mode, user_version and application_id."""
        return data_result(asdict(await calls.run(ctx, database, describe.figures)))
