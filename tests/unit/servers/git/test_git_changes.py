"""What the git server writes: never over a local change, never half, never as somebody else."""

from __future__ import annotations

from typing import Any

from fixtures.repositories import EMAIL, NAME, Scratch


def test_a_checkout_that_would_lose_a_change_changes_nothing(git: Any, scratch: Scratch) -> None:
    scratch.commit("first", {"a": "1\n", "b": "1\n"})
    scratch.git("branch", "other")
    scratch.commit("second", {"a": "2\n", "b": "2\n", "c": "2\n"})
    scratch.write("a", "mine\n")
    before = scratch.git("status", "--porcelain=v2", "--branch")
    assert "\ta\n" in git.refused("git_checkout", branch_name="other")
    assert scratch.git("status", "--porcelain=v2", "--branch") == before
    assert (scratch.path / "a").read_text() == "mine\n"
    scratch.git("checkout", "-q", "a")
    scratch.git("checkout", "-q", "other")
    scratch.write("c", "in the way\n")
    assert "\tc\n" in git.refused("git_checkout", branch_name="main")
    assert (scratch.path / "c").read_text() == "in the way\n"


def test_a_lock_left_behind_is_named(git: Any, scratch: Scratch) -> None:
    scratch.commit("first", {"a": "1\n"})
    scratch.write("a", "2\n")
    lock = scratch.write(".git/index.lock", "")
    for tool, arguments in (("git_add", {"files": ["a"]}), ("git_reset", {}), ("git_add", {"files": ["."]})):
        said = git.refused(tool, **arguments)
        assert "index.lock" in said
        assert "remove that file" in said
    lock.unlink()
    assert git.said("git_add", files=["a"]) == "Files staged successfully"


def test_what_is_committed_is_what_git_would_have_committed(git: Any, scratch: Scratch) -> None:
    scratch.commit(
        "first", {"a": "1\n", "gone": "x\n", "run": "x\n", ".gitattributes": "*.crlf text eol=crlf\n"}
    )
    scratch.write("d/new", "n\n")
    (scratch.path / "gone").unlink()
    (scratch.path / "run").chmod(0o755)
    (scratch.path / "link").symlink_to("a")
    scratch.write("dos.crlf", "a\r\nb\r\n")
    scratch.git("add", "-A")
    expected = scratch.git("write-tree")
    scratch.git("reset", "-q")
    assert git.said("git_add", files=["."]) == "Files staged successfully"
    said = git.said("git_commit", message="second\n")
    assert said == f"Changes committed successfully with hash {scratch.head()}"
    assert scratch.git("rev-parse", "HEAD^{tree}") == expected
    assert scratch.git("status", "--porcelain") == ""
    assert scratch.git("log", "-1", "--format=%an <%ae>|%cn") == f"{NAME} <{EMAIL}>|{NAME}\n"
    assert scratch.git("fsck", "--strict") == ""


def test_an_author_may_be_named_and_the_committer_stays(git: Any, scratch: Scratch) -> None:
    scratch.write("a", "1\n")
    git.said("git_add", files=["a"])
    git.said("git_commit", message="x", author_name="Grace", author_email="grace@example.org")
    assert scratch.git("log", "-1", "--format=%an <%ae>|%cn") == f"Grace <grace@example.org>|{NAME}\n"
    scratch.write("a", "2\n")
    git.said("git_add", files=["a"])
    assert "author_name" in git.refused("git_commit", message="x", author_name="Eve <eve@example.org>")


def test_without_a_configured_user_the_principal_is_named(git: Any, scratch: Scratch) -> None:
    scratch.git("config", "--remove-section", "user")
    scratch.write("a", "1\n")
    git.said("git_add", files=["a"])
    git.said("git_commit", message="x")
    assert scratch.git("log", "-1", "--format=%an <%ae>") == "OmniMind <local@localhost>\n"


def test_ignored_files_are_staged_only_if_tracked(git: Any, scratch: Scratch) -> None:
    scratch.commit("first", {"kept.log": "1\n"})
    scratch.write(".gitignore", "*.log\n")
    scratch.write("kept.log", "2\n")
    scratch.write("new.log", "2\n")
    assert "ignored" in git.refused("git_add", files=["new.log"])
    assert git.said("git_add", files=["kept.log"]) == "Files staged successfully"


def test_a_merge_is_concluded_with_both_parents(git: Any, scratch: Scratch) -> None:
    scratch.commit("base", {"a": "1\n"})
    scratch.git("checkout", "-q", "-b", "other")
    other = scratch.commit("theirs", {"a": "2\n"})
    scratch.git("checkout", "-q", "main")
    ours = scratch.commit("ours", {"a": "3\n"})
    scratch.git("merge", "other", check=False)
    scratch.write("a", "settled\n")
    git.said("git_add", files=["a"])
    git.said("git_commit", message="merged")
    assert scratch.git("log", "-1", "--format=%P").split() == [ours, other]
    assert not (scratch.path / ".git" / "MERGE_HEAD").exists()
    assert "nothing to commit" in git.said("git_status")


def test_a_new_repository_is_one_for_git_too(git: Any, scratch: Scratch) -> None:
    path = scratch.path.parent / "made"
    git.text("git_init", path=str(path), initial_branch="trunk")
    made = Scratch(path)
    assert made.git("symbolic-ref", "HEAD") == "refs/heads/trunk\n"
    assert all(hook.suffix == ".sample" for hook in (path / ".git" / "hooks").iterdir())
    assert "a repository already" in git.problem("git_init", path=str(path))


def test_a_bare_repository_can_be_read_and_not_staged_in(git: Any, scratch: Scratch) -> None:
    scratch.commit("first", {"a": "1\n"})
    scratch.git("clone", "-q", "--bare", ".", "../bare.git")
    bare = str(scratch.path.parent / "bare.git")
    assert "first" in git.text("git_log", repo_path=bare)
    assert "1" in git.text("git_show_file", repo_path=bare, path="a")
    for tool, arguments in (
        ("git_add", {"files": ["a"]}),
        ("git_commit", {"message": "x"}),
        ("git_status", {}),
    ):
        assert "bare repository" in git.problem(tool, repo_path=bare, **arguments)
