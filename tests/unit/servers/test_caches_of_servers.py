"""What servers keep because work repeats, they keep in `omnimind.Cache`: bounded, counted, and right after a change."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures.repositories import Scratch
from server_session import Session

import omnimind.servers
from omnimind.servers.git import objects
from omnimind.servers.python import packages

SERVERS = Path(omnimind.servers.__file__).parent
UNBOUNDED = {"cache", "lru_cache", "cached_property"}


def test_no_server_has_a_cache_of_its_own_making() -> None:
    found = [
        f"{path.relative_to(SERVERS)}:{line}: {what}"
        for path in SERVERS.rglob("*.py")
        for line, what in _own(path)
    ]
    assert found == []


def _own(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "functools":
            yield from ((node.lineno, name.name) for name in node.names if name.name in UNBOUNDED)
        elif (
            isinstance(node, ast.Attribute)
            and node.attr in UNBOUNDED
            and ast.unparse(node.value) == "functools"
        ):
            yield node.lineno, node.attr
        elif isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Dict):
            target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
            name = ast.unparse(target).lower()
            if "cache" in name or "memo" in name:
                yield node.lineno, f"{name} is a dict"


def test_metadata_is_parsed_once_and_again_when_it_changed(tmp_path: Path) -> None:
    file = tmp_path / "one-1.0.dist-info" / "METADATA"
    file.parent.mkdir()
    known = packages.headers()
    for version in ("1.0", "1.1"):
        file.write_text(f"Name: one\nVersion: {version}\nSummary: a thing\n\nbody")
        for _ in range(3):
            (package,) = packages.found([str(tmp_path)], None, "", known)
            assert package.version == version
    counted = known.stats()["ram"]
    assert (counted.hits, counted.misses) == (4, 2)


@pytest.mark.parametrize("installed", [True, False])
def test_a_link_that_may_not_be_followed_is_not_read_from_memory_either(
    tmp_path: Path, installed: bool
) -> None:
    folder = tmp_path / "library" / "one-1.0.dist-info"
    folder.mkdir(parents=True)
    (tmp_path / "METADATA").write_text("Name: one\nVersion: 1.0\n\n")
    (folder / "METADATA").symlink_to(tmp_path / "METADATA")
    known = packages.headers()
    library = str(tmp_path / "library")
    assert len(packages.found([library], None, "", known)) == 1
    found = (
        packages.found([], library, "", known) if installed else packages.found([library], None, "", known)
    )
    assert len(found) == (0 if installed else 1)


def test_an_object_is_inflated_once_and_a_damaged_one_is_still_noticed(tmp_path: Path) -> None:
    scratch = Scratch.make(tmp_path / "root" / "r")
    scratch.commit("first", {"a": "one\n"})
    blob = scratch.head("HEAD:a")
    session = Session("git", tmp_path / "state", ["--repository", str(tmp_path / "root")])
    here = str(scratch.path)
    for _ in range(3):
        assert session.text("git_show_file", repo_path=here, path="a") == "one\n"
    file = scratch.path / ".git" / "objects" / blob[:2] / blob[2:]
    file.chmod(0o600)
    file.write_bytes(file.read_bytes()[:-4])
    assert "damaged" in session.problem("git_show_file", repo_path=here, path="a")


def test_what_is_kept_of_objects_is_bounded() -> None:
    known = objects.kept()
    for number in range(40):
        known.set(str(number), (3, b"x" * 512 * 1024))
    counted = known.stats()["ram"]
    assert counted.bytes <= 8 * 1024 * 1024 + 513 * 1024
