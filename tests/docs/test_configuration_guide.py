"""docs/configuration.md says what is: its files load, its commands run, its tables are the code's."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
from pathlib import Path

import pytest

from omnimind import catalog, cli, settings
from omnimind.settings import (
    EdgeSettings,
    GatewaySettings,
    OrchestratorSettings,
    PoolSettings,
    ServerLimitsSettings,
    ServerSettings,
    fields,
    limits,
)

GUIDE = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
FILES = re.findall(r"```json\n(.*?)```", GUIDE, re.DOTALL)
COMMANDS = re.findall(r"^\$ (omnimind .*)$", GUIDE, re.MULTILINE)


def section(title: str) -> str:
    return GUIDE.split(f"# {title}\n", 1)[1].split("\n#", 1)[0]


def rows(title: str) -> list[list[str]]:
    found = [line.strip("| ").split(" | ") for line in section(title).splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row] for row in found[1:]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "OMNIMIND_STATE"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.setenv("GITHUB_TOKEN", "x")
    (tmp_path / "home" / ".config").mkdir(parents=True)
    (tmp_path / "home" / ".config" / "docs-token").write_text("t\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("text", FILES)
def test_every_file_in_the_guide_loads(home: Path, text: str) -> None:
    (home / "mcp_servers.json").write_text(text)
    settings.load(home / "mcp_servers.json", home / "state")


def test_every_command_in_the_guide_works(home: Path) -> None:
    (home / "mcp_servers.json").write_text(FILES[0])
    assert COMMANDS
    for command in COMMANDS:
        words = shlex.split(command.partition(">")[0])
        assert cli.main(words[1:]) == 0, command


def test_the_guide_lists_the_servers_of_this_version() -> None:
    text = section("Entries")
    for builtin in catalog.BUILTINS:
        assert re.search(
            rf"^\| {builtin.name}[ (].*\| {builtin.port} \| {builtin.tier} \|$", text, re.MULTILINE
        )


@pytest.mark.parametrize(
    ("title", "keys"),
    [
        ("Keys of an entry", set(fields.ENTRY) - {"type"}),
        ("The gateway", set(fields.GATEWAY)),
        ("The orchestrator", set(fields.ORCHESTRATOR)),
        ("Limits", set(limits.SERVER_LIMITS) | set(limits.GATEWAY_LIMITS)),
        ("Connections", set(limits.POOL)),
    ],
)
def test_the_guide_lists_every_key(title: str, keys: set[str]) -> None:
    assert {key for row in rows(title) for key in re.findall(r"`(\w+)`", row[0])} == keys


def test_the_defaults_in_the_guide_are_the_models() -> None:
    models = (
        ServerSettings("x", "stdio"),
        GatewaySettings(),
        EdgeSettings(),
        OrchestratorSettings(),
        ServerLimitsSettings(),
        PoolSettings(),
    )
    defaults = {f.name: getattr(model, f.name) for model in models for f in dataclasses.fields(model)}
    checked = 0
    for title in ("Keys of an entry", "The gateway", "Limits", "Connections", "The orchestrator"):
        for keys, _, default in (row for row in rows(title) if len(row) == 3):
            names, numbers = re.findall(r"`(\w+)`", keys), re.findall(r"\d+", default)
            if "{" in default:
                assert json.loads(default.strip("`")) == dataclasses.asdict(defaults["restart"])
            elif numbers and default.replace(",", "").replace(" ", "").isdigit():
                assert [str(defaults[name]) for name in names] == numbers
                checked += len(names)
    assert checked >= 24
