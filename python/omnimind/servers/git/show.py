"""Objects as `git_show` of the reference server prints them, and the contents of a file at a revision."""

from __future__ import annotations

from collections.abc import Iterator

import pygit2
from pygit2.enums import DeltaStatus, FileMode

from omnimind.servers.git import history, limits, patch, revisions
from omnimind.servers.git.repository import message_of, text_of
from omnimind.servers.git.worktree import Watch
from omnimind.servers.problem import Problem


def shown(repo: pygit2.Repository, revision: str, watch: Watch) -> Iterator[str]:
    """A commit with its patch, the names in a folder, or the contents of a file."""
    found = revisions.resolve(repo, revision)
    if isinstance(found, pygit2.Blob):
        yield blob_text(repo, found.id)
    elif isinstance(found, pygit2.Tree):
        yield "\n".join(_listed(entry) for entry in found)
    else:
        yield from commit_text(revisions.commit_of(repo, revision), watch)


def commit_text(commit: pygit2.Commit, watch: Watch) -> Iterator[str]:
    """Header, message and patch against the first parent."""
    author = commit.author
    message = "".join(f"    {line}\n" for line in message_of(commit).rstrip("\n").split("\n"))
    yield (
        f"commit {commit.id}\n"
        f"Author: {history.name_of(author)} <{text_of(author.raw_email)}>\n"
        f"Date:   {history.when(author):%Y-%m-%d %H:%M:%S %z}\n\n{message}"
    )
    diff = patch.of_commit(commit)
    for at in range(len(diff)):
        watch()
        one = diff[at]
        if one is not None:
            yield _file_text(one)


def _file_text(one: pygit2.Patch) -> str:
    delta = one.delta
    old = "/dev/null" if delta.status == DeltaStatus.ADDED else f"a/{text_of(delta.old_file.raw_path)}"
    new = "/dev/null" if delta.status == DeltaStatus.DELETED else f"b/{text_of(delta.new_file.raw_path)}"
    return f"\n--- {old}\n+++ {new}\n{hunks_text(one)}"


def hunks_text(one: pygit2.Patch) -> str:
    """A patch from its first hunk on, or the line that says that binary files differ."""
    said = b"\n" + (one.data or b"")
    starts = [at for sign in (b"\n@@ ", b"\nBinary files ") if (at := said.find(sign)) >= 0]
    return text_of(said[min(starts) + 1 :]) if starts else ""


def _listed(entry: pygit2.Object) -> str:
    name = text_of(entry.raw_name)
    return f"{name}/" if isinstance(entry, pygit2.Tree) else name


def blob_text(repo: pygit2.Repository, blob: pygit2.Oid) -> str:
    """The contents of a file as text."""
    return text_of(blob_bytes(repo, blob))


def blob_bytes(repo: pygit2.Repository, blob: pygit2.Oid) -> bytes:
    """The contents of a file, if they are not too many. The size is asked before they are read."""
    _, size = repo.odb.read_header(blob)
    if size > limits.BLOB_BYTES:
        raise Problem(f"the file has {size:,} bytes; the limit is {limits.BLOB_BYTES:,}")
    data: bytes = repo[blob].read_raw()
    return data


def file_at(repo: pygit2.Repository, revision: str, path: str) -> str:
    """The contents of a file at a revision."""
    tree = revisions.tree_of(repo, revision)
    name = history.path_in_tree(path)
    try:
        found = tree[name]
    except KeyError:
        raise Problem(
            f"'{path}' is not in {revision}; git_show with '{revision}:' lists what is at its top"
        ) from None
    if isinstance(found, pygit2.Tree):
        raise Problem(f"'{path}' is a folder in {revision}; git_show with '{revision}:{name}' lists it")
    if found.filemode == FileMode.COMMIT:
        raise Problem(f"'{path}' is a submodule in {revision}; its files are in another repository")
    return blob_text(repo, found.id)
