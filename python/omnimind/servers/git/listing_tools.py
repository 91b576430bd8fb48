"""Tools of the git server that answer with a list: lines of a file, commits, tags, stashes, conflicts, places.

Each takes `limit` and `offset`, and says in `next_offset` how to go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Any, TypeVar

import pygit2
from mcp.server.mcpserver import Context
from mcp.types import CallToolResult
from pydantic import Field

from omnimind.servers.depends import FILES
from omnimind.servers.git import blame, conflicts, history, limits, paging, places, revisions, stashes, tags
from omnimind.servers.git.answers import (
    Blame,
    Conflicts,
    FileHistory,
    Places,
    Relation,
    Stashes,
    Tags,
    TextChanges,
    Worktrees,
)
from omnimind.servers.git.calling_tools import Calls, Entries, FilePath, RepoPath, Revision, Skipped
from omnimind.servers.git.repository import Opened, message_of, text_of
from omnimind.servers.problem import Problem
from omnimind.servers.tools import READS, Toolbox, data_result, in_thread

T = TypeVar("T")


def _commit_data(commit: pygit2.Commit) -> dict[str, Any]:
    """A commit as lists show it."""
    return {
        "commit": str(commit.id),
        "author": history.name_of(commit.author),
        "date": history.when(commit.author).isoformat(),
        "subject": message_of(commit).partition("\n")[0],
    }


def _tag_data(tag: tags.Tag) -> dict[str, Any]:
    """A tag as lists show it."""
    date = None if tag.date is None else tag.date.isoformat()
    return {
        "name": tag.name,
        "target": tag.target,
        "kind": tag.kind,
        "tagger": tag.tagger,
        "date": date,
        "message": tag.message,
    }


def add_listing_tools(box: Toolbox, calls: Calls) -> None:
    """Add them all."""
    _add_lines(box, calls)
    _add_history(box, calls)
    _add_marks(box, calls)
    _add_places(box, calls)


def _paged(
    key: str,
    found: Callable[[Opened], Iterable[T]],
    shown: Callable[[T], dict[str, Any]],
    offset: int,
    limit: int,
) -> Callable[[Opened], dict[str, Any]]:
    """Work that answers with a part of a list."""

    def work(opened: Opened) -> dict[str, Any]:
        kept, following = paging.part_of_list(found(opened), offset, limit)
        return {key: [shown(one) for one in kept], "next_offset": following}

    return work


def _start(opened: Opened, revision: str) -> pygit2.Commit:
    if revision == "HEAD":
        return revisions.need_head(opened.repo)
    return revisions.commit_of(opened.repo, revision)


def _add_lines(box: Toolbox, calls: Calls) -> None:
    @box.tool("Blame", READS, FILES)
    async def git_blame(
        repo_path: RepoPath,
        path: FilePath,
        ctx: Context,
        revision: Revision = "HEAD",
        start_line: Annotated[int, Field(ge=1, description="The first line")] = 1,
        line_count: Annotated[int, Field(ge=1, le=limits.BLAME_LINES, description="How many lines")] = 500,
    ) -> Annotated[CallToolResult, Blame]:
        """Shows which commit each line of a file comes from, past renames. Changes not committed are not seen."""
        watch = calls.watch(ctx, "commits")

        def work(opened: Opened) -> dict[str, Any]:
            name = history.path_in_tree(path)
            start = _start(opened, revision)
            lines, total = blame.blame(opened.repo, start, name, start_line, line_count, watch)
            following = start_line + line_count
            return {
                "path": name,
                "total_lines": total,
                "next_line": following if following <= total else None,
                "groups": _grouped(lines),
            }

        return data_result(await calls.read(repo_path, work))


def _grouped(lines: list[blame.Line]) -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = []
    last: blame.Line | None = None
    for line in lines:
        if last is not None and last.commit.id == line.commit.id and last.path == line.path:
            groups[-1]["text"].append(line.text)
        else:
            groups.append(
                {
                    "lines": str(line.number),
                    **_commit_data(line.commit),
                    "path": line.path,
                    "text": [line.text],
                }
            )
        first = groups[-1]["lines"].partition("-")[0]
        groups[-1]["lines"] = f"{first}-{line.number}"
        last = line
    return groups


def _add_history(box: Toolbox, calls: Calls) -> None:
    @box.tool("File History", READS, FILES)
    async def git_file_history(
        repo_path: RepoPath,
        path: FilePath,
        ctx: Context,
        revision: Revision = "HEAD",
        follow: Annotated[bool, Field(description="Go on under the older name of a renamed file")] = True,
        limit: Entries = 50,
        offset: Skipped = 0,
    ) -> Annotated[CallToolResult, FileHistory]:
        """Lists the commits that changed one file or folder, newest first; also of a file that is gone."""
        watch = calls.watch(ctx, "commits")

        def found(opened: Opened) -> Iterable[history.Change]:
            start = _start(opened, revision)
            return history.of_file(opened.repo, start, history.path_in_tree(path), follow, watch)

        def shown(one: history.Change) -> dict[str, Any]:
            return {**_commit_data(one.commit), "change": one.kind, "path": one.path}

        return data_result(await calls.read(repo_path, _paged("changes", found, shown, offset, limit)))

    @box.tool("Find Change of Text", READS, FILES)
    async def git_find_change(
        repo_path: RepoPath,
        text: Annotated[str, Field(min_length=1, max_length=1000, description="The text, in this very case")],
        ctx: Context,
        path: Annotated[str | None, Field(description="Only in this file or folder")] = None,
        revision: Revision = "HEAD",
        limit: Entries = 20,
        offset: Skipped = 0,
    ) -> Annotated[CallToolResult, TextChanges]:
        """Lists commits that add or remove a text (`git log -S`): where something came in, or went. Not merges."""
        watch = calls.watch(ctx, "steps")
        within = None if path is None else history.path_in_tree(path)

        def found(opened: Opened) -> Iterable[tuple[pygit2.Commit, list[tuple[str, int]]]]:
            return history.changing_text(opened.repo, _start(opened, revision), text, within, watch)

        def shown(one: tuple[pygit2.Commit, list[tuple[str, int]]]) -> dict[str, Any]:
            return {**_commit_data(one[0]), "files": [{"path": name, "change": by} for name, by in one[1]]}

        return data_result(await calls.read(repo_path, _paged("commits", found, shown, offset, limit)))

    @box.tool("Merge Base", READS, FILES)
    async def git_merge_base(
        repo_path: RepoPath,
        first: Annotated[str, Field(description="A branch, tag or commit")],
        second: Annotated[str, Field(description="Another")],
    ) -> Annotated[CallToolResult, Relation]:
        """Finds the best common commit of two revisions, and how many commits each is ahead of the other."""

        def work(opened: Opened) -> dict[str, Any]:
            one, other = (revisions.commit_of(opened.repo, text) for text in (first, second))
            base = opened.repo.merge_base(one.id, other.id)
            ahead, behind = opened.repo.ahead_behind(one.id, other.id)
            return {"base": None if base is None else str(base), "ahead": ahead, "behind": behind}

        return data_result(await calls.read(repo_path, work))


def _add_marks(box: Toolbox, calls: Calls) -> None:
    @box.tool("List Tags", READS, FILES)
    async def git_tags(
        repo_path: RepoPath,
        pattern: Annotated[str | None, Field(description="Glob of names, as v1.*")] = None,
        limit: Entries = 100,
        offset: Skipped = 0,
    ) -> Annotated[CallToolResult, Tags]:
        """Lists tags by name with what they point at, and tagger, date and message of those that have them."""
        work = _paged("tags", lambda opened: tags.listed(opened.repo, pattern), _tag_data, offset, limit)
        return data_result(await calls.read(repo_path, work))

    @box.tool("List Stashes", READS, FILES)
    async def git_stash_list(
        repo_path: RepoPath, limit: Entries = 100, offset: Skipped = 0
    ) -> Annotated[CallToolResult, Stashes]:
        """Lists changes that were put aside with `git stash`, the newest first. git_stash_show has the patch."""

        def shown(one: stashes.Stash) -> dict[str, Any]:
            date = one.date.isoformat()
            return {"index": one.index, "commit": one.commit, "message": one.message, "date": date}

        work = _paged("stashes", lambda opened: stashes.listed(opened.repo), shown, offset, limit)
        return data_result(await calls.read(repo_path, work))

    @box.tool("List Conflicts", READS, FILES)
    async def git_conflicts(
        repo_path: RepoPath, limit: Entries = 100, offset: Skipped = 0
    ) -> Annotated[CallToolResult, Conflicts]:
        """Lists the paths that a merge left unmerged. git_show of a blob's id has the text of a side."""

        def shown(one: conflicts.Conflict) -> dict[str, Any]:
            path = text_of(one.path)
            return {"path": path, "kind": one.kind, "base": one.base, "ours": one.ours, "theirs": one.theirs}

        work = _paged("conflicts", lambda opened: conflicts.conflicts(opened.repo), shown, offset, limit)
        return data_result(await calls.read(repo_path, work))


def _add_places(box: Toolbox, calls: Calls) -> None:
    @box.tool("List Worktrees", READS, FILES)
    async def git_worktrees(
        repo_path: RepoPath, limit: Entries = 100, offset: Skipped = 0
    ) -> Annotated[CallToolResult, Worktrees]:
        """Lists the work trees of a repository and what is checked out in each."""

        def shown(one: places.Worktree) -> dict[str, Any]:
            return {
                "name": one.name,
                "path": one.path,
                "branch": one.branch,
                "commit": one.commit,
                "state": one.state,
            }

        return data_result(
            await calls.read(repo_path, _paged("worktrees", places.worktrees, shown, offset, limit))
        )

    @box.tool("List Repositories", READS, FILES)
    async def git_list_repositories(
        ctx: Context,
        beneath: Annotated[str | None, Field(description="Only beneath this folder")] = None,
        limit: Entries = 100,
        offset: Skipped = 0,
    ) -> Annotated[CallToolResult, Places]:
        """Lists the folders that are served and the repositories in them, to be given as repo_path."""
        watch = calls.watch(ctx, "folders")
        roots = calls.repositories.roots

        def work() -> dict[str, Any]:
            within = None if beneath is None else roots.locate(beneath).shown
            found = (one for one in places.found(roots, watch) if within is None or _is_beneath(one, within))
            kept, following = paging.part_of_list(found, offset, limit)
            if not kept and within is not None:
                raise Problem(f"there is no repository beneath {within}; git_init makes one")
            return {
                "roots": [root.named for root in roots.roots],
                "repositories": kept,
                "next_offset": following,
            }

        return data_result(await in_thread(work))


def _is_beneath(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")
