"""The git server in its real, confined process against repositories that want out, or want a program to run.

Two things are shown apart: that the server does not do it (its own process, unconfined, marks within reach), and that
the worker could not if it wanted (Landlock and seccomp; where a kernel lacks them those tests are skipped).
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from fixtures.repositories import Scratch
from mcp import Client

from omnimind.linux import landlock, seccomp
from omnimind.servers import ServerContext, build
from tests.system import hostile_repository
from tests.system.hostile_repository import Call, Hostile
from tests.system.worker_process import connected, worker

FENCED = landlock.abi() > 0 and seccomp.available()
Answers = list[tuple[Call, bool, str]]


def ask(root: Path, state: Path, calls: list[Call]) -> Answers:
    """A server in this process: nothing but its own care keeps it in."""

    async def run() -> Answers:
        server = build(ServerContext("git", state, ["--repository", str(root)]))
        answers: Answers = []
        async with Client(server) as client:
            for tool, arguments in calls:
                result = await client.call_tool(tool, arguments)
                answers.append(((tool, arguments), bool(result.is_error), result.content[0].text))  # type: ignore[union-attr]
        return answers

    return anyio.run(run)


def ask_worker(root: Path, state: Path, calls: list[Call]) -> Answers:
    """The process that the orchestrator starts, confined."""
    state.mkdir(exist_ok=True)

    async def run() -> Answers:
        answers: Answers = []
        with worker("git", state, "--repository", str(root)) as running:
            async with connected(running) as peer:
                for tool, arguments in calls:
                    result = await peer.call(tool, arguments)
                    said = (tool, arguments), result.get("isError", False), result["content"][0]["text"]
                    answers.append(said)
        return answers

    return asyncio.run(run())


@pytest.fixture
def hostile(tmp_path: Path) -> Hostile:
    return hostile_repository.make(tmp_path / "root")


ASKED: dict[str, Callable[[Path, Path, list[Call]], Answers]] = {"alone": ask, "worker": ask_worker}


def test_the_traps_work(hostile: Hostile) -> None:
    """The git program falls into them: otherwise the tests below would prove nothing."""
    for command in (
        ["status"],
        ["diff"],
        ["add", "."],
        ["commit", "-m", "x", "--no-gpg-sign"],
        ["checkout", "other"],
    ):
        hostile.scratch.git(*command, check=False)
    assert {"fsmonitor", "clean", "process", "hook-pre-commit"} <= set(hostile.marked())


@pytest.mark.parametrize("how", ASKED)
def test_no_tool_starts_a_program_of_the_repository(hostile: Hostile, tmp_path: Path, how: str) -> None:
    calls = hostile_repository.calls(str(hostile.scratch.path))
    answers = ASKED[how](hostile.root, tmp_path / "state", calls)
    failed = [(call, text) for call, is_error, text in answers if is_error]
    assert not failed, failed
    assert hostile.marked() == []
    listed = {tool for tool, _ in calls}
    assert listed == all_tools(hostile.root, tmp_path / "state")


def test_every_tool_works_on_packed_objects(tmp_path: Path) -> None:
    """Packs are read by libgit2, loose objects by us: both in one repository."""
    hostile = hostile_repository.make(tmp_path / "root")
    hostile.scratch.git("repack", "-adq")
    hostile.scratch.git("pack-refs", "--all")
    hostile.scratch.git("update-index", "--refresh", check=False)
    for mark in hostile.marks.iterdir():
        mark.unlink()
    answers = ask(hostile.root, tmp_path / "state", hostile_repository.calls(str(hostile.scratch.path)))
    assert [(call, text) for call, failed, text in answers if failed] == []
    assert hostile.marked() == []
    assert "fatal" not in hostile.scratch.git("fsck", "--strict")


def all_tools(root: Path, state: Path) -> set[str]:
    async def run() -> set[str]:
        async with Client(build(ServerContext("git", state, [str(root)]))) as client:
            return {tool.name for tool in (await client.list_tools()).tools}

    return anyio.run(run)


def test_the_configuration_of_machine_and_user_does_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    (home / ".config" / "git").mkdir(parents=True)
    (home / ".gitconfig").write_text(
        "[user]\nname = Not Asked\nemail = not@asked\n[core]\nexcludesFile = ~/ignore\n"
    )
    (home / ".config" / "git" / "ignore").write_text("*.txt\n")
    (home / "ignore").write_text("*.txt\n")
    root = tmp_path / "root"
    scratch = Scratch.make(root / "r")
    scratch.git("config", "--unset", "user.name")
    scratch.git("config", "--unset", "user.email")
    scratch.write("a.txt", "a\n")
    script = (
        "import sys, json, asyncio; sys.path.insert(0, sys.argv[1]); from pathlib import Path;"
        "from tests.system.test_git_attacks import ask;"
        "here = {'repo_path': sys.argv[2] + '/r'};"
        "print(json.dumps([a[2] for a in ask(Path(sys.argv[2]), Path(sys.argv[3]), [('git_status', here),"
        "('git_add', {**here, 'files': ['a.txt']}), ('git_commit', {**here, 'message': 'x'}), ('git_log', here)])]))"
    )
    base = Path(__file__).resolve().parents[2]
    environment = {
        **os.environ,
        "HOME": str(home),
        "PYTHONPATH": f"{base}:{base / 'python'}:{base / 'tests'}",
    }
    environment.pop("XDG_CONFIG_HOME", None)
    done = subprocess.run(
        [sys.executable, "-c", script, str(base), str(root), str(tmp_path / "state")],
        env=environment, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    status, _, _, log = json.loads(done.stdout.splitlines()[-1])
    assert "a.txt" in status
    assert "Author: OmniMind\n" in log


OUT = "the allowed directories"
REDIRECTIONS: dict[str, Callable[[Path, Path], None]] = {}


def redirection(make: Callable[[Path, Path], None]) -> Callable[[Path, Path], None]:
    REDIRECTIONS[make.__name__] = make
    return make


def replaced(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    path.write_text(text)


def moved_out(inside: Path, outside: Path) -> None:
    inside.rename(outside)
    inside.symlink_to(outside)


@redirection
def git_file(r: Path, outside: Path) -> None:
    (r / ".git").rename(outside / "g")
    (r / ".git").write_text(f"gitdir: {outside}/g\n")


@redirection
def git_file_relative(r: Path, outside: Path) -> None:
    (r / ".git").rename(outside / "g")
    (r / ".git").write_text("gitdir: ../../outside/g\n")


@redirection
def git_link(r: Path, outside: Path) -> None:
    moved_out(r / ".git", outside / "g")


@redirection
def common_folder(r: Path, outside: Path) -> None:
    subprocess.run(["cp", "-r", str(r / ".git"), str(outside / "g")], check=True)
    (r / ".git" / "commondir").write_text(f"{outside}/g\n")


@redirection
def alternates(r: Path, outside: Path) -> None:
    (outside / "objects").mkdir()
    (r / ".git" / "objects" / "info" / "alternates").write_text(f"{outside}/objects\n")


@redirection
def alternates_of_alternates(r: Path, outside: Path) -> None:
    (outside / "objects").mkdir()
    (r / "between" / "info").mkdir(parents=True)
    (r / "between" / "info" / "alternates").write_text(f"{outside}/objects\n")
    (r / ".git" / "objects" / "info" / "alternates").write_text(f"{r}/between\n")


@redirection
def work_tree(r: Path, outside: Path) -> None:
    subprocess.run(["git", "config", "core.worktree", str(outside)], cwd=r, check=True)


@redirection
def included_configuration(r: Path, outside: Path) -> None:
    (outside / "config").write_text("[user]\nname = outside\n")
    subprocess.run(["git", "config", "include.path", f"{outside}/config"], cwd=r, check=True)


@redirection
def included_on_condition(r: Path, outside: Path) -> None:
    (outside / "config").write_text("[user]\nname = outside\n")
    with (r / ".git" / "config").open("a") as config:
        config.write(f'[a "b"] c = d\n[InCludeIf "onbranch:**"]\n  PATH = "{outside}/\\\nconfig" ; why not\n')


@redirection
def included_twice(r: Path, outside: Path) -> None:
    (outside / "config").write_text("[user]\nname = outside\n")
    (r / "one").write_text(f"[include]path={outside}/config\n")
    subprocess.run(["git", "config", "include.path", "../one"], cwd=r, check=True)


@redirection
def ignores(r: Path, outside: Path) -> None:
    (outside / "ignore").write_text("*\n")
    subprocess.run(["git", "config", "core.excludesFile", f"{outside}/ignore"], cwd=r, check=True)


@redirection
def attributes(r: Path, outside: Path) -> None:
    (outside / "attributes").write_text("*\n")
    subprocess.run(["git", "config", "core.attributesFile", f"{outside}/attributes"], cwd=r, check=True)


@redirection
def linked_ignores(r: Path, outside: Path) -> None:
    (outside / "ignore").write_text("*\n")
    (r / "sub").mkdir()
    (r / "sub" / ".gitignore").symlink_to(outside / "ignore")


def linked(name: str) -> None:
    def make(r: Path, outside: Path) -> None:
        path = r / ".git" / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("")
        moved_out(path, outside / path.name)

    make.__name__ = f"link {name}"
    redirection(make)


for part in ("config", "HEAD", "index", "objects", "objects/pack", "refs", "refs/heads", "refs/heads/main", "logs",
             "logs/HEAD", "info", "info/exclude", "packed-refs", "config.worktree", "shallow"):  # fmt: skip
    linked(part)


@pytest.mark.parametrize("how", ASKED)
def test_a_repository_with_a_part_outside_is_refused_and_nothing_outside_changes(
    tmp_path: Path, how: str
) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    outside.mkdir()
    calls: list[Call] = []
    for name, make in REDIRECTIONS.items():
        scratch = Scratch.make(root / name.replace("/", "-").replace(" ", "-"))
        scratch.commit("first", {"a.txt": "a\n"})
        scratch.write("a.txt", "changed\n")
        (outside / scratch.path.name).mkdir()
        make(scratch.path, outside / scratch.path.name) if "relative" not in name else make(
            scratch.path, outside
        )
        here = {"repo_path": str(scratch.path)}
        calls += [("git_status", here), ("git_add", {**here, "files": ["."]})]
        if name != "linked_ignores":  # what steers the work tree matters to those alone
            calls += [("git_commit", {**here, "message": "x"}), ("git_log", here)]
    before = contents(outside)
    answers = ASKED[how](root, tmp_path / "state", calls)
    accepted = [call for call, failed, _ in answers if not failed]
    assert accepted == []
    told = [(call, text) for call, _, text in answers if OUT not in text]
    assert told == []
    assert contents(outside) == before


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_linked_repository_is_served_only_where_it_stays_inside(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    Scratch.make(root / "real").commit("inside", {"a": "a\n"})
    Scratch.make(outside / "real").commit("secret", {"a": "a\n"})
    (root / "good").symlink_to(root / "real")
    (root / "bad").symlink_to(outside / "real")
    (root / "chain").symlink_to(root / "bad")
    paths = [
        "good",
        "bad",
        "chain",
        "../outside/real",
        "real/../../outside/real",
        "/proc/self/root" + str(root / "real"),
    ]
    paths += [str(outside / "real"), f"{root}-evil", "real\0", "x" * 5000, "y/" * 3000, "~root", ""]
    answers = ask(root, tmp_path / "state", [("git_log", {"repo_path": path}) for path in paths])
    assert [failed for _, failed, _ in answers] == [False] + [True] * (len(paths) - 1)
    assert not any("secret" in text for _, _, text in answers)


@pytest.mark.parametrize("how", ASKED)
def test_what_is_outside_the_work_tree_is_not_staged(tmp_path: Path, how: str) -> None:
    root = tmp_path / "root"
    scratch = Scratch.make(root / "r")
    scratch.commit("first", {"a": "a\n"})
    (root / "neighbour").write_text("SECRET\n")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("SECRET\n")
    (scratch.path / "out").symlink_to(tmp_path / "outside")
    (scratch.path / "file-out").symlink_to(tmp_path / "outside" / "secret")
    os.mkfifo(scratch.path / "fifo")
    nested = Scratch.make(scratch.path / "nested")
    nested.commit("inner", {"x": "x\n"})
    files = [
        "../neighbour",
        "a/../../neighbour",
        str(root / "neighbour"),
        "/etc/passwd",
        "out/secret",
        "file-out",
        "out",
    ]
    files += [
        ".git/config",
        ".git",
        "nested",
        "nested/x",
        ":(top)a",
        ":!a",
        "fifo",
        "",
        "\n",
        "./../neighbour",
        "nested/.git/config",
    ]
    calls: list[Call] = [
        ("git_add", {"repo_path": str(scratch.path), "files": ["a", file]}) for file in files
    ]
    answers = ASKED[how](root, tmp_path / "state", calls)
    assert [call[1]["files"] for call, failed, _ in answers if not failed] == []
    assert scratch.git("diff", "--cached") == ""
    everything: list[Call] = [("git_add", {"repo_path": str(scratch.path), "files": ["."]})]
    assert not ASKED[how](root, tmp_path / "state", everything)[0][1]
    staged = scratch.git("ls-files", "--stage")
    assert "SECRET" not in scratch.git("diff", "--cached")
    assert "160000" not in staged
    assert "fifo" not in staged


@pytest.mark.parametrize("how", ASKED)
def test_nothing_is_made_outside(tmp_path: Path, how: str) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (root / "out").symlink_to(outside)
    full = root / "full"
    full.mkdir()
    (full / ".git").symlink_to(outside)
    paths = [
        str(outside),
        str(outside / "new"),
        "../outside/new",
        "out",
        "out/new",
        "full",
        str(tmp_path / "beside"),
        "a/b/c",
    ]
    answers = ASKED[how](root, tmp_path / "state", [("git_init", {"path": path}) for path in paths])
    assert [call[1]["path"] for call, failed, _ in answers if not failed] == []
    assert list(outside.iterdir()) == []
    assert not (tmp_path / "beside").exists()


DASHED = [
    "-",
    "--",
    "-x",
    "--help",
    "--output=written-by-git",
    "-c",
    "--upload-pack=touch x",
    "--exec=x",
    "-Owritten-by-git",
]


def test_a_leading_dash_is_never_an_option(tmp_path: Path) -> None:
    """Every text argument of every tool, one at a time, with texts that the git program takes for options."""
    hostile = hostile_repository.make(tmp_path / "root")
    good: dict[str, dict[str, Any]] = {}
    for tool, arguments in hostile_repository.calls(str(hostile.scratch.path)):
        good.setdefault(tool, {}).update(arguments)
    good["git_log"] |= {"start_timestamp": "1 year ago", "end_timestamp": "now", "revision": "HEAD"}
    good["git_branch"] |= {"contains": "HEAD", "not_contains": "HEAD"}
    good["git_create_branch"] |= {"base_branch": "main"}
    good["git_commit"] |= {"author_name": "A", "author_email": "a@b"}
    good["git_tags"] |= {"pattern": "v*"}
    good["git_find_change"] |= {"path": "a.txt", "revision": "HEAD"}
    good["git_list_repositories"] |= {"beneath": str(hostile.root)}
    for tool in ("git_blame", "git_file_history", "git_show_file", "git_create_tag"):
        good[tool].setdefault("target" if tool == "git_create_tag" else "revision", "HEAD")
    calls: list[Call] = []
    for tool, arguments in good.items():
        for name, value in arguments.items():
            if isinstance(value, str):
                calls += [(tool, {**arguments, name: text}) for text in DASHED]
            elif name == "files":
                calls += [(tool, {**arguments, name: [text]}) for text in DASHED]
    written = [folder / "written-by-git" for folder in (Path.cwd(), hostile.scratch.path, hostile.root)]
    answers = ask(hostile.root, tmp_path / "state", calls)
    # Data where any text is data: messages, what is searched, names of people, a pattern, a new folder's name.
    free = {"message", "text", "author_name", "author_email", "pattern", "path"}
    for (tool, arguments), failed, text in answers:
        dashed = {
            name for name, value in arguments.items() if value in DASHED or value in [[one] for one in DASHED]
        }
        if not dashed & free:
            assert failed, (tool, arguments, text)
            assert "Error executing" not in text, (tool, arguments, text)
    assert not any(path.exists() for path in written)
    assert hostile.marked() == []


def test_a_file_with_a_leading_dash_is_a_file(tmp_path: Path) -> None:
    scratch = Scratch.make(tmp_path / "root" / "r")
    scratch.commit("first", {"a": "a\n"})
    scratch.write("--help", "data\n")
    here = {"repo_path": str(scratch.path)}
    calls: list[Call] = [
        ("git_add", {**here, "files": ["--help"]}),
        ("git_commit", {**here, "message": "--amend"}),
        ("git_show_file", {**here, "path": "--help"}),
    ]
    answers = ask(tmp_path / "root", tmp_path / "state", calls)
    assert [failed for _, failed, _ in answers] == [False] * 3
    assert answers[2][2] == "data\n"
    assert scratch.git("log", "--format=%s").split() == ["--amend", "first"]


STUCK = (".gitignore", "d/.gitattributes", ".git/info/exclude", ".git/config", ".git/index", ".git/HEAD",
         ".git/packed-refs", ".git/refs/heads/main", ".git/commondir", ".git/objects/info/alternates")  # fmt: skip


@pytest.mark.timeout(30)
def test_nothing_waits_for_a_fifo(tmp_path: Path) -> None:
    calls: list[Call] = []
    for at, name in enumerate(STUCK):
        scratch = Scratch.make(tmp_path / "root" / str(at))
        scratch.commit("first", {"a": "a\n", "d/b": "b\n"})
        file = scratch.path / name
        file.unlink(missing_ok=True)
        os.mkfifo(file)
        calls.append(("git_status", {"repo_path": str(scratch.path)}))
    answers = ask(tmp_path / "root", tmp_path / "state", calls)
    assert [text for _, failed, text in answers if not failed] == []


DAMAGE = ("HEAD", "config", "index", "refs/heads/main", "packed-refs", "objects", "commit", "tree", "blob")


@pytest.mark.parametrize("how", ASKED)
def test_a_damaged_repository_is_said_to_be_damaged(tmp_path: Path, how: str) -> None:
    calls: list[Call] = []
    for what in DAMAGE:
        scratch = Scratch.make(tmp_path / "root" / what.replace("/", "-"))
        scratch.commit("first", {"a.txt": "a\n", "b.txt": "b\n"})
        scratch.commit("second", {"a.txt": "aa\n"})
        damage(scratch, what)
        for tool, arguments in hostile_repository.calls(str(scratch.path)):
            if tool not in ("git_init", "git_list_repositories"):
                calls.append((tool, arguments))
    answers = ASKED[how](tmp_path / "root", tmp_path / "state", calls)
    assert len(answers) == len(calls)
    odd = [(call, text) for call, failed, text in answers if failed and "Error executing tool" in text]
    assert odd == []


def damage(scratch: Scratch, what: str) -> None:
    git = scratch.path / ".git"
    if what in ("commit", "tree", "blob"):
        found = scratch.head({"commit": "HEAD~1", "tree": "HEAD^{tree}", "blob": "HEAD:a.txt"}[what])
        file = git / "objects" / found[:2] / found[2:]
        file.chmod(0o644)
        file.write_bytes(file.read_bytes()[:10] + b"\xff" * 20)
    elif what == "objects":
        for file in (git / "objects").glob("??/*"):
            file.unlink()
    else:
        (git / what).write_bytes(b"\0\xff[garbage" * 50)


@pytest.mark.skipif(not FENCED, reason="no Landlock or seccomp here")
def test_the_worker_works_fenced_in(tmp_path: Path) -> None:
    """Its fence holds: a repository outside cannot be opened, although every check of ours is passed."""
    root, outside = tmp_path / "root", tmp_path / "outside"
    scratch = Scratch.make(root / "r")
    scratch.commit("first", {"a": "a\n"})
    Scratch.make(outside / "r").commit("secret", {"a": "a\n"})
    calls: list[Call] = [("git_log", {"repo_path": str(path / "r")}) for path in (root, outside)]
    answers = ask_worker(root, tmp_path / "state", calls)
    assert [failed for _, failed, _ in answers] == [False, True]
