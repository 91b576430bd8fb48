"""The shipped JSON Schema and the loader know the same keys, ranges and defaults."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import test_settings as cases

import omnimind
from omnimind import settings
from omnimind.errors import SettingsError
from omnimind.settings import fields, model

SCHEMA = json.loads((Path(omnimind.__file__).parent / "mcp_servers.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def keys(name: str) -> set[str]:
    return set(SCHEMA["$defs"][name]["properties"])


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_schema_and_loader_have_the_same_keys() -> None:
    assert set(SCHEMA["properties"]) == set(fields.TOP)
    assert keys("entry") == set(fields.ENTRY) | set(fields.SPELLINGS) | fields.CLIENT_KEYS
    assert keys("restart") == set(fields.RESTART)
    assert keys("recycle") == set(fields.RECYCLE)
    assert keys("resources") == set(fields.RESOURCES)
    assert keys("gateway") == set(fields.GATEWAY)
    assert keys("gateway_cache") == set(fields.GATEWAY_CACHE)
    assert keys("server_cache") == set(fields.SERVER_CACHE)
    assert keys("tool_cache") == set(fields.TOOL_CACHE)
    assert keys("orchestrator") == set(fields.ORCHESTRATOR)


@pytest.mark.parametrize(
    ("name", "section"),
    [
        ("gateway", model.GatewaySettings()),
        ("gateway", model.EdgeSettings()),
        ("orchestrator", model.OrchestratorSettings()),
        ("gateway_cache", model.CacheSettings()),
        ("server_cache", model.ServerCacheSettings()),
        ("restart", model.RestartSettings()),
        ("entry", model.ServerSettings(name="x", kind="stdio")),
    ],
)
def test_the_defaults_of_the_schema_are_the_models(name: str, section: Any) -> None:
    for field in dataclasses.fields(section):
        declared = SCHEMA["$defs"][name]["properties"].get(field.name, {})
        if isinstance(declared, dict) and "default" in declared:
            assert declared["default"] == getattr(section, field.name), field.name


@pytest.mark.parametrize(
    "value",
    [
        cases.CLAUDE_DESKTOP,
        cases.CLAUDE_CODE,
        cases.CLINE,
        cases.VS_CODE,
        cases.GEMINI,
        {"mcpServers": {"memory": {}}},
    ],
)
def test_a_good_file_is_valid_by_the_schema(value: Any) -> None:
    VALIDATOR.validate(value)


def _bounds() -> list[tuple[str, str, int, bool]]:
    found = []
    for name in ("gateway", "orchestrator", "restart", "recycle", "resources", "entry"):
        for key, declared in SCHEMA["$defs"][name]["properties"].items():
            if isinstance(declared, dict) and declared.get("$ref") == "#/$defs/milliseconds":
                declared = SCHEMA["$defs"]["milliseconds"]
            if not isinstance(declared, dict) or "minimum" not in declared:
                continue
            low, high = declared["minimum"], declared["maximum"]
            found += [(name, key, low, True), (name, key, high, True)]
            found += [(name, key, low - 1, False), (name, key, high + 1, False)]
    return found


@pytest.mark.parametrize(("name", "key", "value", "good"), _bounds())
def test_schema_and_loader_draw_the_same_bounds(
    tmp_path: Path, name: str, key: str, value: int, good: bool
) -> None:
    section: dict[str, Any] = {key: value}
    if key == "backoff_min_ms":
        section["backoff_max_ms"] = 86400000
    if key == "backoff_max_ms":
        section["backoff_min_ms"] = 0
    if key == "deadline_ms":
        section["timeout_ms"] = 1
    file: dict[str, Any] = {name: section}
    if name == "restart":
        file = {"orchestrator": {"restart": section}}
    if name in ("recycle", "resources"):
        file = {"mcpServers": {"x": {"command": "x", name: section}}}
    if name == "entry":
        file = {"mcpServers": {"x": {"command": "x", **section}}}
    path = tmp_path / "mcp_servers.json"
    path.write_text(json.dumps(file))
    assert VALIDATOR.is_valid(file) is good
    if good:
        settings.load(path, tmp_path)
    else:
        with pytest.raises(SettingsError):
            settings.load(path, tmp_path)
