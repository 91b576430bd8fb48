"""What lists of tools cost, and their shorter forms from Python."""

from __future__ import annotations

import json
from typing import Any

import pytest

from omnimind.compression import tokens, tool_lists

TOOL: dict[str, Any] = {
    "name": "read_file",
    "title": "Read File",
    "description": "Reads a file.  All of it,\n\n\nif nothing else is said.",
    "inputSchema": {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "path": {"type": "string", "title": "Path"},
            "mode": {"enum": ["text", "bytes"], "default": "text"},
        },
        "required": ["path"],
    },
    "outputSchema": {"type": "object", "properties": {"content": {"type": "string"}}},
}


def test_each_form_says_less_and_costs_what_its_text_costs() -> None:
    found = tool_lists.costs([TOOL])
    text = tool_lists.written([TOOL])
    assert (
        found.whole
        == tokens.count(text)
        == tokens.count(json.dumps({"tools": [TOOL]}, separators=(",", ":")))
    )
    assert found.pruned == tokens.count(tool_lists.pruned(text))
    assert found.signatures == tokens.count(tool_lists.signatures(text))
    assert found.whole > found.shown > found.pruned >= found.pruned_shown > found.signatures
    assert tool_lists.costs([]) == tool_lists.Costs(0, 0, 0, 0, 0)


def test_the_signature_is_a_line_and_the_pruned_form_the_protocols() -> None:
    text = tool_lists.written([TOOL])
    _, line = tool_lists.signatures(text).split("\n")
    assert line == "read_file(path, mode?:text|bytes=text) - Reads a file"
    (pruned,) = json.loads(tool_lists.pruned(text))["tools"]
    assert pruned["inputSchema"]["required"] == ["path"]
    assert "outputSchema" not in pruned


@pytest.mark.parametrize(
    "wrap", [lambda tools: tools, lambda tools: {"tools": tools}, lambda tools: {"result": {"tools": tools}}]
)
def test_a_list_may_be_told_in_three_ways(wrap: Any) -> None:
    text = json.dumps(wrap([TOOL]))
    assert "read_file(" in tool_lists.signatures(text)
    assert '"read_file"' in tool_lists.pruned(text)


@pytest.mark.parametrize("text", ["", "[]", "{}", "7", '[{"name": "x"}]', '{"tools": {}}', '["x"]'])
def test_what_is_no_list_of_tools_is_refused(text: str) -> None:
    for form in (tool_lists.pruned, tool_lists.signatures):
        with pytest.raises(ValueError, match="no list of tools"):
            form(text)


def test_half_a_character_is_counted_like_any_other() -> None:
    assert tool_lists.costs([TOOL | {"description": "half \ud800"}]).whole > 0
