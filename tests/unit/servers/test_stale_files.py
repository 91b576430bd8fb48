"""No answer about files, folders or commits outlives a change of what it depends on."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fixtures.repositories import Scratch
from keyed_session import Stamps, holds, names, stamps_of
from mcp.server import MCPServer

from omnimind.orchestrator.logs.files import LogFile
from omnimind.servers import ServerContext, build
from omnimind.servers.python import packages

OLD_S = 0.06


def built(name: str, state: Path, *args: Path) -> MCPServer:
    return build(ServerContext(name, state, [str(one) for one in args]))


def kept(server: MCPServer, tool: str, **arguments: Any) -> Stamps:
    time.sleep(OLD_S)
    stamps = stamps_of(server, tool, **arguments)
    assert stamps is not None, f"{tool} {arguments}"
    assert holds(stamps)
    return stamps


def never(server: MCPServer, tool: str, **arguments: Any) -> None:
    time.sleep(OLD_S)
    assert stamps_of(server, tool, **arguments) is None, f"{tool} {arguments}"


# --- the filesystem server


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "folder" / "deep").mkdir(parents=True)
    (root / "one").write_text("one")
    (root / "folder" / "two").write_text("two")
    return root


@pytest.fixture
def files(tmp_path: Path, root: Path) -> MCPServer:
    return built("filesystem", tmp_path / "state", root)


CHANGED: list[tuple[str, dict[str, Any], Callable[[Path], object]]] = [
    ("read_text_file", {"path": "one"}, lambda root: (root / "one").write_text("ONE")),
    ("read_text_file", {"path": "one", "head": 1}, lambda root: (root / "one").write_text("ONE")),
    ("read_media_file", {"path": "one"}, lambda root: os.replace(root / "folder" / "two", root / "one")),
    ("read_multiple_files", {"paths": ["one", "folder/two"]}, lambda root: (root / "folder/two").unlink()),
    ("list_directory", {"path": "folder"}, lambda root: (root / "folder" / "new").touch()),
    ("list_directory", {"path": "."}, lambda root: (root / "one").rename(root / "uno")),
    ("list_directory_with_sizes", {"path": "."}, lambda root: (root / "one").write_text("more")),
    ("list_directory_with_sizes", {"path": "."}, lambda root: (root / "new").touch()),
    ("directory_tree", {"path": "."}, lambda root: (root / "folder" / "deep" / "new").touch()),
    ("search_files", {"path": ".", "pattern": "**/*"}, lambda root: (root / "folder/deep/new").touch()),
    ("read_file", {"path": "folder/two"}, lambda root: (root / "folder").rename(root / "gone")),
]


@pytest.mark.parametrize(("tool", "arguments", "change"), CHANGED)
def test_an_answer_about_files_ends_with_a_change_of_them(
    files: MCPServer, root: Path, tool: str, arguments: dict[str, Any], change: Callable[[Path], object]
) -> None:
    stamps = kept(files, tool, **arguments)
    kept(files, tool, **arguments)
    assert holds(stamps), "reading changes nothing"
    change(root)
    assert not holds(stamps)


def test_what_a_link_led_to_is_not_kept(files: MCPServer, root: Path) -> None:
    (root / "link").symlink_to("one")
    (root / "linked").symlink_to("folder")
    never(files, "read_text_file", path="link")
    never(files, "read_text_file", path="linked/two")
    never(files, "list_directory", path="linked")
    never(files, "list_directory_with_sizes", path=".")
    never(files, "search_files", path=".", pattern="l*")  # a link that leads nowhere is left out
    kept(files, "search_files", path=".", pattern="o*")
    kept(files, "list_directory", path=".")


def test_more_than_sixteen_files_or_folders_are_not_kept(files: MCPServer, root: Path) -> None:
    for number in range(17):
        (root / "folder" / str(number)).mkdir()
    never(files, "directory_tree", path=".")
    never(files, "search_files", path=".", pattern="**/nothing")
    never(files, "list_directory_with_sizes", path="folder")
    kept(files, "list_directory", path="folder")
    kept(files, "directory_tree", path=".", maxDepth=2)


def test_a_file_that_is_missing_among_several_is_not_kept(files: MCPServer) -> None:
    never(files, "read_multiple_files", paths=["one", "not yet"])


def test_a_name_that_could_mean_another_root_is_not_kept(tmp_path: Path, root: Path) -> None:
    (tmp_path / "first").mkdir()
    server = built("filesystem", tmp_path / "state", tmp_path / "first", root)
    never(server, "read_text_file", path="one")
    kept(server, "read_text_file", path=str(root / "one"))


# --- the git server


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    scratch = Scratch.make(tmp_path / "root" / "r")
    scratch.commit("first", {"a": "one\n"})
    scratch.git("branch", "topic")
    scratch.commit("second", {"a": "two\n"})
    return scratch


@pytest.fixture
def git(tmp_path: Path, scratch: Scratch) -> MCPServer:
    return built("git", tmp_path / "state", tmp_path / "root")


def _in_place(scratch: Scratch) -> None:
    """A program that knows no locks writes over a reference."""
    (scratch.path / ".git/refs/heads/main").write_text(scratch.head("topic") + "\n")


MOVED: list[tuple[str, dict[str, Any], Callable[[Scratch], object]]] = [
    ("git_log", {}, lambda scratch: scratch.commit("third", {"a": "three\n"})),
    ("git_log", {}, lambda scratch: scratch.git("checkout", "-q", "topic")),
    ("git_log", {}, lambda scratch: scratch.git("reset", "-q", "--hard", "HEAD~1")),
    ("git_log", {}, _in_place),
    ("git_log", {"revision": "topic"}, lambda scratch: scratch.git("branch", "-f", "topic", "main")),
    ("git_log", {"revision": "topic"}, lambda scratch: scratch.git("tag", "topic", "main")),
    ("git_log", {"revision": "topic"}, lambda scratch: scratch.git("update-ref", "refs/topic", "main")),
    ("git_log", {"revision": "topic~0"}, lambda scratch: scratch.git("pack-refs", "--all")),
    ("git_show", {"revision": "main:a"}, lambda scratch: scratch.commit("third", {"a": "three\n"})),
    ("git_show_file", {"path": "a"}, lambda scratch: scratch.git("checkout", "-q", "--detach", "topic")),
    ("git_blame", {"path": "a"}, lambda scratch: scratch.commit("third", {"a": "three\n"})),
    ("git_file_history", {"path": "a"}, lambda scratch: scratch.commit("third", {"a": "three\n"})),
    ("git_find_change", {"text": "two"}, lambda scratch: scratch.commit("third", {"a": "three\n"})),
    (
        "git_merge_base",
        {"first": "main", "second": "topic"},
        lambda s: s.git("branch", "-f", "topic", "main"),
    ),
    ("git_branch", {"branch_type": "all"}, lambda scratch: scratch.git("branch", "new/one")),
    ("git_branch", {"branch_type": "local"}, lambda scratch: scratch.git("checkout", "-q", "topic")),
    ("git_branch", {"branch_type": "local"}, lambda s: s.git("worktree", "add", "-q", "../w", "topic")),
    ("git_tags", {}, lambda scratch: scratch.git("tag", "v1")),
    ("git_conflicts", {}, lambda scratch: scratch.git("add", "-A")),
    ("git_worktrees", {}, lambda scratch: scratch.git("worktree", "add", "-q", "../w", "topic")),
    ("git_log", {}, lambda scratch: scratch.git("config", "core.abbrev", "9")),
    ("git_log", {}, lambda scratch: (scratch.path / ".git/shallow").write_text("0" * 40)),
]


@pytest.mark.parametrize(("tool", "arguments", "change"), MOVED)
def test_an_answer_about_commits_ends_when_a_name_means_another(
    git: MCPServer,
    scratch: Scratch,
    tool: str,
    arguments: dict[str, Any],
    change: Callable[[Scratch], object],
) -> None:
    (scratch.path / "untracked").touch()
    stamps = kept(git, tool, repo_path=str(scratch.path), **arguments)
    kept(git, tool, repo_path=str(scratch.path), **arguments)
    assert holds(stamps), "reading changes nothing"
    change(scratch)
    assert not holds(stamps)


def test_a_stash_ends_the_list_of_stashes(git: MCPServer, scratch: Scratch) -> None:
    here = str(scratch.path)
    for text in ("three\n", "four\n"):
        stamps = kept(git, "git_stash_list", repo_path=here)
        (scratch.path / "a").write_text(text)
        scratch.git("stash", "-q")
        assert not holds(stamps)


def test_a_commit_by_its_whole_id_is_the_same_for_ever(git: MCPServer, scratch: Scratch) -> None:
    whole, here = scratch.head(), str(scratch.path)
    log = kept(git, "git_log", repo_path=here, revision=whole)
    text = kept(git, "git_show", repo_path=here, revision=f"{whole}~1:a")
    scratch.git("branch", whole, "topic")  # git takes it for the id all the same
    scratch.commit("third", {"a": "three\n"})
    scratch.git("checkout", "-q", "topic")
    assert holds(log)
    assert holds(text)
    assert not {"HEAD", "packed-refs?"} & set(names(log))
    stamps_again = kept(git, "git_log", repo_path=here, revision=whole)
    assert names(stamps_again) == names(log)


def test_what_is_not_followed_is_not_kept(git: MCPServer, scratch: Scratch, tmp_path: Path) -> None:
    here = str(scratch.path)
    whole = scratch.head()
    scratch.git("branch", "cafe")
    for revision in (whole[:9], "cafe", "HEAD@{1}", "@{-1}", "main^{commit}"):
        stamps = None
        try:
            stamps = stamps_of(git, "git_log", repo_path=here, revision=revision)
        except AssertionError:
            continue  # refused, and a refusal is never kept
        assert stamps is None, revision
    never(git, "git_log", repo_path=here, start_timestamp="2 days ago")
    never(git, "git_show", repo_path=here, revision=whole)
    (tmp_path / "root" / "link").symlink_to("r")
    never(git, "git_log", repo_path=str(tmp_path / "root" / "link"))
    scratch.git("worktree", "add", "-q", str(tmp_path / "root" / "w"), "topic")
    never(git, "git_log", repo_path=str(tmp_path / "root" / "w"))
    never(git, "git_branch", repo_path=here, branch_type="local")
    (scratch.path / "more").write_text("[user]\n\tname = x\n")
    scratch.git("config", "include.path", "../more")
    never(git, "git_log", repo_path=here)


def test_a_new_repository_ends_the_list_of_them(git: MCPServer, scratch: Scratch, tmp_path: Path) -> None:
    stamps = kept(git, "git_list_repositories")
    Scratch.make(tmp_path / "root" / "other")
    assert not holds(stamps)


# --- the python server


def test_code_that_was_given_depends_on_the_tool_alone(tmp_path: Path) -> None:
    server = built("python", tmp_path)
    for tool in ("lint", "format"):
        assert names(kept(server, tool, code="import os\n")) == ["ruff"]


def test_files_and_settings_beneath_a_folder_count_too(tmp_path: Path, root: Path) -> None:
    (root / "folder" / "code.py").write_text("import os\n")
    server = built("python", tmp_path / "state", root)
    for change in (
        lambda: (root / "folder" / "code.py").write_text("import re\n"),
        lambda: (root / "folder" / "ruff.toml").write_text("line-length = 88\n"),
        lambda: (root / "folder" / "deep" / "more.py").write_text("import os\n"),
    ):
        stamps = kept(server, "lint", path="folder")
        change()
        assert not holds(stamps)


def test_an_install_ends_the_list_of_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = tmp_path / "library"
    (library / "one-1.0.dist-info").mkdir(parents=True)
    (library / "one-1.0.dist-info" / "METADATA").write_text("Name: one\nVersion: 1.0\n\n")
    monkeypatch.setattr(packages, "library_folders", lambda: [str(library)])
    server = built("python", tmp_path / "state")
    stamps = kept(server, "list_packages")
    (library / "one-1.0.dist-info").rename(library / "one-1.1.dist-info")
    assert not holds(stamps)


# --- the logging server


def test_a_log_that_grows_turns_or_joins_ends_what_was_found(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    quiet, other = (LogFile(tmp_path / "logs", name, 2_000, 5) for name in ("quiet", "other"))
    try:
        quiet.write(7, "it began")
        other.write(7, "it began too")
        server = built("logging", tmp_path)
        asked: dict[str, Any] = {"query": "began", "sources": ["quiet"], "role": "operator"}
        for change in (
            lambda: quiet.write(7, "more"),
            lambda: [quiet.write(7, "x" * 500) for _ in range(4)],
            lambda: (tmp_path / "logs" / "new.log").touch(),
        ):
            while any(path.suffix[1:].isdigit() for path in (tmp_path / "logs").iterdir()):
                time.sleep(0.01)  # a segment waits to be packed
            stamps = kept(server, "search_logs", **asked)
            kept(server, "search_logs", **asked)
            assert holds(stamps), "reading changes nothing"
            other.write(7, "another log says something")
            assert holds(stamps), "which is nothing to this answer"
            change()
            assert not holds(stamps)
        for arguments in ({"since": "10m"}, {"until": "10:00"}, {"since": "2020-01-01"}):
            never(server, "search_logs", **asked, **arguments)
        never(server, "log_sources", role="operator")
        kept(server, "log_sources", role="user")
    finally:
        quiet.close()
        other.close()
