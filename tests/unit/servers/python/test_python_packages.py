"""Which packages there are: read from metadata, safely where others can write."""

from __future__ import annotations

import os
from importlib.metadata import distributions
from pathlib import Path

from omnimind.servers.python import packages


def put(folder: Path, name: str, version: str, summary: str = "s", kind: str = ".dist-info") -> None:
    made = folder / f"{name}-{version}{kind}"
    made.mkdir(parents=True)
    file = "METADATA" if kind == ".dist-info" else "PKG-INFO"
    (made / file).write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nSummary: {summary}\n\nName: not-this\n"
    )


def test_the_interpreters_own_packages_are_those_it_can_import() -> None:
    listed = packages.found(packages.library_folders(), None)
    names = {packages.canonical(package.name): package for package in listed}
    really = {packages.canonical(one.name) for one in distributions()}
    assert {"pytest", "mcp", "anyio"} <= names.keys() <= really
    assert names["pytest"].summary.startswith("pytest:")
    assert [packages.canonical(package.name) for package in listed] == sorted(names)


def test_what_was_installed_comes_before_what_is_there(tmp_path: Path) -> None:
    put(tmp_path / "base", "Some.Thing", "1.0")
    put(tmp_path / "base", "other", "3", kind=".egg-info")
    put(tmp_path / "mine", "some_thing", "2.0", "newer")
    found = packages.found([str(tmp_path / "base")], str(tmp_path / "mine"))
    assert [(one.name, one.version, one.installed) for one in found] == [
        ("other", "3", False),
        ("some_thing", "2.0", True),
    ]
    assert [one.name for one in packages.found([str(tmp_path / "base")], None, "THING")] == ["Some.Thing"]
    assert packages.found([str(tmp_path / "none")], None) == []


def test_metadata_that_is_a_link_a_pipe_or_nonsense_is_passed_over(tmp_path: Path) -> None:
    put(tmp_path, "good", "1")
    secret = tmp_path / "secret"
    secret.write_text("Name: secret\nVersion: 1\n")
    folders = [tmp_path / f"bad{number}-1.dist-info" for number in range(4)]
    for folder in folders:
        folder.mkdir()
    (folders[0] / "METADATA").symlink_to(secret)
    os.mkfifo(folders[1] / "METADATA")
    (folders[2] / "METADATA").write_bytes(b"\xff\xfe" * 9)
    (folders[3] / "METADATA").mkdir()
    put(tmp_path / "elsewhere", "secret", "1")
    (tmp_path / "linked-1.dist-info").symlink_to(tmp_path / "elsewhere/secret-1.dist-info")
    assert [one.name for one in packages.found([], str(tmp_path))] == ["good"]
    names = [one.name for one in packages.found([str(tmp_path)], None)]
    assert names == ["good", "secret"], "an interpreter's own library may be made of links"
