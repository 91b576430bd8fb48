"""Swapping links while the filesystem server works: nothing outside a root is ever read, written or listed.

A second process exchanges a directory with a link that leads outside (renameat2 EXCHANGE) as fast as it can,
while this one reads, writes, lists, searches, moves and makes directories through the swapped name.
OMNIMIND_FULL=1 runs the full five seconds a way.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from omnimind.linux import openat2
from omnimind.servers.filesystem import edit, files, listing
from omnimind.servers.filesystem.roots import Roots, open_roots
from omnimind.servers.problem import Problem

SECONDS = 5.0 if os.environ.get("OMNIMIND_FULL") else 0.8
ENOUGH = 100
SECRET = "OUTSIDE-CANARY"

SWAPPER = """
import os, sys
from omnimind.linux import openat2
directory = os.open(sys.argv[1], os.O_PATH)
print("swapping", flush=True)
while True:
    openat2.rename(directory, sys.argv[2], directory, sys.argv[3], openat2.RENAME_EXCHANGE)
"""


@contextmanager
def swapping(root: Path, one: str, other: str) -> Iterator[None]:
    command = [sys.executable, "-c", SWAPPER, str(root), one, other]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"swapping\n"
        yield
        assert process.poll() is None, "the swapper died"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def arena(tmp_path: Path) -> Path:
    """root/target is a directory or, half of the time, a link to the folder outside."""
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "target" / "deep").mkdir(parents=True)
    (outside / "deep").mkdir(parents=True)
    for place, text in ((root / "target", "inside"), (outside, SECRET)):
        (place / "file.txt").write_text(text)
        (place / "deep" / "file.txt").write_text(text)
    (outside / "only-outside.txt").write_text(SECRET)
    (outside / "unnamed.txt").write_text(SECRET)
    (root / "link").symlink_to(outside)
    (root / "relative").symlink_to("../outside")
    return tmp_path


def attempts(roots: Roots, root: Path) -> list[Callable[[int], str]]:
    target = f"{root}/target"

    def moved(turn: int) -> str:
        files.write_text(roots, f"{root}/mine", "mine")
        try:
            files.move(roots, f"{root}/mine", f"{target}/moved{turn}")
        finally:
            (root / "mine").unlink(missing_ok=True)
        return ""

    return [
        lambda _: files.read_text(roots, f"{target}/file.txt"),
        lambda _: files.read_text(roots, f"{target}/deep/file.txt", tail=1),
        lambda _: files.read_text(roots, f"{target}/deep/../file.txt"),
        lambda _: files.read_media(roots, f"{target}/file.txt").data.decode(),
        lambda _: files.read_many(roots, [f"{target}/file.txt", f"{target}/only-outside.txt"]),
        lambda turn: files.write_text(roots, f"{target}/new{turn % 50}.txt", "mine").shown,
        lambda _: files.write_text(roots, f"{target}/file.txt", "inside").shown,
        lambda _: edit.edit_file(roots, f"{target}/deep/file.txt", [edit.Edit("inside", "inside")], False),
        lambda turn: files.make_directory(roots, f"{target}/made{turn % 50}/deeper").shown,
        lambda _: listing.plain(roots, target),
        lambda _: listing.tree(roots, str(root), [], lambda _: None),
        lambda _: listing.search(roots, str(root), "**/*.txt", [], lambda _: None),
        lambda _: str(files.info(roots, f"{target}/only-outside.txt").size),
        moved,
    ]


def state_of(outside: Path) -> dict[str, str]:
    return {
        str(path.relative_to(outside)): path.read_text() if path.is_file() else "directory"
        for path in sorted(outside.rglob("*"))
    }


@pytest.mark.bar
@pytest.mark.parametrize("other", ["link", "relative"])
@pytest.mark.parametrize("way", ["openat2", "walk"])
def test_a_swapped_link_never_leads_out(
    arena: Path, way: str, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "walk":
        monkeypatch.setattr(openat2, "has_openat2", lambda: False)
    root, outside = arena / "root", arena / "outside"
    before = state_of(outside)
    roots = open_roots([str(root)])
    ways = attempts(roots, root)
    served = refused = turn = 0
    with swapping(root, "target", other):
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline or (min(served, refused) < ENOUGH and turn < 10_000):
            turn += 1
            try:
                answer = ways[turn % len(ways)](turn)
            except Problem:
                refused += 1
                continue
            served += 1
            assert SECRET not in answer
            assert "unnamed" not in answer
    assert state_of(outside) == before
    assert min(served, refused) >= ENOUGH  # so the race was real: directory and link were both met
