"""What the listing tools of the git server answer: the shapes of their structured results."""

from __future__ import annotations

from pydantic import BaseModel


class CommitItem(BaseModel):
    """A commit in a list."""

    commit: str
    author: str
    date: str
    subject: str


class BlameItem(BaseModel):
    """Lines next to each other that come from one commit."""

    lines: str
    commit: str
    author: str
    date: str
    subject: str
    path: str
    text: list[str]


class Blame(BaseModel):
    """The result of git_blame."""

    path: str
    total_lines: int
    next_line: int | None
    groups: list[BlameItem]


class ChangeItem(CommitItem):
    """A commit that changed a file."""

    change: str
    path: str


class FileHistory(BaseModel):
    """The result of git_file_history."""

    changes: list[ChangeItem]
    next_offset: int | None


class Found(BaseModel):
    """A file in which the number of occurrences changed."""

    path: str
    change: int


class TextCommit(CommitItem):
    """A commit that adds or removes a text."""

    files: list[Found]


class TextChanges(BaseModel):
    """The result of git_find_change."""

    commits: list[TextCommit]
    next_offset: int | None


class TagItem(BaseModel):
    """A tag; a plain one has no tagger, date and message."""

    name: str
    target: str
    kind: str
    tagger: str | None
    date: str | None
    message: str | None


class Tags(BaseModel):
    """The result of git_tags."""

    tags: list[TagItem]
    next_offset: int | None


class StashItem(BaseModel):
    """A stash; 0 is the newest."""

    index: int
    commit: str
    message: str
    date: str


class Stashes(BaseModel):
    """The result of git_stash_list."""

    stashes: list[StashItem]
    next_offset: int | None


class ConflictItem(BaseModel):
    """An unmerged path, with the blobs of its sides."""

    path: str
    kind: str
    base: str | None
    ours: str | None
    theirs: str | None


class Conflicts(BaseModel):
    """The result of git_conflicts."""

    conflicts: list[ConflictItem]
    next_offset: int | None


class WorktreeItem(BaseModel):
    """A work tree. The main one has no name."""

    name: str
    path: str
    branch: str | None
    commit: str | None
    state: str


class Worktrees(BaseModel):
    """The result of git_worktrees."""

    worktrees: list[WorktreeItem]
    next_offset: int | None


class Places(BaseModel):
    """The result of git_list_repositories."""

    roots: list[str]
    repositories: list[str]
    next_offset: int | None


class Relation(BaseModel):
    """The result of git_merge_base."""

    base: str | None
    ahead: int
    behind: int
