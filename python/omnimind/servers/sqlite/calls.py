"""How a tool's work is run: beside the event loop, on the caller's databases, ended in time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar
from weakref import WeakValueDictionary

import anyio
import anyio.from_thread
from mcp.server.mcpserver import Context
from pydantic import Field

from omnimind.servers.sqlite import limits
from omnimind.servers.sqlite.engine import Access
from omnimind.servers.sqlite.places import Places
from omnimind.servers.sqlite.watch import Watch
from omnimind.servers.tools import caller, in_thread

T = TypeVar("T")
AnyContext = Context[Any, Any]

Database = Annotated[
    str | None, Field(description="Which database, as list_databases names it; else the default")
]
Seconds = Annotated[
    float | None,
    Field(gt=0, le=limits.SECONDS_MOST, description=f"Time limit, {limits.SECONDS:g} if left out"),
]
Limit = Annotated[int, Field(ge=1, le=limits.ROWS_MOST, description="At most so many rows")]
Offset = Annotated[int, Field(ge=0, description="Skip so many rows first")]
Binding = Annotated[
    list[Any] | dict[str, Any] | None,
    Field(
        description="Values for ? (list) or :name (object) in the statement; bind values, do not paste them in"
    ),
]


class Calls:
    """Runs the work of tools. A principal has a few calls at a time; more wait for their turn."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self._turns: WeakValueDictionary[str, anyio.Semaphore] = WeakValueDictionary()

    async def run(
        self,
        ctx: AnyContext,
        database: str | None,
        work: Callable[[Access], T],
        *,
        timeout_s: float | None = None,
        usual_s: float = limits.SECONDS,
    ) -> T:
        """The result of `work` on this database. When the caller goes away the work is interrupted and undone."""
        owner = caller()
        turn = self._turns.get(owner)
        if turn is None:
            turn = self._turns[owner] = anyio.Semaphore(limits.CALLS_TOGETHER)
        async with turn:
            watch = Watch(_seconds(ctx, timeout_s or usual_s))

            def run() -> T:
                shelf = self.places.of(owner)
                return work(Access(shelf, shelf.locate(database), watch))

            return await _watched(run, watch)


async def _watched(run: Callable[[], T], watch: Watch) -> T:
    failure: Exception | None = None
    result: list[T] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_interrupt, watch)
        try:
            result.append(await in_thread(run))
        except Exception as raised:
            failure = raised
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return result[0]


async def _interrupt(watch: Watch) -> None:
    """End what does not look at its deadline itself, and everything when the caller goes away."""
    try:
        await anyio.sleep(watch.left())
        while True:
            watch.interrupt()
            await anyio.sleep(0.1)
    except anyio.get_cancelled_exc_class():
        watch.stop()
        raise


def _seconds(ctx: AnyContext, wanted: float) -> float:
    """What was asked for, but no longer than the gateway will wait."""
    meta: Any = ctx.request_context.meta or {}
    left = meta.get("omnimind/deadlineMs") if isinstance(meta, dict) else None
    return min(wanted, max(0.05, left / 1000)) if isinstance(left, int | float) else wanted


def telling(ctx: AnyContext) -> Callable[[int, int], None]:
    """Reports progress from the thread that works."""

    def told(done: int, total: int) -> None:
        anyio.from_thread.run(ctx.report_progress, done, total, f"{done:,} of {total:,} rows")

    return told
