"""Arrows between the Rust crates point down only; what may be used where is held here, as in `deny.toml`."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.fleet import ROOT

OURS = {
    "omnimind-wire": set(),
    "omnimind-limits": set(),
    "omnimind-probes": set(),
    "omnimind-handles": set(),
    "omnimind-cache": set(),
    "omnimind-compress": set(),
    "omnimind-gateway": {
        "omnimind-wire",
        "omnimind-limits",
        "omnimind-cache",
        "omnimind-compress",
        "omnimind-handles",
        "omnimind-probes",
    },
    "omnimind-load": {"omnimind-wire"},
    "omnimind-py": {
        "omnimind-gateway",
        "omnimind-limits",
        "omnimind-cache",
        "omnimind-compress",
        "omnimind-handles",
        "omnimind-load",
    },
}
OWNERS = {
    "pyo3": {"omnimind-py"},
    "tokio": {"omnimind-gateway", "omnimind-load"},
    "hyper": {"omnimind-gateway", "omnimind-load"},
}


def direct_dependencies() -> dict[str, set[str]]:
    """Crate → what it needs to run, development aside."""
    done = subprocess.run(
        ["cargo", "metadata", "--format-version=1", "--no-deps", "--locked", "--offline"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    packages = json.loads(done.stdout)["packages"]
    return {
        package["name"]: {need["name"] for need in package["dependencies"] if need["kind"] is None}
        for package in packages
    }


def test_every_crate_has_its_place() -> None:
    assert direct_dependencies().keys() == OURS.keys()


@pytest.mark.parametrize("crate", OURS)
def test_a_crate_knows_only_those_below_it(crate: str) -> None:
    needs = direct_dependencies()[crate]
    assert needs & OURS.keys() <= OURS[crate]


@pytest.mark.parametrize("library", OWNERS)
def test_a_library_is_used_only_by_its_owners(library: str) -> None:
    users = {crate for crate, needs in direct_dependencies().items() if library in needs}
    assert users <= OWNERS[library]
