"""A producer at work: one run of it, its items taken only when somebody asks for a page.

The rules:
- **One task.** A run belongs to a task of its own from its first item to its end, because what a generator has opened
  (a connection, a cancel scope) must be closed where it was opened, and every page is asked for by another request.
  Iterators that are not asynchronous have a thread of their own, for the same reason.
- **On demand.** Nothing runs ahead but by one item, which tells whether there is more. What is held is that item.
- **Nobody's work ends.** When no page was asked for in `idle_s`, when the one who waits for a page goes away, or when
  there are too many runs, the iterator is closed and the run forgotten.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import OrderedDict
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Generic, TypeAlias, TypeVar

T = TypeVar("T")
R = TypeVar("R")

Items: TypeAlias = AsyncIterable[T] | Iterable[T]
Sleep: TypeAlias = Callable[[float], Awaitable[None]]

BREATH: Final = 256
"""Items taken in a row before others of the loop have a turn."""


class _Source(Generic[T]):
    """Items one by one, from whatever iterates."""

    def __init__(self, produce: Callable[[], Items[T] | Awaitable[Items[T]]], is_async: bool) -> None:
        self._produce = produce
        self._thread = None if is_async else ThreadPoolExecutor(1, "omnimind-stream")
        self._stops = False
        self._iterator: AsyncIterator[T] | Iterator[T] | None = None

    async def take(self, count: int) -> list[T]:
        """The next `count` items, fewer at the end."""
        if self._iterator is None:
            made = self._produce() if self._thread is None else await self._run(self._produce)
            items = await made if inspect.isawaitable(made) else made
            self._iterator = aiter(items) if isinstance(items, AsyncIterable) else iter(items)
        iterator = self._iterator
        if isinstance(iterator, AsyncIterator):
            return await _take(iterator, count)
        return await self._run(lambda: self._next(iterator, count))

    async def close(self) -> None:
        """Closes what can be closed."""
        try:
            if isinstance(self._iterator, AsyncIterator):
                if (aclose := getattr(self._iterator, "aclose", None)) is not None:
                    await aclose()
            elif (close := getattr(self._iterator, "close", None)) is not None:
                await self._run(close)
        finally:
            if self._thread is not None:
                self._thread.shutdown(wait=False)

    def _next(self, iterator: Iterator[T], count: int) -> list[T]:
        taken: list[T] = []
        while len(taken) < count and not self._stops:
            try:
                taken.append(next(iterator))
            except StopIteration:
                break
        return taken

    async def _run(self, call: Callable[[], R]) -> R:
        """In the thread of this source, one after the other; cancelled, it stops at the item under way."""
        if self._thread is None:
            return call()
        work = asyncio.get_running_loop().run_in_executor(self._thread, call)
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            self._stops = True
            raise


async def _take(iterator: AsyncIterator[T], count: int) -> list[T]:
    taken: list[T] = []
    while len(taken) < count:
        try:
            taken.append(await anext(iterator))
        except StopAsyncIteration:
            break
        if len(taken) % BREATH == 0:
            await asyncio.sleep(0)
    return taken


class Live(Generic[T]):
    """One run of a producer. `position` is how many items it has given, those it skipped included."""

    def __init__(
        self,
        produce: Callable[[], Items[T] | Awaitable[Items[T]]],
        *,
        is_async: bool,
        skip: int,
        position: int,
        idle_s: float,
        sleep: Sleep,
    ) -> None:
        self.position = position
        self.is_over = False
        self._source = _Source(produce, is_async)
        self._skip = skip
        self._ahead: list[T] = []
        self._idle_s = idle_s
        self._sleep = sleep
        self._asked: asyncio.Future[int] | None = None
        self._page: asyncio.Future[tuple[list[T], bool]] | None = None
        self._task: asyncio.Task[None] | None = None

    async def page(self, size: int) -> tuple[list[T], bool]:
        """The next `size` items, and whether there are more. To be asked by one at a time, before it is over.

        Raises what the producer raises. Who is cancelled here ends the run.
        """
        loop = asyncio.get_running_loop()
        self._page = loop.create_future()
        if self._task is None:
            self._asked = loop.create_future()
            self._task = loop.create_task(self._live(), name="omnimind stream")
        assert self._asked is not None
        self._asked.set_result(size)
        try:
            return await self._page
        except asyncio.CancelledError:
            self.end()
            raise

    def end(self) -> None:
        """Close the iterator, soon; nothing more is given."""
        self.is_over = True
        if self._task is not None:
            self._task.cancel()

    async def _live(self) -> None:
        try:
            while (size := await self._demand()) is not None:
                items, more = await self._pull(size)
                self.is_over = not more
                self._asked = asyncio.get_running_loop().create_future()
                self._answer(lambda page, given=(items, more): page.set_result(given))  # type: ignore[misc]
                if not more:
                    return
        except Exception as error:
            self.is_over = True
            self._answer(lambda page, error=error: page.set_exception(error))  # type: ignore[misc]
        finally:
            self.is_over = True
            await self._source.close()

    async def _demand(self) -> int | None:
        """How many items are wanted; None when nobody has wanted any for too long."""
        asked = self._asked
        assert asked is not None
        sleeping = asyncio.ensure_future(self._sleep(self._idle_s))
        either: tuple[asyncio.Future[Any], ...] = (asked, sleeping)
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
        return asked.result() if asked.done() else None

    async def _pull(self, size: int) -> tuple[list[T], bool]:
        while self._skip > 0:
            skipped = len(await self._source.take(min(self._skip, BREATH)))
            self._skip = self._skip - skipped if skipped else 0
        taken = self._ahead + await self._source.take(size + 1 - len(self._ahead))
        items, self._ahead = taken[:size], taken[size:]
        self.position += len(items)
        return items, bool(self._ahead)

    def _answer(self, give: Callable[[asyncio.Future[Any]], None]) -> None:
        if self._page is not None and not self._page.done():
            give(self._page)


class Shelf(Generic[T]):
    """The runs that somebody may come back to, by name; the one put here first ends when there are too many."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._runs: OrderedDict[str, Live[T]] = OrderedDict()

    def __len__(self) -> int:
        self._forget()
        return len(self._runs)

    def take(self, name: str, position: int) -> Live[T] | None:
        """The run of that name, if it is there and stands where the caller is; the caller has it alone then."""
        run = self._runs.get(name)
        if run is None or run.is_over or run.position != position:
            return None
        return self._runs.pop(name)

    def put(self, name: str, run: Live[T]) -> None:
        """Keeps a run for whoever comes with its cursor."""
        self._forget()
        self._runs[name] = run
        while len(self._runs) > self._most:
            self._runs.popitem(last=False)[1].end()

    def _forget(self) -> None:
        for name in [name for name, run in self._runs.items() if run.is_over]:
            del self._runs[name]
