"""Revisions and names that a caller writes.

A revision is data: libgit2 parses it, and a leading dash means nothing. Left out is what would search all history
by regular expression (`:/text`, `^{/text}`). A new name is stricter than git's: no leading dash, so that nobody who
uses the git program later takes it for an option.
"""

from __future__ import annotations

import pygit2

from omnimind.servers.git import evidence, limits
from omnimind.servers.problem import Problem

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


def resolve(repo: pygit2.Repository, revision: str) -> pygit2.Object:
    """The object that a revision names."""
    refuse_odd(revision, "revision")
    if revision.startswith(":/") or "^{/" in revision:
        raise Problem(
            f"'{revision}' searches messages, which a revision may not do here; git_log lists commits by message"
        )
    evidence.revision(repo, revision)
    try:
        found: pygit2.Object = repo.revparse_single(revision)
    except pygit2.AmbiguousError:
        raise Problem(f"Ref '{revision}' is ambiguous; write more of the id") from None
    except (KeyError, ValueError, pygit2.GitError) as refusal:
        if "object not found" in str(refusal) and len(revision) == 40 and not set(revision) - set(HEX):
            raise Problem(f"Ref '{revision}' did not resolve to an object: it is not here") from None
        raise Problem(
            f"Ref '{revision}' did not resolve to an object; git_branch, git_tags and git_log show what there is"
        ) from None
    return found


HEX = "0123456789abcdef"


def commit_of(repo: pygit2.Repository, revision: str) -> pygit2.Commit:
    """The commit that a revision names, directly or by a tag."""
    found = resolve(repo, revision)
    try:
        commit: pygit2.Commit = found.peel(pygit2.Commit)
    except (pygit2.GitError, ValueError):
        raise Problem(
            f"'{revision}' is {_kind(found)}, not a commit; name a commit, a branch or a tag"
        ) from None
    return commit


def tree_of(repo: pygit2.Repository, revision: str) -> pygit2.Tree:
    """The tree that a revision names, directly or by a commit or tag."""
    found = resolve(repo, revision)
    try:
        tree: pygit2.Tree = found.peel(pygit2.Tree)
    except (pygit2.GitError, ValueError):
        raise Problem(f"'{revision}' is {_kind(found)}, not a commit or a folder") from None
    return tree


def head_commit(repo: pygit2.Repository) -> pygit2.Commit | None:
    """The commit of HEAD; None on a branch that has none yet."""
    evidence.head(repo)
    if repo.head_is_unborn:
        return None
    commit: pygit2.Commit = repo.head.peel(pygit2.Commit)
    return commit


def head_tree(repo: pygit2.Repository) -> pygit2.Tree:
    """The tree of HEAD; the empty one on a branch without a commit."""
    commit = head_commit(repo)
    return repo[EMPTY_TREE].peel(pygit2.Tree) if commit is None else commit.tree


def need_head(repo: pygit2.Repository) -> pygit2.Commit:
    """The commit of HEAD. Raises Problem on a branch without one."""
    commit = head_commit(repo)
    if commit is None:
        raise Problem("there is no commit yet on this branch; git_commit makes the first")
    return commit


def split_range(text: str) -> tuple[str, str, bool] | None:
    """`A..B` or `A...B` as (A, B, whether it is the latter); an end left out is HEAD. None for one revision."""
    for dots in ("...", ".."):
        before, found, after = text.partition(dots)
        if found and ".." not in after:
            return before or "HEAD", after or "HEAD", dots == "..."
    return None


def new_name(name: str, kind: str) -> str:
    """A name for a new branch or tag, if it may be one."""
    refuse_odd(name, f"{kind} name")
    if name.startswith("-"):
        raise Problem(f"Invalid {kind} name: '{name}' - cannot start with '-'; choose another name")
    if len(name) > limits.NAME_CHARS:
        raise Problem(f"Invalid {kind} name: it has {len(name)} characters, the limit is {limits.NAME_CHARS}")
    folder = "refs/heads/" if kind == "branch" else "refs/tags/"
    if name in ("HEAD", "@") or not pygit2.reference_is_valid_name(folder + name):
        raise Problem(
            f"Invalid {kind} name: '{name}' - a name has no spaces, '..', '~', '^', ':', '?', '*', '[', '\\' or "
            "'@{', and no part that begins with '.' or ends with '.lock'"
        )
    return name


def refuse_odd(text: str, what: str) -> None:
    """Refuse what no revision, name or path can be."""
    if not text:
        raise Problem(f"the {what} is empty")
    if len(text) > limits.REVISION_CHARS:
        raise Problem(f"the {what} has {len(text):,} characters; the limit is {limits.REVISION_CHARS:,}")
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise Problem(f"the {what} has a control character in it; leave it out")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Problem(f"the {what} is not valid Unicode text") from None


def _kind(found: pygit2.Object) -> str:
    return {"blob": "a file", "tree": "a folder", "tag": "a tag"}.get(found.type_str, f"a {found.type_str}")
