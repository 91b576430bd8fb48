"""Our git server beside the reference server on equal repositories: the same schemas, and the same words.

Each scenario makes a repository with the git program, copies it, lets each server work on its own copy and
compares every answer. Only paths, ids and dates of commits made a second apart are made equal; where both refuse,
ours says more. What is not compared, because the reference server is wrong or dies there:

- a difference with bytes that are no UTF-8 ends the reference server, and a message in another encoding is garbled;
- a date that is not understood is any date to it (git's own rule); ours refuses it, and takes a day without a time
  as the whole day where git takes it at the present time of day;
- conflicts in `git_diff_unstaged` are git's combined difference there and a line a path here;
- `target` may be a range here.
"""

from __future__ import annotations

import difflib
import os
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest
from fixtures.repositories import EMAIL, NAME, Scratch
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.types import Tool
from toolbox import ROOT, Toolbox

pytestmark = pytest.mark.timeout(120)

Calls = list[tuple[str, dict[str, Any]]]
PREFIX = re.compile(r"^Error executing tool \w+: ")

TWELVE = {
    "git_status", "git_diff_unstaged", "git_diff_staged", "git_diff", "git_commit", "git_add", "git_reset", "git_log",
    "git_create_branch", "git_checkout", "git_show", "git_branch",
}  # fmt: skip


@dataclass
class Pair:
    """Both servers, each over a folder of its own."""

    theirs: Client
    ours: Client
    their_folder: Path
    our_folder: Path


Answer = tuple[bool, str]


@dataclass
class Outcome:
    """What both servers listed, and what they said to every call of every scenario."""

    theirs: dict[str, Tool]
    ours: dict[str, Tool]
    answers: dict[str, list[tuple[str, dict[str, Any], Answer, Answer]]]


@pytest.fixture(scope="module")
def outcome(toolbox: Toolbox, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """Both servers are started once, and every scenario is a repository of its own."""
    folder = tmp_path_factory.mktemp("both")
    for name, (prepare, _) in SCENARIOS.items():
        made = folder / "made" / name
        prepare(Scratch.make(made / "r"))
        for side in ("theirs", "ours"):
            shutil.copytree(made, folder / side / name, symlinks=True)
    return anyio.run(ask_both, toolbox, folder)


async def ask_both(toolbox: Toolbox, folder: Path) -> Outcome:
    home = folder / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(f"[user]\nname = {NAME}\nemail = {EMAIL}\n")
    theirs = StdioServerParameters(
        command=str(toolbox.script("servers", "mcp-server-git")),
        env={"HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1", "PATH": os.environ["PATH"], "LC_ALL": "C"},
    )
    command = ["-m", "omnimind.servers", "git", "--stdio", "--state", str(folder / "state"), "--"]
    ours = StdioServerParameters(
        command=sys.executable,
        args=[*command, "--repository", str(folder / "ours")],
        env={"PYTHONPATH": str(ROOT / "python"), "TZ": "UTC"},
    )
    answers = {}
    async with Client(stdio_client(theirs)) as their_client, Client(stdio_client(ours)) as our_client:
        tools = [
            {tool.name: tool for tool in (await one.list_tools()).tools} for one in (their_client, our_client)
        ]
        for name, (_, calls) in SCENARIOS.items():
            pair = Pair(their_client, our_client, folder / "theirs" / name, folder / "ours" / name)
            answers[name] = [(tool, given, *(await both(pair, tool, given))) for tool, given in calls]
    return Outcome(*tools, answers)


async def said(client: Client, folder: Path, tool: str, arguments: dict[str, Any]) -> Answer:
    """Whether the call failed, and its text with the folder's name made equal."""
    result = await client.call_tool(tool, {"repo_path": str(folder / "r"), **arguments})
    text = "".join(getattr(block, "text", "") for block in result.content)
    return bool(result.is_error), PREFIX.sub("", text).replace(str(folder), "<folder>")


async def both(pair: Pair, tool: str, arguments: dict[str, Any]) -> tuple[Answer, Answer]:
    theirs = await said(pair.theirs, pair.their_folder, tool, arguments)
    return theirs, await said(pair.ours, pair.our_folder, tool, arguments)


def without_ids(text: str) -> str:
    """Commits made a second apart have other ids and dates."""
    text = re.sub(r"\b[0-9a-f]{40}\b", "<id>", text)
    text = re.sub(r"detached (at|from) [0-9a-f]{7}\b", r"detached \1 <id>", text)
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ?[+-]\d\d:?\d\d", "<date>", text)


def test_every_tool_takes_what_the_reference_takes(outcome: Outcome) -> None:
    theirs, ours = outcome.theirs, outcome.ours
    assert set(theirs) == TWELVE
    for name, tool in theirs.items():
        mine = ours[name].input_schema
        assert set(mine["required"]) == set(tool.input_schema["required"]), name
        for parameter, schema in tool.input_schema["properties"].items():
            for key in ("type", "default", "items", "minItems"):
                if key == "type" and "anyOf" in schema:
                    assert mine["properties"][parameter]["type"] == "string", f"{name}({parameter})"
                elif schema.get(key) is not None:
                    assert mine["properties"][parameter].get(key) == schema[key], f"{name}({parameter}).{key}"
        theirs_say = tool.annotations.model_dump() if tool.annotations else {}
        ours_say = ours[name].annotations.model_dump() if ours[name].annotations else {}
        assert theirs_say == ours_say, name


def plain(scratch: Scratch) -> None:
    scratch.commit("first\n\nwith a body", {"a.txt": "a\nb\nc\n", "d/x.py": "def f():\n    return 1\n" * 20})
    scratch.commit("second", {"a.txt": "a\nb\nc\nmore\n", "empty": ""})
    scratch.git("mv", "d/x.py", "d/y.py")
    scratch.commit(
        "third", {"bin": b"\0binary", "run.sh": "#!/bin/sh\n", "name with space": "its own content\n"}
    )
    scratch.git("branch", "feat", "HEAD~1")
    scratch.git("tag", "-a", "v1", "-m", "one", "HEAD~1")
    scratch.git("tag", "light", "HEAD~2")


def dirty(scratch: Scratch) -> None:
    plain(scratch)
    scratch.write("a.txt", "a\nB\nc\nmore")
    scratch.write("staged.txt", "new\n")
    scratch.write("umlaut-\u00fc.txt", "x\n")
    scratch.git("add", "staged.txt", "umlaut-\u00fc.txt")
    scratch.git("mv", "empty", "moved")
    scratch.git("mv", "d/y.py", "d/z.py")
    scratch.write("d/z.py", "def f():\n    return 1\n" * 20 + "# end\n")
    (scratch.path / "run.sh").chmod(0o755)
    (scratch.path / "bin").unlink()
    (scratch.path / "name with space").unlink()
    (scratch.path / "name with space").symlink_to("a.txt")
    scratch.write("u/1", "1\n")
    scratch.write('quoted"\t.txt', "1\n")
    scratch.write(".gitignore", "*.log\n")
    scratch.write("x.log", "ignored\n")
    (scratch.path / "nothing-in-it").mkdir()


def fresh(scratch: Scratch) -> None:
    scratch.write("a.txt", "a\n")


def fresh_staged(scratch: Scratch) -> None:
    scratch.write("a.txt", "a\n")
    scratch.write("b.txt", "b\n")
    scratch.git("add", "a.txt")


def merging(scratch: Scratch) -> None:
    scratch.commit("base", {"a": "1\n", "b": "1\n", "c": "1\n", "keep": "k\n"})
    scratch.git("checkout", "-q", "-b", "other")
    scratch.commit("theirs", {"a": "2\n", "b": None, "new": "x\n", "clean": "c\n"})
    scratch.git("checkout", "-q", "main")
    scratch.commit("ours", {"a": "3\n", "b": "4\n", "c": None, "new": "y\n"})
    scratch.git("merge", "other", check=False)


def merged(scratch: Scratch) -> None:
    scratch.commit("base", {"a": "1\n"})
    scratch.git("checkout", "-q", "-b", "other")
    scratch.commit("theirs", {"b": "2\n"})
    scratch.git("checkout", "-q", "main")
    scratch.commit("ours", {"c": "3\n"})
    scratch.git("merge", "-q", "--no-commit", "other")


def picking(scratch: Scratch) -> None:
    scratch.commit("base", {"a": "1\n"})
    scratch.git("checkout", "-q", "-b", "other")
    scratch.commit("theirs", {"a": "2\n"})
    scratch.git("checkout", "-q", "main")
    scratch.commit("ours", {"a": "3\n"})
    scratch.git("cherry-pick", "other", check=False)


def tracking(scratch: Scratch) -> None:
    plain(scratch)
    origin = scratch.path.parent / "origin.git"
    scratch.git("clone", "-q", "--bare", ".", str(origin))
    scratch.git("remote", "add", "origin", "../origin.git")
    scratch.git("fetch", "-q", "origin")
    scratch.git("remote", "set-head", "origin", "main")
    scratch.git("branch", "-q", "--set-upstream-to=origin/main", "main")
    scratch.git("checkout", "-q", "-b", "behind", "origin/main")
    scratch.git("reset", "-q", "--hard", "HEAD~1")
    scratch.git("checkout", "-q", "-b", "diverged", "origin/main")
    scratch.git("reset", "-q", "--hard", "HEAD~2")
    scratch.commit("own", {"own": "1\n"})
    scratch.git("checkout", "-q", "-b", "gone", "origin/main")
    scratch.git("config", "branch.gone.merge", "refs/heads/nowhere")
    scratch.git("checkout", "-q", "main")
    scratch.commit("ahead", {"ahead": "1\n"})


def linked(scratch: Scratch) -> None:
    plain(scratch)
    scratch.git("worktree", "add", "-q", "../second", "feat")


def text_encodings(scratch: Scratch) -> None:
    scratch.commit("latin", {"l.txt": "gr\xfc\xdfe\n".encode("latin-1"), "crlf.txt": "a\r\nb\r\n"})
    scratch.write("l.txt", "gr\xfc\xdfe!\n".encode("latin-1"))
    scratch.write("crlf.txt", "a\r\nc\r\n")


READING: Calls = [
    ("git_status", {}),
    ("git_diff_unstaged", {}),
    ("git_diff_unstaged", {"context_lines": 0}),
    ("git_diff_staged", {}),
    ("git_diff_staged", {"context_lines": 100}),
    ("git_branch", {"branch_type": "local"}),
    ("git_branch", {"branch_type": "remote"}),
    ("git_branch", {"branch_type": "all"}),
]
HISTORY: Calls = [
    ("git_diff", {"target": "HEAD"}),
    ("git_diff", {"target": "HEAD~1", "context_lines": 1}),
    ("git_log", {}),
    ("git_log", {"max_count": 1}),
    ("git_log", {"max_count": 0}),
    ("git_show", {"revision": "HEAD"}),
    ("git_show", {"revision": "HEAD~1"}),
    ("git_show", {"revision": "HEAD:"}),
]
PLAIN: Calls = [
    ("git_show", {"revision": "HEAD~2"}),
    ("git_show", {"revision": "v1"}),
    ("git_show", {"revision": "HEAD:a.txt"}),
    ("git_show", {"revision": "HEAD:d"}),
    ("git_show", {"revision": "HEAD:bin"}),
    ("git_diff", {"target": "feat"}),
    ("git_diff", {"target": "light"}),
    ("git_branch", {"branch_type": "local", "contains": "HEAD"}),
    ("git_branch", {"branch_type": "all", "not_contains": "HEAD"}),
    ("git_log", {"start_timestamp": "2023-11-14T22:15:10", "end_timestamp": "2023-11-14T22:16:30"}),
    ("git_log", {"start_timestamp": "2 weeks ago"}),
    ("git_log", {"end_timestamp": "yesterday", "max_count": 2}),
    ("git_create_branch", {"branch_name": "new"}),
    ("git_create_branch", {"branch_name": "from-tag", "base_branch": "v1"}),
    ("git_checkout", {"branch_name": "feat"}),
    ("git_status", {}),
    ("git_create_branch", {"branch_name": "deeper/name", "base_branch": "main"}),
    ("git_checkout", {"branch_name": "v1"}),
    ("git_status", {}),
    ("git_branch", {"branch_type": "local"}),
    ("git_checkout", {"branch_name": "HEAD~1"}),
    ("git_status", {}),
    ("git_branch", {"branch_type": "all"}),
    ("git_commit", {"message": "nothing"}),
    ("git_checkout", {"branch_name": "main"}),
    ("git_reset", {}),
]
STAGING: Calls = [
    ("git_add", {"files": ["a.txt"]}),
    ("git_add", {"files": ["a.txt"]}),
    ("git_status", {}),
    ("git_add", {"files": ["bin", "name with space"]}),
    ("git_diff_staged", {}),
    ("git_add", {"files": ["u"]}),
    ("git_add", {"files": ["*.txt"]}),
    ("git_status", {}),
    ("git_commit", {"message": "one\n\nbody\n"}),
    ("git_add", {"files": ["."]}),
    ("git_status", {}),
    ("git_reset", {}),
    ("git_status", {}),
    ("git_add", {"files": ["."]}),
    ("git_commit", {"message": "all"}),
    ("git_show", {"revision": "HEAD"}),
    ("git_status", {}),
    ("git_log", {"max_count": 3}),
]
SCENARIOS: dict[str, tuple[Callable[[Scratch], None], Calls]] = {
    "plain": (plain, [*READING, *HISTORY, *PLAIN]),
    "dirty": (dirty, [*READING, *HISTORY, *STAGING]),
    "fresh": (fresh, [*READING, ("git_add", {"files": ["a.txt"]}), ("git_commit", {"message": "x"}), *HISTORY[2:]]),
    "fresh, staged": (fresh_staged, [*READING, ("git_commit", {"message": "x"}), ("git_status", {})]),
    "merging": (
        merging,
        [*(call for call in READING if "diff" not in call[0]), ("git_add", {"files": ["."]}), ("git_status", {}),
         ("git_commit", {"message": "merge"}), ("git_status", {}), ("git_log", {}), ("git_show", {"revision": "HEAD"})],
    ),
    "merged": (merged, [*READING, ("git_commit", {"message": "merge"}), ("git_status", {}), ("git_log", {})]),
    "picking": (picking, [("git_status", {}), ("git_add", {"files": ["a"]}), ("git_status", {})]),
    "tracking": (
        tracking,
        [*READING, *HISTORY,
         *(call for name in ("behind", "diverged", "gone") for call in
           [("git_checkout", {"branch_name": name}), ("git_status", {})])],
    ),
    "linked": (linked, READING),
    "encodings": (text_encodings, [call for call in [*READING, *HISTORY] if "diff" not in call[0]]),
}  # fmt: skip


@pytest.mark.parametrize("name", list(SCENARIOS))
def test_answers_are_those_of_the_reference(outcome: Outcome, name: str) -> None:
    differing = []
    for tool, arguments, theirs, ours in outcome.answers[name]:
        equal = [(failed, without_ids(text)) for failed, text in (theirs, ours)]
        if equal[0] != equal[1] and not (equal[0][0] and equal[1][0]):
            lines = [
                f"{'error: ' if failed else ''}{text}".splitlines(keepends=True) for failed, text in equal
            ]
            differing.append(
                f"{tool} {arguments}\n" + "".join(difflib.unified_diff(*lines, "theirs", "ours"))
            )
    assert not differing, f"{len(differing)} answers differ\n" + "\n".join(differing)
