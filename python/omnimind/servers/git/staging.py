"""What goes into the next commit: add, reset, commit.

The index is written through libgit2's lock file and renamed into place, so a reader sees the old one or the new
one. A path is followed by hand: none of its folders may be a link, and nothing but regular files and links (their
text, never what they lead to) is stored. No hook runs and nothing is signed.
"""

from __future__ import annotations

import fnmatch
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field

import pygit2
from pygit2.enums import DeltaStatus, DiffOption

from omnimind.servers.filesystem.roots import kind_of
from omnimind.servers.git import identity, limits, revisions, worktree
from omnimind.servers.git.conflicts import conflicts
from omnimind.servers.git.identity import Said
from omnimind.servers.git.patch import IN_WORK_TREE
from omnimind.servers.git.repository import Opened, text_of
from omnimind.servers.git.worktree import Watch
from omnimind.servers.problem import Problem

_NOTHING_STAGED = (
    "No changes were staged: the given paths had nothing new to stage. "
    "git_status shows what is modified or untracked."
)
_AFTER_MERGE = ("MERGE_HEAD", "MERGE_MSG", "MERGE_MODE", "AUTO_MERGE")
_AFTER_PICK = ("CHERRY_PICK_HEAD", "REVERT_HEAD", "MERGE_MSG")
_GLOB = frozenset("*?[")


@dataclass(slots=True)
class _Wanted:
    """What one call stages, removes and leaves out."""

    add: list[str] = field(default_factory=list)
    remove: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def add(opened: Opened, files: list[str], watch: Watch) -> str:
    """Stage these paths; returns the words of the reference server."""
    if not files:
        raise Problem("No files provided to stage. Pass one or more paths, or ['.'] to stage everything.")
    if len(files) > limits.FILES:
        raise Problem(f"{len(files):,} paths in one call; the limit is {limits.FILES:,}. Name their folder.")
    wanted = _Wanted()
    paths = [_inside(opened, file) for file in files]
    worktree.check(opened, watch)
    pending = None
    for given, path in zip(files, paths, strict=True):
        if not _add_file(opened, path, given, wanted):
            pending = list(_pending(opened)) if pending is None else pending
            _add_matching(opened, path, given, pending, wanted)
    changed = _stage(opened, wanted, watch)
    note = "".join(f"\nLeft out: {path} is a repository of its own" for path in wanted.left_out[:20])
    return ("Files staged successfully" if changed else _NOTHING_STAGED) + note


def _inside(opened: Opened, file: str) -> str:
    """The path relative to the work tree. Absolute paths inside are understood, as the reference server does."""
    revisions.refuse_odd(file, "path")
    if file.startswith(":"):
        raise Problem(f"Path '{file}' begins with ':', which git reads as a pattern; put ./ before it")
    outside = Problem(f"Path '{file}' is outside the repository '{opened.work}'")
    path = os.path.normpath(os.path.join(opened.work, file))
    if path != opened.work and not path.startswith(opened.work + "/"):
        raise outside
    relative = os.path.relpath(path, opened.work)
    if relative.split("/")[0] == ".git":
        raise Problem(f"Path '{file}' is in the repository's own .git folder, which is never staged")
    if not opened.work == os.path.realpath(path) and not os.path.realpath(path).startswith(opened.work + "/"):
        raise outside
    _refuse_linked_folders(opened, relative, file)
    return relative


def _refuse_linked_folders(opened: Opened, relative: str, given: str) -> None:
    parts = relative.split("/")
    for at in range(1, len(parts)):
        above = "/".join(parts[:at])
        full = os.path.join(opened.work, above)
        if os.path.islink(full):
            raise Problem(f"Path '{given}' is beyond the link '{above}'; name the real path")
        if os.path.lexists(os.path.join(full, ".git")):
            raise Problem(
                f"Path '{given}' is in '{above}', a repository of its own (a submodule); open that one"
            )


def _add_file(opened: Opened, path: str, given: str, wanted: _Wanted) -> bool:
    """Stage a path that is a file by now, or was one; False if it is a folder or a pattern."""
    try:
        kind = os.lstat(os.path.join(opened.work, path)).st_mode
    except (FileNotFoundError, NotADirectoryError):
        if path in opened.repo.index:
            wanted.remove.append(path)
            return True
        return False
    if stat.S_ISDIR(kind):
        if path != "." and os.path.lexists(os.path.join(opened.work, path, ".git")):
            raise Problem(
                f"Path '{given}' is a repository of its own (a submodule), which is not staged here"
            )
        return False
    if not stat.S_ISREG(kind) and not stat.S_ISLNK(kind):
        raise Problem(f"Path '{given}' is {kind_of(kind)}; only files and links can be staged")
    if path not in opened.repo.index and opened.repo.path_is_ignored(path):
        raise Problem(
            f"Path '{given}' is ignored by a .gitignore file; change that file if it should be staged"
        )
    wanted.add.append(path)
    return True


def _pending(opened: Opened) -> Iterator[tuple[DeltaStatus, str]]:
    """All that differs between index and work tree, untracked files one by one."""
    flags = IN_WORK_TREE | DiffOption.INCLUDE_UNTRACKED | DiffOption.RECURSE_UNTRACKED_DIRS
    for delta in opened.repo.index.diff_to_workdir(flags=flags | DiffOption.INCLUDE_TYPECHANGE).deltas:
        yield delta.status, delta.new_file.path
    for sides in opened.repo.index.conflicts or ():
        yield DeltaStatus.CONFLICTED, next(side.path for side in sides if side is not None)


def _add_matching(
    opened: Opened, path: str, given: str, pending: list[tuple[DeltaStatus, str]], wanted: _Wanted
) -> None:
    """Stage what differs beneath a folder, or matches a pattern."""
    pattern = bool(_GLOB & set(path)) and not os.path.isdir(os.path.join(opened.work, path))

    def matches(name: str) -> bool:
        if pattern:
            return fnmatch.fnmatchcase(name, path)
        return path == "." or name == path or name.startswith(path + "/")

    if path != "." and not os.path.isdir(os.path.join(opened.work, path)):
        tracked = any(matches(entry.path) for entry in opened.repo.index)
        if not tracked and not any(matches(name) for _, name in pending):
            raise Problem(
                f"pathspec '{given}' did not match any files; git_status shows what could be staged"
            )
    for status, name in pending:
        if not matches(name):
            continue
        full = os.path.join(opened.work, name)
        if name.endswith("/"):
            wanted.left_out.append(name)
        elif status == DeltaStatus.DELETED or not os.path.lexists(full):
            wanted.remove.append(name)
        elif stat.S_ISREG(os.lstat(full).st_mode) or stat.S_ISLNK(os.lstat(full).st_mode):
            wanted.add.append(name)


def _stage(opened: Opened, wanted: _Wanted, watch: Watch) -> bool:
    """Change and write the index; whether it differs now."""
    index = opened.repo.index
    before = _contents(opened.repo)
    for path in wanted.remove:
        watch()
        for level in range(4):
            if level == 0 or opened.repo.index.conflicts is not None:
                _remove(index, path, level)
    for path in wanted.add:
        watch()
        index.add(path)
    if _contents(opened.repo) == before:
        return False
    index.write()
    return True


def _remove(index: pygit2.Index, path: str, level: int) -> None:
    try:
        index.remove(path, level)
    except (OSError, KeyError):  # not at this stage
        return


def _contents(repo: pygit2.Repository) -> tuple[list[tuple[str, str, int]], list[str]]:
    entries = [(entry.path, str(entry.id), int(entry.mode)) for entry in repo.index]
    unmerged = [next(side.path for side in sides if side) for sides in repo.index.conflicts or ()]
    return entries, unmerged


def reset(opened: Opened) -> str:
    """Make the index what HEAD is; the work tree stays."""
    opened.need_work_tree()
    index = opened.repo.index
    if opened.repo.head_is_unborn:
        index.clear()
    else:
        index.read_tree(revisions.head_tree(opened.repo))
    index.write()
    return "All staged changes reset"


def commit(opened: Opened, message: str, said: Said) -> str:
    """Commit what is staged; returns the words of the reference server."""
    repo = opened.repo
    opened.need_work_tree()
    _check_message(message)
    merging = _merge_heads(opened)
    _check_state(opened, merging)
    head = revisions.head_commit(repo)
    tree = repo.index.write_tree()
    if not merging and (tree == head.tree_id if head else not len(repo.index)):
        raise Problem(
            "No changes staged for commit. Use git_add to stage changes first; git_status shows what is "
            "currently staged."
        )
    author, committer = identity.author(opened, said), identity.committer(opened, said)
    repo.set_ident(committer.name, committer.email)
    made = repo.create_commit(
        "HEAD",
        identity.signature(author),
        identity.signature(committer),
        message,
        tree,
        [*([head.id] if head else []), *merging],
    )
    _clear(opened, _AFTER_MERGE if merging else _AFTER_PICK)
    return f"Changes committed successfully with hash {made}"


def _check_message(message: str) -> None:
    if not message.strip():
        raise Problem("the message is empty; say what the commit changes")
    if "\0" in message or len(message) > limits.MESSAGE_CHARS:
        raise Problem(f"the message has a NUL character or more than {limits.MESSAGE_CHARS:,} characters")
    try:
        message.encode()
    except UnicodeEncodeError:
        raise Problem("the message is not valid Unicode text") from None


def _check_state(opened: Opened, merging: list[pygit2.Oid]) -> None:
    unmerged = next(conflicts(opened.repo), None)
    if unmerged is not None:
        raise Problem(
            f"{text_of(unmerged.path)} is unmerged, and git_conflicts lists all that are; settle them in the work "
            "tree and git_add them before the commit"
        )
    if merging and os.path.exists(os.path.join(opened.layout.folder, "MERGE_AUTOSTASH")):
        raise Problem(
            "this merge was begun with --autostash; conclude it with the git program, which applies it"
        )


def _merge_heads(opened: Opened) -> list[pygit2.Oid]:
    try:
        with open(os.path.join(opened.layout.folder, "MERGE_HEAD"), "rb") as file:
            lines = file.read(limits.POINTER_BYTES).decode("ascii", "replace").split()
    except FileNotFoundError:
        return []
    return [revisions.commit_of(opened.repo, line).id for line in lines]


def _clear(opened: Opened, names: tuple[str, ...]) -> None:
    """What was under way is done. A sequence of picks goes on: its own folder stays."""
    if names is _AFTER_PICK and not any(
        os.path.exists(os.path.join(opened.layout.folder, name)) for name in _AFTER_PICK[:2]
    ):
        return
    for name in names:
        try:
            os.unlink(os.path.join(opened.layout.folder, name))
        except FileNotFoundError:
            continue
