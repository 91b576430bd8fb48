"""The MCP face of the memory server: the nine tools of the reference server unchanged, and ours beside them.

Every tool works on the data of the calling principal alone. A change of the graph is announced as a change
of the resource `memory://knowledge-graph`.
"""

from __future__ import annotations

import json
import sqlite3
from typing import Annotated, Any

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ResourceError
from mcp.types import CallToolResult
from pydantic import BaseModel, ConfigDict, Field

from omnimind.servers import ServerContext
from omnimind.servers.changes import Changes
from omnimind.servers.database import Databases
from omnimind.servers.depends import FILES, rests_on
from omnimind.servers.desk import Desk
from omnimind.servers.memory import graph
from omnimind.servers.memory.export import entity_json, relation_json
from omnimind.servers.memory.recall import add_recall_tools
from omnimind.servers.memory.schema import MIGRATIONS
from omnimind.servers.problem import Problem
from omnimind.servers.tools import (
    ADDS,
    READS,
    REPLACES,
    Toolbox,
    data_result,
    new_server,
)
from omnimind.servers.worker import lowlevel

GRAPH_URI = "memory://knowledge-graph"


class EntityItem(BaseModel):
    """An entity on the wire."""

    name: str = Field(description="The name of the entity")
    entityType: str = Field(description="The type of the entity")
    observations: list[str] = Field(description="What is known of it")

    def inner(self) -> graph.Entity:
        return graph.Entity(self.name, self.entityType, tuple(self.observations))


class RelationItem(BaseModel):
    """A relation on the wire."""

    model_config = ConfigDict(populate_by_name=True)

    source: str = Field(alias="from", description="The entity where the relation starts")
    to: str = Field(description="The entity where the relation ends")
    relationType: str = Field(description="The type of the relation, in the active voice")

    def inner(self) -> graph.Relation:
        return graph.Relation(self.source, self.to, self.relationType)


class Addition(BaseModel):
    """Observations for one entity."""

    entityName: str = Field(description="The entity to add to")
    contents: list[str] = Field(description="The observations to add")


class Deletion(BaseModel):
    """Observations to take from one entity."""

    entityName: str = Field(description="The entity to take from")
    observations: list[str] = Field(description="The observations to delete, word for word")


class Added(BaseModel):
    """What add_observations did for one entity."""

    entityName: str
    addedObservations: list[str]


class Entities(BaseModel):
    """The result of create_entities."""

    entities: list[EntityItem]


class Relations(BaseModel):
    """The result of create_relations."""

    relations: list[RelationItem]


class Additions(BaseModel):
    """The result of add_observations."""

    results: list[Added]


class Done(BaseModel):
    """The result of a deletion."""

    success: bool
    message: str


class GraphPart(BaseModel):
    """The result of the reading tools."""

    entities: list[EntityItem]
    relations: list[RelationItem]


class GraphPage(GraphPart):
    """The result of read_graph."""

    nextOffset: int | None = Field(None, description="Where to go on, if there is more")


def build(context: ServerContext) -> MCPServer:
    """The memory server on the state folder's `db/memory`. It takes no arguments."""
    if context.args:
        raise ValueError(f"the memory server takes no arguments, not {context.args[0]!r}")
    changes = Changes()

    async def changed(owner: str) -> None:
        await changes.publish(owner, GRAPH_URI)

    desk = Desk(Databases(context.state_dir / "db" / "memory", MIGRATIONS), changed)
    box = Toolbox()
    _add_writing(box, desk)
    _add_deleting(box, desk)
    _add_reading(box, desk)
    add_recall_tools(box, desk)
    server = new_server(
        context,
        box,
        title="Memory",
        instructions=(
            "Remembers across sessions: a graph of entities, observations and relations (create_entities, "
            "search_nodes), and memories as free text (store_memory, retrieve_memories)."
        ),
    )
    _add_resource(server, desk)
    changes.serve_on(lowlevel(server))
    return server


def _part_json(part: graph.Part) -> dict[str, Any]:
    return {
        "entities": [entity_json(entity) for entity in part.entities],
        "relations": [relation_json(relation) for relation in part.relations],
    }


def _add_writing(box: Toolbox, desk: Desk) -> None:
    @box.tool("Create Entities", ADDS)
    async def create_entities(
        entities: Annotated[list[EntityItem], Field(description="The entities to add")],
    ) -> Annotated[CallToolResult, Entities]:
        """Add entities to the knowledge graph. One whose name exists is skipped. Returns the new ones."""
        wanted = [entity.inner() for entity in entities]
        created = await desk.change(lambda data, now: graph.create_entities(data, wanted, now))
        printed = [entity_json(entity) for entity in created]
        return data_result({"entities": printed}, printed)

    @box.tool("Create Relations", ADDS)
    async def create_relations(
        relations: Annotated[list[RelationItem], Field(description="The relations to add")],
    ) -> Annotated[CallToolResult, Relations]:
        """Add relations between entities. One that exists is skipped. Returns the new ones."""
        wanted = [relation.inner() for relation in relations]
        created = await desk.change(lambda data, now: graph.create_relations(data, wanted, now))
        printed = [relation_json(relation) for relation in created]
        return data_result({"relations": printed}, printed)

    @box.tool("Add Observations", ADDS)
    async def add_observations(
        observations: Annotated[list[Addition], Field(description="What to add to which entity")],
    ) -> Annotated[CallToolResult, Additions]:
        """Add observations to existing entities. One that is there is skipped. Returns the new ones."""
        wanted = [(one.entityName, one.contents) for one in observations]
        results = await desk.change(lambda data, now: graph.add_observations(data, wanted, now))
        printed = [{"entityName": name, "addedObservations": added} for name, added in results]
        return data_result({"results": printed}, printed)


def _add_deleting(box: Toolbox, desk: Desk) -> None:
    def done(message: str) -> CallToolResult:
        return data_result({"success": True, "message": message}, message)

    @box.tool("Delete Entities", REPLACES)
    async def delete_entities(
        entityNames: Annotated[list[str], Field(description="The names of the entities")],
    ) -> Annotated[CallToolResult, Done]:
        """Delete entities with their observations and relations. Unknown names are ignored."""
        await desk.change(lambda data, _: graph.delete_entities(data, entityNames))
        return done("Entities deleted successfully")

    @box.tool("Delete Observations", REPLACES)
    async def delete_observations(
        deletions: Annotated[list[Deletion], Field(description="What to delete from which entity")],
    ) -> Annotated[CallToolResult, Done]:
        """Delete observations from entities. What is not there is ignored."""
        wanted = [(one.entityName, one.observations) for one in deletions]
        await desk.change(lambda data, _: graph.delete_observations(data, wanted))
        return done("Observations deleted successfully")

    @box.tool("Delete Relations", REPLACES)
    async def delete_relations(
        relations: Annotated[list[RelationItem], Field(description="The relations to delete")],
    ) -> Annotated[CallToolResult, Done]:
        """Delete relations. What is not there is ignored."""
        wanted = [relation.inner() for relation in relations]
        await desk.change(lambda data, _: graph.delete_relations(data, wanted))
        return done("Relations deleted successfully")


def _add_reading(box: Toolbox, desk: Desk) -> None:
    @box.tool("Read Graph", READS, FILES)
    async def read_graph(
        limit: Annotated[int | None, Field(ge=1, description="At most so many entities")] = None,
        offset: Annotated[int, Field(ge=0, description="Skip so many entities first")] = 0,
    ) -> Annotated[CallToolResult, GraphPage]:
        """Read the whole knowledge graph, or with limit and offset a part of it."""

        def work(data: sqlite3.Connection) -> dict[str, Any]:
            answer = _part_json(graph.read(data, offset, limit))
            after = offset + len(answer["entities"])
            return {**answer, "nextOffset": after} if limit and after < graph.count(data) else answer

        return data_result(await desk.read(work))

    @box.tool("Search Nodes", READS, FILES)
    async def search_nodes(
        query: Annotated[str, Field(description="Text that a name, type or observation contains")],
    ) -> Annotated[CallToolResult, GraphPart]:
        """Find entities by text, in any case; returns them with all their relations."""
        return data_result(_part_json(await desk.read(lambda data: graph.search(data, query))))

    @box.tool("Open Nodes", READS, FILES)
    async def open_nodes(
        names: Annotated[list[str], Field(description="The names of the entities")],
    ) -> Annotated[CallToolResult, GraphPart]:
        """Get entities by name, with all their relations. Unknown names are left out."""
        return data_result(_part_json(await desk.read(lambda data: graph.open_nodes(data, names))))


def _add_resource(server: MCPServer, desk: Desk) -> None:
    @server.resource(
        GRAPH_URI,
        name="knowledge-graph",
        title="Knowledge Graph",
        description="All entities and relations",
        mime_type="application/json",
    )
    async def knowledge_graph() -> str:
        rests_on(FILES)
        try:
            part = await desk.read(graph.read)
        except Problem as problem:
            raise ResourceError(str(problem)) from problem
        return json.dumps(_part_json(part), ensure_ascii=False, separators=(",", ":"))
