"""Tools of the git server beyond the reference: files, stashes and series as text; tags and repositories made."""

from __future__ import annotations

from typing import Annotated, Any

from mcp.server.mcpserver import Context
from mcp.types import CallToolResult
from pydantic import BaseModel, Field

from omnimind.servers.depends import FILES
from omnimind.servers.git import limits, paging, places, rangediff, show, stashes, tags
from omnimind.servers.git.calling_tools import Calls, FilePath, Limit, Offset, RepoPath, Revision
from omnimind.servers.git.identity import Said
from omnimind.servers.git.repository import Opened
from omnimind.servers.tools import ADDS, READS, Toolbox, caller, data_result, in_thread, text_result


class PairItem(BaseModel):
    """An old and a new commit that are versions of one another; one is missing where there is no other version."""

    verdict: str
    old: str | None
    new: str | None
    likeness: float


class RangeDiff(BaseModel):
    """The result of git_range_diff."""

    pairs: list[PairItem]
    text: str


def add_more_tools(box: Toolbox, calls: Calls) -> None:
    """Add them all."""
    _add_texts(box, calls)
    _add_making(box, calls)


def _add_texts(box: Toolbox, calls: Calls) -> None:
    @box.tool("File at a Revision", READS, FILES)
    async def git_show_file(
        repo_path: RepoPath,
        path: FilePath,
        revision: Revision = "HEAD",
        offset: Offset = 0,
        limit: Limit = limits.TEXT_CHARS,
    ) -> CallToolResult:
        """Shows the contents of a file as it was at a revision."""
        return text_result(
            await calls.text(
                repo_path,
                lambda opened: [show.file_at(opened.repo, revision, path)],
                offset,
                limit,
                whole=True,
            )
        )

    @box.tool("Show a Stash", READS)
    async def git_stash_show(
        repo_path: RepoPath,
        ctx: Context,
        index: Annotated[int, Field(ge=0, description="0 is the newest")] = 0,
        context_lines: Annotated[int, Field(description="Unchanged lines around a change")] = 3,
        offset: Offset = 0,
        limit: Limit = limits.TEXT_CHARS,
    ) -> CallToolResult:
        """Shows what a stash holds, as a patch against the commit it was made on."""
        watch = calls.watch(ctx, "files")
        return text_result(
            await calls.text(
                repo_path,
                lambda opened: stashes.shown(opened.repo, index, context_lines, watch),
                offset,
                limit,
            )
        )

    @box.tool("Range Diff", READS)
    async def git_range_diff(
        repo_path: RepoPath,
        old_range: Annotated[str, Field(description="The old series, as BASE..TIP")],
        new_range: Annotated[str, Field(description="The new series, as BASE..TIP")],
        ctx: Context,
        offset: Offset = 0,
        limit: Limit = limits.TEXT_CHARS,
    ) -> Annotated[CallToolResult, RangeDiff]:
        """Compares two versions of a series of commits (before and after a rebase): which commit became which, and
        how its patch differs. Pairs are found by likeness of patches, not by git's own algorithm."""
        watch = calls.watch(ctx, "commits")

        def work(opened: Opened) -> dict[str, Any]:
            pairs = rangediff.compare(opened.repo, old_range, new_range, watch)
            return {
                "pairs": [_pair_data(pair) for pair in pairs],
                "text": paging.part_of_text(rangediff.text(pairs), offset, limit),
            }

        data = await calls.read(repo_path, work)
        return data_result(data, data["text"])


def _pair_data(pair: rangediff.Pair) -> dict[str, Any]:
    return {
        "verdict": pair.verdict,
        "old": None if pair.old is None else str(pair.old.id),
        "new": None if pair.new is None else str(pair.new.id),
        "likeness": pair.likeness,
    }


def _add_making(box: Toolbox, calls: Calls) -> None:
    @box.tool("Create Tag", ADDS)
    async def git_create_tag(
        repo_path: RepoPath,
        name: Annotated[str, Field(description="The name of the new tag")],
        target: Revision = "HEAD",
        message: Annotated[str | None, Field(description="Makes an annotated tag with this message")] = None,
    ) -> CallToolResult:
        """Creates a tag: a plain one, or with a message one that has tagger and date. It is not signed."""
        said = Said(caller())
        made = await calls.change(repo_path, lambda opened: tags.create(opened, name, target, message, said))
        return text_result(f"Created tag '{made.name}' of {made.kind} {made.target}")

    @box.tool("Create Repository", ADDS)
    async def git_init(
        path: Annotated[str, Field(description="A folder beneath a served one; it is made if it is missing")],
        initial_branch: Annotated[str, Field(description="The name of its first branch")] = "main",
    ) -> CallToolResult:
        """Creates an empty Git repository in a folder that has none."""
        return text_result(await in_thread(places.init, calls.repositories, path, initial_branch))
