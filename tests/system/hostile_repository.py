"""A repository whose every setting that names a program names one that leaves a mark, and calls of every tool."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fixtures.repositories import Scratch

HOOKS = ("pre-commit", "prepare-commit-msg", "commit-msg", "post-commit", "post-checkout", "post-index-change",
         "reference-transaction", "post-merge", "pre-auto-gc", "post-rewrite", "fsmonitor-watchman")  # fmt: skip

ATTRIBUTES = "*.txt filter=evil diff=evil merge=evil ident\n*.md filter=slow\n"

Call = tuple[str, dict[str, Any]]


@dataclass
class Hostile:
    """The repository, the folder that is served, and where marks would appear."""

    scratch: Scratch
    root: Path
    marks: Path

    def marked(self) -> list[str]:
        return sorted(mark.name for mark in self.marks.iterdir())


def make(root: Path) -> Hostile:
    """A repository beneath `root` with history, changes and eight and more ways to start a program."""
    marks = root / "marks"  # within reach of the server: it is not the fence that keeps them away
    marks.mkdir(parents=True)
    scratch = Scratch.make(root / "evil")
    scratch.commit("first", {"a.txt": "one\n$Id$\n", "b.md": "b\n", ".gitattributes": ATTRIBUTES})
    scratch.git("branch", "other")
    scratch.commit("second", {"a.txt": "one\ntwo\n", "b.md": "bb\n"})
    scratch.git("tag", "-a", "v1", "-m", "one")
    scratch.write("a.txt", "put aside\n")
    scratch.git("stash")
    scratch.write("a.txt", "one\ntwo\nthree\n")
    scratch.write("new.txt", "new\n")
    _set_traps(scratch, marks)
    return Hostile(scratch, root, marks)


def program(marks: Path, name: str) -> str:
    """An executable that leaves a mark, and passes on what it is given."""
    script = marks.parent / "programs" / name.replace("/", "-")
    script.parent.mkdir(exist_ok=True)
    script.write_text(f"#!/bin/sh\necho ran > '{marks}/{script.name}'\ncat\n")
    script.chmod(0o755)
    return str(script)


def _set_traps(scratch: Scratch, marks: Path) -> None:
    hooks = scratch.path / "my-hooks"
    for folder in (hooks, scratch.path / ".git" / "hooks"):
        folder.mkdir(exist_ok=True)
        for hook in HOOKS:
            (folder / hook).write_text(Path(program(marks, f"hook-{hook}")).read_text())
            (folder / hook).chmod(0o755)
    named = {
        "core.fsmonitor": "fsmonitor",
        "diff.external": "external-diff",
        "diff.evil.command": "diff-command",
        "diff.evil.textconv": "textconv",
        "filter.evil.clean": "clean",
        "filter.evil.smudge": "smudge",
        "filter.slow.process": "process",
        "merge.evil.driver": "merge-driver",
        "core.pager": "pager",
        "pager.log": "pager-log",
        "core.sshCommand": "ssh",
        "core.editor": "editor",
        "sequence.editor": "sequence-editor",
        "core.askPass": "askpass",
        "core.alternateRefsCommand": "alternate-refs",
        "gpg.program": "gpg",
        "gpg.ssh.program": "gpg-ssh",
        "credential.helper": "credential",
        "uploadpack.packObjectsHook": "pack-objects",
        "interactive.diffFilter": "diff-filter",
        "alias.status": "alias",
    }
    for setting, name in named.items():
        command = program(marks, name)
        scratch.git(
            "config", setting, f"!{command}" if setting.startswith(("alias", "credential")) else command
        )
    for setting, value in {
        "core.hooksPath": str(hooks),
        "filter.evil.required": "true",
        "commit.gpgSign": "true",
        "tag.gpgSign": "true",
        "log.showSignature": "true",
        "gc.auto": "1",
    }.items():
        scratch.git("config", setting, value)
    included = scratch.write("more.config", f"[diff]\n\texternal = {program(marks, 'included')}\n")
    scratch.git("config", "include.path", os.path.relpath(included, scratch.path / ".git"))


def calls(repo_path: str) -> list[Call]:
    """Every tool, each where it does its work: files are staged, committed and checked out."""
    here = {"repo_path": repo_path}
    return [
        ("git_list_repositories", {}),
        ("git_status", here),
        ("git_diff_unstaged", here),
        ("git_diff_staged", here),
        ("git_diff", {**here, "target": "other"}),
        ("git_diff", {**here, "target": "HEAD~1", "context_lines": 1}),
        ("git_diff", {**here, "target": "other..main"}),
        ("git_add", {**here, "files": ["a.txt"]}),
        ("git_add", {**here, "files": ["."]}),
        ("git_diff_staged", here),
        ("git_reset", here),
        ("git_add", {**here, "files": ["a.txt", "new.txt", "*.md", "my-hooks", "more.config"]}),
        ("git_commit", {**here, "message": "third"}),
        ("git_log", here),
        ("git_show", {**here, "revision": "HEAD"}),
        ("git_show", {**here, "revision": "HEAD:a.txt"}),
        ("git_show_file", {**here, "path": "a.txt"}),
        ("git_branch", {**here, "branch_type": "all"}),
        ("git_create_branch", {**here, "branch_name": "made"}),
        ("git_checkout", {**here, "branch_name": "other"}),
        ("git_checkout", {**here, "branch_name": "v1"}),
        ("git_checkout", {**here, "branch_name": "made"}),
        ("git_blame", {**here, "path": "a.txt"}),
        ("git_file_history", {**here, "path": "a.txt"}),
        ("git_find_change", {**here, "text": "two"}),
        ("git_merge_base", {**here, "first": "main", "second": "other"}),
        ("git_create_tag", {**here, "name": "v2", "message": "signed?"}),
        ("git_tags", here),
        ("git_stash_list", here),
        ("git_stash_show", here),
        ("git_conflicts", here),
        ("git_worktrees", here),
        ("git_range_diff", {**here, "old_range": "other..v1", "new_range": "other..made"}),
        ("git_init", {"path": str(Path(repo_path).parent / "made")}),
    ]
