"""A client written for the reference servers works with ours unchanged: names, parameters, results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mcp.types import Tool
from reference_tools import ALL, READ_ONLY
from server_session import Session


def tools(session: Session) -> dict[str, Tool]:
    return {tool.name: tool for tool in session.ask(lambda client: client.list_tools()).tools}


@pytest.fixture(params=sorted(ALL))
def served(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, dict[str, Tool]]:
    return request.param, tools(Session(request.param, tmp_path, []))


def test_every_reference_tool_is_there_with_its_parameters(served: tuple[str, dict[str, Tool]]) -> None:
    name, ours = served
    for tool, (parameters, required) in ALL[name].items():
        schema = ours[tool].input_schema
        assert parameters <= set(schema["properties"]), tool
        assert set(schema.get("required", [])) == required, tool


def test_every_tool_and_parameter_is_described(served: tuple[str, dict[str, Tool]]) -> None:
    for name, tool in served[1].items():
        assert tool.title, name
        assert tool.description, name
        assert len(tool.description) > 20, name
        for parameter, schema in tool.input_schema["properties"].items():
            obvious = parameter in ("limit", "offset")
            assert obvious or schema.get("description"), f"{name}({parameter})"


def test_hints_are_honest(served: tuple[str, dict[str, Tool]]) -> None:
    for name, tool in served[1].items():
        hints = tool.annotations
        assert hints is not None
        assert hints.read_only_hint is (name in READ_ONLY), name
        assert hints.open_world_hint is False, name
        destructive = name.startswith(
            ("delete_", "dissociate_", "update_", "consolidate_", "edit_", "move_", "write_")
        )
        assert hints.destructive_hint is destructive, name


def test_lists_of_tools_are_free_of_noise(served: tuple[str, dict[str, Tool]]) -> None:
    for tool in served[1].values():
        schema = json.dumps(tool.input_schema)
        assert '"title": "' not in schema
        assert '"type": "null"' not in schema


def test_lists_may_be_kept_by_anyone_for_five_minutes(tmp_path: Path) -> None:
    listed = Session("memory", tmp_path, []).ask(lambda client: client.list_tools())
    assert (listed.ttl_ms, listed.cache_scope) == (300_000, "public")


@pytest.mark.parametrize("name", sorted(ALL))
def test_nothing_but_read_only_tools_leaves_no_trace(name: str, tmp_path: Path) -> None:
    """Calling every read-only tool with what it needs changes no stored byte that a reader could see."""
    session = Session(name, tmp_path, [])
    arguments: dict[str, Any] = {"path": ".", "paths": ["x"], "pattern": "*", "query": "x", "names": ["x"]}
    arguments |= {"id": "x", "session_id": "x"}
    before = observable(session, name)
    for tool, schema in tools(session).items():
        if tool in READ_ONLY:
            session.call(tool, **{key: arguments[key] for key in schema.input_schema.get("required", [])})
    assert observable(session, name) == before


def observable(session: Session, name: str) -> str:
    asked = {"filesystem": "directory_tree", "memory": "export_memory", "thinking": "list_thinking_sessions"}
    return session.text(asked[name], **({"path": "."} if name == "filesystem" else {}))
