"""Files from a caller or from beneath a root: what is taken, and what is refused with a reason."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnimind.servers.filesystem.roots import open_roots
from omnimind.servers.problem import Problem
from omnimind.servers.python import sources
from omnimind.servers.python.workbench import lay


def test_a_text_and_texts_become_files() -> None:
    assert sources.given("x = 1\n", None).files == {"snippet.py": b"x = 1\n"}
    several = sources.given(None, {"b/c.py": "é", "a.pyi": "", "notes.md": "n"})
    assert several.files["b/c.py"] == "é".encode()
    assert several.python() == ["a.pyi", "b/c.py"]
    assert several.first_of("none.toml", "notes.md") == "notes.md"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("../x.py", "without '..'"),
        ("a/../../x.py", "without '..'"),
        ("/etc/x.py", "relative"),
        ("a//x.py", "relative"),
        ("./x.py", "relative"),
        ("", "not a file name"),
        ("a\\x.py", "not a file name"),
        ("a\0.py", "not a file name"),
        ("a\n.py", "not a file name"),
        ("-rf.py", "dash"),
        ("a" * 256, "255"),
        ("/".join("a" * 17), "16 folders"),
        ("/".join(["a" * 200] * 6), "1,024 bytes"),
        ("\ud800.py", "Unicode"),
    ],
)
def test_a_name_that_could_leave_the_folder_or_mislead_a_tool_is_refused(name: str, says: str) -> None:
    with pytest.raises(Problem, match=says):
        sources.given(None, {name: ""})


@given(
    st.text(max_size=30)
    | st.lists(st.sampled_from(["a", "..", ".", "", "é" * 120]), max_size=18).map("/".join)
)
def test_a_name_that_is_taken_stays_in_the_folder(name: str) -> None:
    try:
        files = sources.given(None, {name: "x"}).files
    except Problem:
        return
    with TemporaryDirectory() as folder:
        made = lay(Path(folder), files)
        assert [file.resolve() for file in made.rglob("*") if file.is_file()] == [(made / name).resolve()]
        assert (made / name).resolve().is_relative_to(made.resolve())


def test_counts_and_sizes_have_limits_with_numbers() -> None:
    with pytest.raises(Problem, match="limit is 200"):
        sources.given(None, {f"{number}.py": "" for number in range(201)})
    with pytest.raises(Problem, match="1,048,576"):
        sources.given(None, {"a.py": "x" * 600_000, "b.py": "x" * 600_000})
    with pytest.raises(Problem, match="not valid Unicode"):
        sources.given("\udc80", None)
    with pytest.raises(Problem, match="rename one"):
        sources.given(None, {"a": "", "a/b/c.py": ""})
    with pytest.raises(Problem, match="not both"):
        sources.given("", {"a.py": ""})
    with pytest.raises(Problem, match="not both"):
        sources.given(None, None)
    with pytest.raises(Problem, match="empty"):
        sources.given(None, {})


def nothing() -> None:
    pass


def test_a_folder_beneath_a_root_is_copied_without_links_and_caches(tmp_path: Path) -> None:
    root = tmp_path / "root"
    for folder in ("src/deep", ".git", "__pycache__", "node_modules"):
        (root / folder).mkdir(parents=True)
        (root / folder / "m.py").write_text(folder)
    (tmp_path / "secret.py").write_text("secret")
    (root / "link.py").symlink_to(tmp_path / "secret.py")
    (root / "inside.py").symlink_to(root / "src/deep/m.py")
    os.mkfifo(root / "pipe.py")
    (root / ".ruff.toml").write_text("")
    (root / "data.bin").write_bytes(b"\xff\x00")
    roots = open_roots([str(root)])
    every = sources.copied(roots, str(root), lambda name: True, nothing)
    assert sorted(every.files) == [".ruff.toml", "data.bin", "src/deep/m.py"]
    assert every.files["data.bin"] == b"\xff\x00"
    assert every.places["src/deep/m.py"].shown == str(root / "src/deep/m.py")
    one = sources.copied(roots, str(root / "src/deep/m.py"), lambda name: True, nothing)
    assert one.files == {"m.py": b"src/deep"}
    for path, says in (
        (str(tmp_path / "secret.py"), "outside"),
        (str(root / "link.py"), "leads out"),
        (str(root / "pipe.py"), "FIFO"),
        (str(root / "none.py"), "no such file"),
    ):
        with pytest.raises(Problem, match=says):
            sources.copied(roots, path, lambda name: True, nothing)
    with pytest.raises(Problem, match="no file for this tool"):
        sources.copied(roots, str(root / "src"), lambda name: name.endswith(".ini"), nothing)


def test_a_copy_has_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        (tmp_path / f"{number}.py").write_text("12345")
    roots = open_roots([str(tmp_path)])
    monkeypatch.setattr(sources, "COPIED_BYTES", 12)
    with pytest.raises(Problem, match="12 bytes together"):
        sources.copied(roots, str(tmp_path), lambda name: True, nothing)
    monkeypatch.setattr(sources, "COPIED_FILES", 3)
    with pytest.raises(Problem, match="more than 3 files"):
        sources.copied(roots, str(tmp_path), lambda name: True, nothing)
