"""The shipped JSON Schema and the loader know the same keys, ranges and defaults."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest
import test_settings as cases

import omnimind
from omnimind import settings
from omnimind.errors import SettingsError
from omnimind.limits import TokenBucket
from omnimind.settings import compress, fields, limits, model
from tests.fleet import ROOT

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
    assert keys("server_compress") == set(compress.SERVER_COMPRESS)
    assert keys("pressed") == set(compress.PRESS)
    assert keys("client_compress") == set(compress.CLIENT_COMPRESS)
    assert keys("gateway_limits") == set(limits.GATEWAY_LIMITS)
    assert keys("server_limits") == set(limits.SERVER_LIMITS)
    assert keys("tool_limits") == set(limits.TOOL_LIMITS)
    assert keys("quota") == set(limits.QUOTA)
    assert keys("pool") == set(limits.POOL)
    assert keys("orchestrator") == set(fields.ORCHESTRATOR)


@pytest.mark.parametrize(
    ("name", "section"),
    [
        ("gateway", model.GatewaySettings()),
        ("gateway", model.EdgeSettings()),
        ("orchestrator", model.OrchestratorSettings()),
        ("gateway_cache", model.CacheSettings()),
        ("pressed", model.PressSettings()),
        ("server_compress", model.PressSettings()),
        ("server_compress", model.ServerCompressSettings()),
        ("client_compress", model.PressSettings()),
        ("server_cache", model.ServerCacheSettings()),
        ("restart", model.RestartSettings()),
        ("gateway_limits", model.LimitsSettings()),
        ("server_limits", model.ServerLimitsSettings()),
        ("tool_limits", model.ToolLimitsSettings("x")),
        ("pool", model.PoolSettings()),
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


PLACES: dict[str, Callable[[Any], dict[str, Any]]] = {
    "entry": lambda section: {"mcpServers": {"x": {"command": "x", **section}}},
    "restart": lambda section: {"orchestrator": {"restart": section}},
    "recycle": lambda section: {"mcpServers": {"x": {"command": "x", "recycle": section}}},
    "resources": lambda section: {"mcpServers": {"x": {"command": "x", "resources": section}}},
    "server_limits": lambda section: {"mcpServers": {"x": {"command": "x", "limits": section}}},
    "tool_limits": lambda section: {
        "mcpServers": {"x": {"command": "x", "limits": {"tools": {"t": section}}}}
    },
    "quota": lambda section: {"gateway": {"limits": {"tenant": {"per_s": 1, **section}}}},
    "pool": lambda section: {"mcpServers": {"x": {"url": "http://x", "pool": section}}},
}
"""Where a section stands in a file, if not at its top."""


def _bounds() -> list[tuple[str, str, int, bool]]:
    found = []
    for name in (*PLACES, "gateway", "orchestrator"):
        for key, declared in SCHEMA["$defs"][name]["properties"].items():
            if isinstance(declared, dict) and declared.get("$ref") in (
                "#/$defs/milliseconds",
                "#/$defs/per_s",
            ):
                declared = SCHEMA["$defs"][declared["$ref"].rsplit("/", 1)[1]]
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
    if key == "min_idle":
        section["max_connections"] = 1000
    if key == "deadline_ms":
        section["timeout_ms"] = 1
    file = PLACES[name](section) if name in PLACES else {name: section}
    path = tmp_path / "mcp_servers.json"
    path.write_text(json.dumps(file))
    assert VALIDATOR.is_valid(file) is good
    if good:
        settings.load(path, tmp_path)
    else:
        with pytest.raises(SettingsError):
            settings.load(path, tmp_path)


@pytest.mark.parametrize(
    "value",
    [
        {"limits": {"tenant": {"burst": 5}}},
        {"limits": {"tenant": "10"}},
        {"limits": {"tools": {"t": 5}}},
        {"limits": {"tools": {"t": {"class": "urgent"}}}},
        {"limits": {"policy": "cpu-step"}},
        {"limits": True},
        {"limits": {"rate_per_s": 5}},
    ],
)
def test_what_limits_cannot_say_is_refused_by_both(tmp_path: Path, value: Any) -> None:
    file = PLACES["entry"](value)
    assert not VALIDATOR.is_valid(file)
    (tmp_path / "x.json").write_text(json.dumps(file))
    with pytest.raises(SettingsError):
        settings.load(tmp_path / "x.json", tmp_path)


def test_every_rate_that_may_be_said_is_one_that_a_bucket_can_keep() -> None:
    per_s, burst = SCHEMA["$defs"]["per_s"], SCHEMA["$defs"]["quota"]["properties"]["burst"]
    for rate in (per_s["minimum"], per_s["maximum"]):
        for most in (burst["minimum"], burst["maximum"]):
            TokenBucket(rate, most)


RUST = ROOT / "rust" / "gateway" / "src" / "config"


@pytest.mark.parametrize(
    ("file", "struct", "section"),
    [
        ("limits.rs", "ServerLimits", model.ServerLimitsSettings()),
        ("limits.rs", "ToolLimits", model.ToolLimitsSettings("x")),
        ("pool.rs", "Pool", model.PoolSettings()),
    ],
)
def test_the_numbers_of_the_gateway_are_the_models(file: str, struct: str, section: Any) -> None:
    """The gateway is always told all of them; its own are for whoever starts it without us."""
    source = (RUST / file).read_text()
    block = re.search(rf"impl Default for {struct} \{{(.*?)\n\}}", source, re.DOTALL)
    assert block is not None
    told = {key: int(value.replace("_", "")) for key, value in re.findall(r"(\w+): ([\d_]+)\b", block[1])}
    assert told
    assert told == {key: getattr(section, key) for key in told}


@pytest.mark.parametrize(
    ("file", "name", "default"),
    [
        ("limits.rs", "RatePolicy", model.LimitsSettings().policy),
        ("limits.rs", "ConcurrencyPolicy", model.ServerLimitsSettings().policy),
        ("pool.rs", "Http2", model.PoolSettings().http2),
    ],
)
def test_the_words_of_the_gateway_are_the_models(file: str, name: str, default: str) -> None:
    block = re.search(rf"pub enum {name} \{{(.*?)\n\}}", (RUST / file).read_text(), re.DOTALL)
    assert block is not None
    words = re.findall(r"^ +([A-Z]\w+),$", block[1], re.MULTILINE)
    usual = re.search(r"#\[default\]\s+(\w+),", block[1])
    assert usual is not None
    types = {"RatePolicy": model.RatePolicy, "ConcurrencyPolicy": model.Policy, "Http2": model.Http2}
    assert {_kebab(word) for word in words} == set(get_args(types[name]))
    assert _kebab(usual[1]) == default


def _kebab(word: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", word).lower()
