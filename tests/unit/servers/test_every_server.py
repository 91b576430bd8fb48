"""What holds for every built-in server: described tools, honest hints, schemas that cost few tokens and are kept.

A server joins by its row in the catalogue; what its tools take is in `tests/fixtures/examples/<name>.py`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from running_server import Seen, look_at

from omnimind import catalog
from omnimind._core import count_tokens

SHOWN = ("name", "description", "inputSchema")
"""What clients give to a model of every tool."""

TOKENS = {
    "filesystem": (1_400, 1_900),
    "memory": (2_150, 5_150),
    "thinking": (1_200, 2_850),
    "context": (2_250, 4_100),
    "git": (3_150, 5_350),
    "python": (1_700, 4_100),
    "sqlite": (1_850, 3_600),
    "system_info": (850, 3_350),
    "logging": (1_750, 3_450),
}
"""What a server's tools may cost in tokens: a model, and on the wire with output schemas and hints. The figures are
those of today and a little more; raise one only for something worth it."""

UNMEASURED = (3_500, 6_000)

OBVIOUS = {"limit", "offset"}
LONGEST_DESCRIPTION = 600
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
DESTROYING = re.compile(
    r"(delete|remove|drop|overwrite|reset|restore)_|.*_(delete|remove|drop|reset|restore)$"
)


@pytest.fixture(scope="module", params=[builtin.name for builtin in catalog.BUILTINS])
def seen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    return look_at(request.param, tmp_path_factory.mktemp(request.param))


def test_there_is_an_example_of_every_tool(seen: Seen) -> None:
    examples = {example.tool for example in seen.examples.examples}
    where = f"tests/fixtures/examples/{seen.examples.name}.py"
    assert set(seen.tools) - examples == set(), f"tools without an example in {where}"
    assert examples - set(seen.tools) == set(), f"examples in {where} of tools that are not there"


def test_every_good_example_is_answered(seen: Seen) -> None:
    for tool, result in seen.results:
        assert not result.is_error, f"{tool}: {result.content}"


def test_only_a_tool_without_parameters_has_no_bad_example(seen: Seen) -> None:
    for example in seen.examples.examples:
        if example.bad is None:
            assert not seen.tools[example.tool].input_schema["properties"], example.tool
        else:
            assert len(example.says) > 3, f"{example.tool}: what does the refusal say?"


def test_every_tool_and_parameter_is_described(seen: Seen) -> None:
    for name, tool in seen.tools.items():
        assert tool.title, name
        assert tool.description, name
        assert 20 < len(tool.description) <= LONGEST_DESCRIPTION, (
            f"{name}: {len(tool.description)} characters"
        )
        for parameter, schema in tool.input_schema["properties"].items():
            assert parameter in OBVIOUS or schema.get("description"), f"{name}({parameter}) is not described"
            assert {"type", "anyOf", "$ref", "enum", "const"} & schema.keys(), (
                f"{name}({parameter}) has no type"
            )


def test_names_are_what_every_model_takes(seen: Seen) -> None:
    for name in seen.tools:
        assert NAME.fullmatch(f"{seen.examples.name}__{name}"), name


def test_hints_are_complete_and_agree(seen: Seen) -> None:
    for name, tool in seen.tools.items():
        hints = tool.annotations
        assert hints is not None, name
        said = hints.model_dump(
            include={"read_only_hint", "destructive_hint", "idempotent_hint", "open_world_hint"}
        )
        assert None not in said.values(), f"{name} says nothing about some hint: {said}"
        if hints.read_only_hint:
            assert not hints.destructive_hint, f"{name} reads and destroys"
            assert hints.idempotent_hint, (
                f"{name} only reads and is said to do something else the second time"
            )
        if DESTROYING.match(name):
            assert hints.destructive_hint, f"{name} destroys, by its name"


def test_tools_that_only_read_change_nothing(seen: Seen) -> None:
    for name, tool in seen.tools.items():
        assert tool.annotations is not None
        if tool.annotations.read_only_hint:
            assert seen.changed_by[name] == [], f"{name} is marked as reading only"


def test_a_refused_call_changes_nothing(seen: Seen) -> None:
    assert {tool: changes for tool, changes in seen.refusals.items() if changes} == {}


def test_some_tool_was_seen_to_change_something(seen: Seen) -> None:
    """Otherwise the test above looks in the wrong place."""
    hints = {name: tool.annotations for name, tool in seen.tools.items()}
    if any(hint is not None and not hint.read_only_hint for hint in hints.values()):
        assert any(seen.changed_by.values())


def test_schemas_are_free_of_noise(seen: Seen) -> None:
    for name, tool in seen.tools.items():
        for schema in (tool.input_schema, tool.output_schema or {}):
            assert list(noise(schema)) == [], name


def noise(schema: Any, path: str = "") -> Iterator[str]:
    """What a schema says that helps no reader: titles, and `null` beside a type of a parameter."""
    if isinstance(schema, list):
        for at, part in enumerate(schema):
            yield from noise(part, f"{path}/{at}")
    elif isinstance(schema, dict):
        if isinstance(schema.get("title"), str):
            yield f"{path}/title"
        if "default" in schema and schema["default"] is None:
            yield f"{path}/default"
        for key, part in schema.items():
            yield from noise(part, f"{path}/{key}")


def test_schemas_are_schemas(seen: Seen) -> None:
    for tool in seen.tools.values():
        Draft202012Validator.check_schema(tool.input_schema)
        Draft202012Validator.check_schema(tool.output_schema or {})


def test_results_keep_to_the_schema_that_was_listed(seen: Seen) -> None:
    for name, result in seen.results:
        schema = seen.tools[name].output_schema
        if schema is None:
            plain = result.structured_content is None or set(result.structured_content) == {"content"}
            assert plain, f"{name} returns data and lists no output schema"
            assert result.content, name
        else:
            assert result.structured_content is not None, f"{name} lists an output schema and returns no data"
            wrong = Draft202012Validator(schema).iter_errors(result.structured_content)
            assert [error.message for error in wrong] == [], name


def test_arguments_of_the_examples_fit_the_schema_that_was_listed(seen: Seen) -> None:
    for example in seen.examples.examples:
        if not callable(example.good):
            wrong = Draft202012Validator(seen.tools[example.tool].input_schema).iter_errors(example.good)
            assert [error.message for error in wrong] == [], example.tool


def test_the_list_of_tools_is_not_dearer_than_it_was(seen: Seen) -> None:
    whole = [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in seen.tools.values()]
    shown = [{key: tool[key] for key in SHOWN} for tool in whole]
    tokens, listed = (count_tokens(json.dumps(part, separators=(",", ":"))) for part in (shown, whole))
    print(
        f"\n{seen.examples.name}: {len(whole)} tools, {tokens:,} tokens for a model, {listed:,} on the wire"
    )
    bounds = TOKENS.get(seen.examples.name, UNMEASURED)
    within = (tokens <= bounds[0], listed <= bounds[1])
    assert within == (True, True), (
        f"{tokens:,} and {listed:,} tokens, {bounds} are allowed: shorten the words"
    )
