"""The MCP face of the git server: the twelve tools of the reference server, same names, parameters and texts, and
ours beside them (`more_tools`).

Arguments of the server: folders, each said as it is or after `--repository` (the reference server's option). All
repositories beneath them are served, nothing else. Without a folder it is the workspace in the state folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Annotated

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.types import CallToolResult
from pydantic import Field

from omnimind.servers import ServerContext, depends
from omnimind.servers.depends import FILES
from omnimind.servers.filesystem.roots import Roots, open_roots
from omnimind.servers.git import (
    branches,
    dates,
    history,
    library,
    limits,
    patch,
    revisions,
    show,
    staging,
    status,
)
from omnimind.servers.git.calling_tools import Calls, Limit, Offset, RepoPath
from omnimind.servers.git.identity import Said
from omnimind.servers.git.listing_tools import add_listing_tools
from omnimind.servers.git.more_tools import add_more_tools
from omnimind.servers.git.repository import Opened, Repositories
from omnimind.servers.problem import Problem
from omnimind.servers.tools import ADDS, ENSURES, READS, REPLACES, Toolbox, caller, new_server, text_result

_FOLDER = ("--repository", "-r")
_WITHOUT_MEANING = ("--verbose",)  # the reference server's; ours logs as the fleet says

_FORMS = "ISO 8601 (2024-01-15T14:30:25), relative (2 weeks ago, yesterday) or absolute (Jan 15 2024)"

ContextLines = Annotated[int, Field(description="Unchanged lines around a change")]


def build(context: ServerContext) -> MCPServer:
    """The git server for these folders."""
    library.keep_to_repositories()
    roots = _roots(context.state_dir, context.args)
    calls = Calls(Repositories(roots))
    box = Toolbox()
    _add_differences(box, calls)
    _add_changes(box, calls)
    _add_reading(box, calls)
    _add_branches(box, calls)
    add_listing_tools(box, calls)
    add_more_tools(box, calls)
    return new_server(
        context,
        box,
        title="Git",
        instructions=(
            f"Reads and changes git repositories beneath {roots.shown()}; git_list_repositories shows them. No "
            "hook, filter or other program runs, and nothing is fetched or pushed."
        ),
    )


def _roots(state_dir: Path, args: Sequence[str]) -> Roots:
    folders: list[str] = []
    waiting = False
    for argument in args:
        if waiting or not argument.startswith("-"):
            folders.append(argument)
            waiting = False
        elif argument in _FOLDER:
            waiting = True
        elif argument not in _WITHOUT_MEANING:
            raise ValueError(
                f"unknown argument {argument}; there are folders, each alone or as --repository PATH"
            )
    if waiting:
        raise ValueError("--repository needs a folder after it")
    if not folders:
        workspace = state_dir / "workspace"
        workspace.mkdir(mode=0o700, parents=True, exist_ok=True)
        folders = [str(workspace)]
    return open_roots(folders, closed=(str(state_dir.resolve()),))


def _add_differences(box: Toolbox, calls: Calls) -> None:
    @box.tool("Git Status", READS)
    async def git_status(repo_path: RepoPath, ctx: Context) -> CallToolResult:
        """Shows the working tree status: branch, staged, changed and untracked files, as `git status` does."""

        def work(opened: Opened) -> str:
            return status.report(opened, watch)

        watch = calls.watch(ctx, "folders")
        return text_result("Repository status:\n" + await calls.read(repo_path, work))

    @box.tool("Unstaged Changes", READS)
    async def git_diff_unstaged(
        repo_path: RepoPath,
        ctx: Context,
        context_lines: ContextLines = 3,
        offset: Offset = 0,
        limit: Limit = limits.TEXT_CHARS,
    ) -> CallToolResult:
        """Shows changes in the working directory that are not yet staged."""
        watch = calls.watch(ctx, "files")
        text = await calls.text(
            repo_path, lambda opened: patch.unstaged(opened, context_lines, watch), offset, limit
        )
        return text_result(f"Unstaged changes:\n{text}")

    @box.tool("Staged Changes", READS)
    async def git_diff_staged(
        repo_path: RepoPath,
        ctx: Context,
        context_lines: ContextLines = 3,
        offset: Offset = 0,
        limit: Limit = limits.TEXT_CHARS,
    ) -> CallToolResult:
        """Shows changes that are staged for commit."""
        watch = calls.watch(ctx, "files")
        text = await calls.text(
            repo_path, lambda opened: patch.staged(opened, context_lines, watch), offset, limit
        )
        return text_result(f"Staged changes:\n{text}")

    @box.tool("Differences", READS)
    async def git_diff(
        repo_path: RepoPath,
        target: Annotated[
            str, Field(description="A branch or commit to compare the working tree with, or A..B or A...B")
        ],
        ctx: Context,
        context_lines: ContextLines = 3,
        offset: Offset = 0,
        limit: Limit = limits.TEXT_CHARS,
    ) -> CallToolResult:
        """Shows differences between branches or commits: the working tree against target, or the ends of a range."""
        watch = calls.watch(ctx, "files")
        text = await calls.text(
            repo_path, lambda opened: patch.against(opened, target, context_lines, watch), offset, limit
        )
        return text_result(f"Diff with {target}:\n{text}")


def _add_changes(box: Toolbox, calls: Calls) -> None:
    @box.tool("Git Add", ENSURES)
    async def git_add(
        repo_path: RepoPath,
        files: Annotated[
            list[str],
            Field(
                min_length=1,
                description="Files, folders or patterns within the repository; ['.'] is everything",
            ),
        ],
        ctx: Context,
    ) -> CallToolResult:
        """Adds file contents to the staging area; a deleted file is staged as deleted."""
        watch = calls.watch(ctx, "files")
        return text_result(await calls.change(repo_path, lambda opened: staging.add(opened, files, watch)))

    @box.tool("Git Reset", REPLACES)
    async def git_reset(repo_path: RepoPath) -> CallToolResult:
        """Unstages all staged changes. Files stay as they are."""
        return text_result(await calls.change(repo_path, staging.reset))

    @box.tool("Git Commit", ADDS)
    async def git_commit(
        repo_path: RepoPath,
        message: Annotated[str, Field(description="The commit message")],
        author_name: Annotated[
            str | None, Field(description="Who wrote it, if not the repository's user")
        ] = None,
        author_email: Annotated[str | None, Field(description="The author's address")] = None,
    ) -> CallToolResult:
        """Records changes to the repository: what is staged becomes a commit. Hooks do not run."""
        said = Said(caller(), author_name, author_email)
        return text_result(
            await calls.change(repo_path, lambda opened: staging.commit(opened, message, said))
        )


def _add_reading(box: Toolbox, calls: Calls) -> None:
    @box.tool("Git Log", READS, FILES)
    async def git_log(
        repo_path: RepoPath,
        ctx: Context,
        max_count: Annotated[
            int, Field(description=f"At most so many commits, up to {limits.LOG_COMMITS:,}; -1 is that many")
        ] = 10,
        start_timestamp: Annotated[
            str | None, Field(description=f"Only commits after this date: {_FORMS}")
        ] = None,
        end_timestamp: Annotated[
            str | None, Field(description=f"Only commits before this date: {_FORMS}")
        ] = None,
        revision: Annotated[str, Field(description="Where to begin: a branch, tag or commit")] = "HEAD",
        skip: Annotated[int, Field(ge=0, description="Leave out so many commits first")] = 0,
    ) -> CallToolResult:
        """Shows the commit logs, newest first."""
        watch = calls.watch(ctx, "commits")
        count = _count(max_count)
        now = datetime.now().astimezone()
        since = dates.moment(start_timestamp, "start_timestamp", now, end=False) if start_timestamp else None
        until = dates.moment(end_timestamp, "end_timestamp", now, end=True) if end_timestamp else None
        if since or until:  # "yesterday" is another day tomorrow
            depends.unsure()

        def work(opened: Opened) -> str:
            start = (
                revisions.need_head(opened.repo)
                if revision == "HEAD"
                else revisions.commit_of(opened.repo, revision)
            )
            found = history.log(opened.repo, start, since, until, watch)
            return "\n".join(history.entry_text(commit) for commit in islice(found, skip, skip + count))

        return text_result("Commit history:\n" + await calls.read(repo_path, work))

    @box.tool("Git Show", READS, FILES)
    async def git_show(
        repo_path: RepoPath,
        revision: Annotated[
            str, Field(description="A commit, branch or tag; REVISION:PATH is a file or folder there")
        ],
        ctx: Context,
        offset: Offset = 0,
        limit: Limit = limits.TEXT_CHARS,
    ) -> CallToolResult:
        """Shows the contents of a commit, or of a file or directory given as <revision>:<path>."""
        watch = calls.watch(ctx, "files")
        return text_result(
            await calls.text(
                repo_path, lambda opened: show.shown(opened.repo, revision, watch), offset, limit, whole=True
            )
        )


def _count(max_count: int) -> int:
    if max_count == -1:
        return limits.LOG_COMMITS
    if not 0 <= max_count <= limits.LOG_COMMITS:
        raise Problem(
            f"max_count is {max_count}; it goes from 0 to {limits.LOG_COMMITS:,}, with skip to go on"
        )
    return max_count


def _add_branches(box: Toolbox, calls: Calls) -> None:
    @box.tool("Git Branches", READS, FILES)
    async def git_branch(
        repo_path: RepoPath,
        branch_type: Annotated[str, Field(description="local, remote or all")],
        ctx: Context,
        contains: Annotated[str | None, Field(description="Only branches that contain this commit")] = None,
        not_contains: Annotated[str | None, Field(description="Only branches without this commit")] = None,
    ) -> CallToolResult:
        """List Git branches, the current one marked with *."""
        watch = calls.watch(ctx, "branches")
        return text_result(
            await calls.text(
                repo_path,
                lambda opened: branches.listed(opened, branch_type, contains, not_contains, watch),
                0,
                limits.MOST_TEXT_CHARS,
            )
        )

    @box.tool("Create Branch", ADDS)
    async def git_create_branch(
        repo_path: RepoPath,
        branch_name: Annotated[str, Field(description="The name of the new branch")],
        base_branch: Annotated[
            str | None, Field(description="Where it begins, if not at the current branch")
        ] = None,
    ) -> CallToolResult:
        """Creates a new branch from an optional base branch. It is not checked out."""
        return text_result(
            await calls.change(repo_path, lambda opened: branches.create(opened, branch_name, base_branch))
        )

    @box.tool("Git Checkout", ADDS)
    async def git_checkout(
        repo_path: RepoPath,
        branch_name: Annotated[str, Field(description="A branch; a tag or commit leaves HEAD detached")],
        ctx: Context,
    ) -> CallToolResult:
        """Switches branches. Refused, and nothing changed, where a local change would be overwritten."""
        watch = calls.watch(ctx, "folders")
        return text_result(
            await calls.change(repo_path, lambda opened: branches.checkout(opened, branch_name, watch))
        )
