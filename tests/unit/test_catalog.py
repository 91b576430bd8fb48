"""The catalogue of built-in servers."""

from __future__ import annotations

import re
from pathlib import Path

import omnimind
from omnimind import catalog
from omnimind.servers import sandbox


def test_the_nine_have_their_tiers_and_ports() -> None:
    assert {(b.name, b.tier, b.port) for b in catalog.BUILTINS} == {
        ("filesystem", "critical", 4327),
        ("memory", "critical", 4321),
        ("thinking", "critical", 4322),
        ("context", "high", 4323),
        ("git", "high", 4328),
        ("python", "high", 4324),
        ("sqlite", "medium", 4329),
        ("system_info", "medium", 4325),
        ("logging", "medium", 4326),
    }
    assert catalog.GATEWAY_PORT == 4320


def test_names_and_ports_are_distinct_and_aliases_lead_somewhere() -> None:
    assert len({b.name for b in catalog.BUILTINS}) == len({b.port for b in catalog.BUILTINS}) == 9
    for alias, name in catalog.ALIASES.items():
        found = catalog.find(alias)
        assert found is not None
        assert found.name == name == catalog.canonical(alias)
    assert catalog.find("nobody") is None


def test_every_server_has_a_folder() -> None:
    servers = Path(omnimind.__file__).parent / "servers"
    for builtin in catalog.BUILTINS:
        assert (servers / builtin.name).is_dir(), builtin.name


def test_no_server_runs_without_a_fence() -> None:
    assert set(sandbox.NEEDS) == {builtin.name for builtin in catalog.BUILTINS}


def test_no_other_module_writes_one_of_the_ports() -> None:
    package = Path(omnimind.__file__).parent
    pattern = re.compile(r"\b432\d\b")
    guilty = [
        f"{path.relative_to(package)}: {line.strip()}"
        for path in package.rglob("*.py")
        if path.name != "catalog.py"
        for line in path.read_text().splitlines()
        if pattern.search(line.partition("#")[0])
        and not line.strip().startswith(('"', "'"))
        and "help=" not in line
    ]
    assert guilty == []
