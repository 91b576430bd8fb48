"""What the tools of the git server share: how a call reaches a repository, and parameters that many have."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from mcp.server.mcpserver import Context
from pydantic import Field

from omnimind.servers.git import limits, paging
from omnimind.servers.git.repository import Opened, Repositories
from omnimind.servers.git.worktree import Watch
from omnimind.servers.tools import in_thread, progress_of

T = TypeVar("T")

RepoPath = Annotated[str, Field(description="Path of the repository")]
Revision = Annotated[str, Field(description="A branch, tag or commit")]
FilePath = Annotated[str, Field(description="Path from the top of the repository")]
# `limit` and `offset` need no words in a list of tools: characters of a text, entries of a list.
Offset = Annotated[int, Field(ge=0)]
Limit = Annotated[int, Field(ge=1, le=limits.MOST_TEXT_CHARS)]
Entries = Annotated[int, Field(ge=1, le=limits.LIST)]
Skipped = Annotated[int, Field(ge=0)]


@dataclass(frozen=True, slots=True)
class Calls:
    """Runs the work of a tool on its repository, beside the event loop."""

    repositories: Repositories

    async def read(self, path: str, work: Callable[[Opened], T]) -> T:
        """What `work` makes of the repository."""
        return await in_thread(self._run, path, work, False)

    async def change(self, path: str, work: Callable[[Opened], T]) -> T:
        """The same for work that changes the repository: one at a time."""
        return await in_thread(self._run, path, work, True)

    async def text(
        self,
        path: str,
        chunks: Callable[[Opened], Iterable[str]],
        offset: int,
        limit: int,
        whole: bool = False,
    ) -> str:
        """A part of a long text; `whole` keeps the end of its last line."""
        return await self.read(
            path, lambda opened: paging.part_of_text(chunks(opened), offset, limit, whole=whole)
        )

    def watch(self, ctx: Context[Any, Any], what: str) -> Watch:
        """Progress and cancellation for long work: a step is one of `what`."""
        check = progress_of(ctx, what)
        steps = 0

        def watch() -> None:
            nonlocal steps
            steps += 1
            check(steps)

        return watch

    def _run(self, path: str, work: Callable[[Opened], T], change: bool) -> T:
        with self.repositories.opened(path, change=change) as opened:
            return work(opened)
