"""Blame, histories, stashes, tags, series and worktrees of the git server, beside what the git program says."""

from __future__ import annotations

import re
from typing import Any

import pytest
from fixtures.repositories import Scratch

from omnimind.servers.filesystem.roots import open_roots
from omnimind.servers.git import blame, history, library, rangediff, revisions
from omnimind.servers.git.repository import Repositories


def blamed_by_git(scratch: Scratch, path: str, *options: str) -> list[str]:
    said = scratch.git("blame", "--line-porcelain", *options, "--", path)
    return re.findall(r"^([0-9a-f]{40}) \d+ \d+", said, re.MULTILINE)


def blamed(git: Any, path: str, **arguments: Any) -> list[str]:
    groups = git.listed("git_blame", path=path, **arguments)["groups"]
    return [group["commit"] for group in groups for _ in group["text"]]


def test_blame_says_what_git_says(git: Any, scratch: Scratch) -> None:
    lines = [f"line {number}" for number in range(60)]
    scratch.commit("first", {"f": "\n".join(lines) + "\n"})
    for at in (3, 17, 30, 44):
        lines[at] += " changed"
        del lines[at + 5]
        lines.insert(at + 8, f"inserted {at}")
        scratch.commit(f"at {at}", {"f": "\n".join(lines) + "\n"})
    scratch.git("mv", "f", "g")
    scratch.commit("renamed")
    scratch.git("checkout", "-q", "-b", "side", "HEAD~2")
    scratch.commit("side", {"f": scratch.git("show", "HEAD:f").replace("line 25\n", "line 25 aside\n")})
    scratch.git("checkout", "-q", "main")
    scratch.git("merge", "-q", "side", "-m", "merged")
    assert blamed(git, "g") == blamed_by_git(scratch, "g")
    assert blamed(git, "g", start_line=10, line_count=7) == blamed_by_git(scratch, "g", "-L10,16")
    part = git.listed("git_blame", path="g", start_line=10, line_count=7)
    assert (part["next_line"], part["total_lines"]) == (17, 60)


def test_the_history_of_a_file_goes_on_under_its_older_name(git: Any, scratch: Scratch) -> None:
    scratch.commit("first", {"old": "a\nb\nc\n", "other": "x\n"})
    scratch.commit("elsewhere", {"other": "y\n"})
    scratch.commit("second", {"old": "a\nb\nc\nd\n"})
    scratch.git("mv", "old", "new")
    scratch.commit("moved")
    scratch.commit("gone", {"other": None})
    changes = git.listed("git_file_history", path="new")["changes"]
    expected = scratch.git("log", "--follow", "--format=%H", "--", "new").split()
    assert [change["commit"] for change in changes] == expected
    assert changes[0]["change"] == "renamed from old"
    first = git.listed("git_file_history", path="new", limit=1)
    assert (len(first["changes"]), first["next_offset"]) == (1, 1)
    gone = git.listed("git_file_history", path="other")["changes"]
    assert [change["change"] for change in gone] == ["deleted", "modified", "added"]


def test_the_commits_that_bring_and_take_a_text_are_found(git: Any, scratch: Scratch) -> None:
    scratch.commit("none", {"a": "x\n"})
    scratch.commit("in", {"a": "x\nneedle\n"})
    scratch.commit("moved within", {"a": "needle\nx\n"})
    scratch.commit("out", {"a": "x\n", "b": "y\n"})
    found = git.listed("git_find_change", text="needle")["commits"]
    assert [commit["commit"] for commit in found] == scratch.git("log", "--format=%H", "-Sneedle").split()
    assert [commit["files"][0]["change"] for commit in found] == [-1, 1]
    assert git.listed("git_find_change", text="needle", path="b")["commits"] == []


def test_a_log_is_in_the_order_of_git_and_can_be_taken_in_parts(git: Any, scratch: Scratch) -> None:
    for number in range(4):
        scratch.commit(f"main {number}", {f"m{number}": "x\n"})
    scratch.git("checkout", "-q", "-b", "side", "HEAD~2")
    scratch.commit("side", {"s": "x\n"})
    scratch.git("checkout", "-q", "main")
    scratch.git("merge", "-q", "side", "-m", "merged")
    ids = scratch.git("log", "--format=%H").split()
    assert re.findall("Commit: (.*)", git.said("git_log")) == ids
    assert re.findall("Commit: (.*)", git.said("git_log", max_count=2, skip=3)) == ids[3:5]
    assert (
        re.findall("Commit: (.*)", git.said("git_log", revision="side"))
        == ids[ids.index(scratch.head("side")) :][:0] + scratch.git("log", "--format=%H", "side").split()
    )


def test_stashes_and_tags_are_listed_and_shown(git: Any, scratch: Scratch) -> None:
    scratch.commit("first", {"a": "a\n"})
    for text in ("one\n", "two\n"):
        scratch.write("a", text)
        scratch.git("stash", "-m", text.strip())
    stashes = git.listed("git_stash_list")["stashes"]
    assert [stash["message"] for stash in stashes] == ["On main: two", "On main: one"]
    assert git.said("git_stash_show", index=1) == scratch.git("stash", "show", "-p", "stash@{1}").rstrip("\n")
    assert "git_stash_list" in git.refused("git_stash_show", index=2)
    scratch.git("tag", "plain")
    assert (
        git.said("git_create_tag", name="v1", message="One\n")
        == f"Created tag 'v1' of commit {scratch.head()}"
    )
    tags = {tag["name"]: tag for tag in git.listed("git_tags")["tags"]}
    assert (tags["plain"]["tagger"], tags["v1"]["tagger"]) == (None, "Ada Lovelace")
    assert scratch.git("tag", "-l", "--format=%(contents)", "v1").strip() == "One"
    assert "exists already" in git.refused("git_create_tag", name="v1")


def test_a_rebased_series_is_paired_with_the_one_before(git: Any, scratch: Scratch) -> None:
    scratch.commit("base", {"base": "x\n"})
    scratch.git("branch", "start")
    for number in range(3):
        scratch.commit(f"part {number}", {f"f{number}": f"{number}\n" * 12})
    scratch.git("branch", "before")
    scratch.git("reset", "-q", "--hard", "start")
    scratch.commit("new base", {"upstream": "y\n"})
    scratch.git("branch", "restart")
    scratch.git("cherry-pick", "before~2")
    scratch.commit("part 1", {"f1": "1\n" * 12 + "more\n"})
    scratch.commit("extra", {"g": "entirely\nother\n"})
    found = git.listed("git_range_diff", old_range="start..before", new_range="restart..main")
    assert [pair["verdict"] for pair in found["pairs"]] == ["equal", "changed", "added", "dropped"]
    signs = re.findall(
        r"^(?:-|\d+):\s+\S+ ([=!<>])", scratch.git("range-diff", "start..before", "restart..main"), re.M
    )
    assert sorted(signs) == sorted(["=", "!", ">", "<"])
    assert "++more" in found["text"]


def test_bases_conflicts_and_worktrees(git: Any, scratch: Scratch) -> None:
    scratch.commit("base", {"a": "1\n"})
    scratch.git("worktree", "add", "-q", "../second", "-b", "other")
    scratch.commit("ours", {"a": "2\n"})
    second = Scratch(scratch.path.parent / "second", scratch.clock)
    theirs = second.commit("theirs", {"a": "3\n"})
    relation = git.listed("git_merge_base", first="main", second="other")
    assert relation == {"base": scratch.head("HEAD~1"), "ahead": 1, "behind": 1}
    trees = git.listed("git_worktrees")["worktrees"]
    assert [(tree["branch"], tree["commit"]) for tree in trees] == [
        ("main", scratch.head()),
        ("other", theirs),
    ]
    assert "already checked out" in git.refused("git_checkout", branch_name="other")
    scratch.git("merge", "other", check=False)
    conflict = git.listed("git_conflicts")["conflicts"][0]
    assert (conflict["path"], conflict["kind"]) == ("a", "both modified")
    assert git.said("git_show", revision=conflict["theirs"]) == "3\n"
    assert "unmerged" in git.refused("git_commit", message="not yet")


def test_a_long_text_is_given_in_parts_that_make_the_whole(git: Any, scratch: Scratch) -> None:
    content = "".join(f"line {number}\n" for number in range(500))
    scratch.commit("long", {"f": content})
    whole = git.said("git_show", revision="HEAD")
    parts, offset = [], 0
    while True:
        part = git.said("git_show", revision="HEAD", offset=offset, limit=1500)
        kept, cut, rest = part.partition("[cut here")
        parts.append(kept)
        if not cut:
            break
        offset = int(re.search(r"offset=(\d+)", rest)[1])  # type: ignore[index]
    assert "".join(parts) == whole
    assert len(parts) > 3


def test_long_work_ends_when_its_caller_has_gone(scratch: Scratch) -> None:
    for number in range(6):
        scratch.commit(f"commit {number}", {"a": "kept\n" * 8 + f"{number}\n"})
    library.keep_to_repositories()
    steps = 0

    def gone() -> None:
        nonlocal steps
        steps += 1
        if steps == 3:
            raise TimeoutError

    repositories = Repositories(open_roots([str(scratch.path)]))
    with repositories.opened(str(scratch.path)) as opened:
        start = revisions.need_head(opened.repo)
        for work in (
            lambda: list(history.log(opened.repo, start, None, None, gone)),
            lambda: list(history.of_file(opened.repo, start, "a", True, gone)),
            lambda: list(history.changing_text(opened.repo, start, "x", None, gone)),
            lambda: blame.blame(opened.repo, start, "a", 1, 9, gone),
            lambda: rangediff.compare(opened.repo, "HEAD~5..HEAD", "HEAD~4..HEAD", gone),
        ):
            steps = 0
            with pytest.raises(TimeoutError):
                work()
            assert steps == 3


@pytest.mark.parametrize("text", [":/first", "HEAD^{/first}"])
def test_revisions_do_not_search_messages(git: Any, scratch: Scratch, text: str) -> None:
    scratch.commit("first", {"a": "1\n"})
    assert "searches messages" in git.refused("git_show", revision=text)
