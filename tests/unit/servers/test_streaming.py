"""`omnimind.stream`: a page at a time, no further than asked, closed when nobody wants it, and never lost."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import sqlite3
import threading
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import wraps
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.shared.exceptions import MCPError
from mcp.types import TextContent
from pydantic import BaseModel

import omnimind
from omnimind.servers.streaming import CursorError, Page, stream

FULL = os.environ.get("OMNIMIND_FULL") == "1"
ITEMS = 100_000


def run(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """As a plain test."""

    @wraps(test)
    def plain(*args: object, **kwargs: object) -> None:
        async def called() -> None:
            await test(*args, **kwargs)

        anyio.run(called)

    return plain


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        self._sleepers: list[tuple[float, asyncio.Event]] = []

    def time(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.Event()
        self._sleepers.append((self.now_s + seconds, woken))
        await woken.wait()

    async def pass_by(self, seconds: float) -> None:
        await settle()
        self.now_s += seconds
        for until_s, woken in self._sleepers:
            if until_s <= self.now_s:
                woken.set()
        await settle()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


class Numbers:
    """A producer that remembers what was done with it."""

    def __init__(self, count: int = 250) -> None:
        self.count = count
        self.runs = self.made = self.closed = 0

    async def __call__(self, name: str = "") -> AsyncIterator[int]:
        self.runs += 1
        try:
            for number in range(self.count):
                self.made += 1
                yield number
        finally:
            self.closed += 1


def paged(numbers: Numbers, **settings: Any) -> Callable[..., Awaitable[Page[int]]]:
    async def numbered(name: str = "") -> AsyncIterator[int]:
        async with asyncio.timeout(None):  # has to be left in the task that entered it
            items = numbers(name)
            try:
                async for number in items:
                    yield number
            finally:
                await items.aclose()  # type: ignore[attr-defined]

    return stream(**settings)(numbered)


async def whole(page: Callable[..., Awaitable[Page[int]]], **arguments: Any) -> list[list[int]]:
    pages = [await page(**arguments)]
    while pages[-1].cursor is not None:
        pages.append(await page(**arguments, cursor=pages[-1].cursor))
    return [one.items for one in pages]


@run
async def test_pages_of_a_hundred_are_the_whole_list_from_one_run() -> None:
    numbers = Numbers(250)
    pages = await whole(paged(numbers))
    assert [len(items) for items in pages] == [100, 100, 50]
    assert [number for items in pages for number in items] == list(range(250))
    await settle()
    assert (numbers.runs, numbers.closed) == (1, 1)


@pytest.mark.parametrize(
    ("count", "lengths"), [(0, [0]), (1, [1]), (100, [100]), (101, [100, 1]), (200, [100, 100])]
)
@run
async def test_a_cursor_means_that_there_is_more(count: int, lengths: list[int]) -> None:
    assert [len(items) for items in await whole(paged(Numbers(count)))] == lengths


@run
async def test_nothing_runs_ahead_but_by_one() -> None:
    numbers = Numbers(1_000)
    page = paged(numbers)
    first = await page()
    await asyncio.sleep(0.02)
    assert numbers.made == 101
    await page(cursor=first.cursor)
    await asyncio.sleep(0.02)
    assert numbers.made == 201


@run
async def test_thirty_seconds_after_the_last_page_the_iterator_is_closed_and_the_cursor_goes_on_a_day() -> (
    None
):
    numbers, clock = Numbers(), Clock()
    page = paged(numbers, clock=clock.time, sleep=clock.sleep)
    first = await page()
    await clock.pass_by(29)
    assert numbers.closed == 0
    second = await page(cursor=first.cursor)
    await clock.pass_by(29)
    assert numbers.closed == 0
    await clock.pass_by(2)
    assert (numbers.closed, numbers.runs) == (1, 1)
    await clock.pass_by(86_300)
    third = await page(cursor=second.cursor)
    assert third.items == list(range(200, 250))
    assert numbers.runs == 2
    await clock.pass_by(200)
    with pytest.raises(CursorError, match="too old"):
        await page(cursor=second.cursor)


@run
async def test_by_the_real_clock_as_well() -> None:
    idle_s = 30.0 if FULL else 0.2
    numbers = Numbers()
    page = paged(numbers, idle_s=idle_s)
    await page()
    await asyncio.sleep(idle_s * 0.8)
    assert numbers.closed == 0
    await asyncio.sleep(idle_s * 0.2 + 0.3)
    assert numbers.closed == 1


@run
async def test_a_run_that_ended_leaves_no_task_and_no_thread() -> None:
    page = paged(Numbers(), idle_s=0.01)
    await page()
    threads = threading.active_count()
    await stream(idle_s=0.01)(lambda: iter(range(500)))()
    assert threading.active_count() == threads + 1
    await asyncio.sleep(0.1)
    assert [task for task in asyncio.all_tasks() if task.get_name() == "omnimind stream"] == []
    assert threading.active_count() == threads


@run
async def test_who_goes_away_while_waiting_for_a_page_ends_the_run() -> None:
    closed = asyncio.Event()

    @stream()
    async def slow() -> AsyncIterator[int]:
        try:
            yield 1
            await asyncio.sleep(60)
        finally:
            closed.set()

    with anyio.move_on_after(0.02):
        await slow()
    await asyncio.wait_for(closed.wait(), 0.1)


@run
async def test_a_page_asked_for_again_is_the_same_page() -> None:
    numbers = Numbers(1_000)
    page = paged(numbers)
    first = await page()
    twice = [await page(cursor=first.cursor) for _ in range(2)]
    assert twice[0].items == twice[1].items == list(range(100, 200))
    assert [(await page(cursor=one.cursor)).items[0] for one in twice] == [200, 200]
    assert numbers.runs == 2
    fresh = await page(name="fresh")
    at_once = await asyncio.gather(*[page(name="fresh", cursor=fresh.cursor) for _ in range(3)])
    assert [one.items[0] for one in at_once] == [100] * 3


@run
async def test_many_pages_of_one_run_leave_one_task_that_waits() -> None:
    page = paged(Numbers(), page_items=1)
    tasks = len(asyncio.all_tasks())
    answer = await page()
    for _ in range(20):
        answer = await page(cursor=answer.cursor)
    await settle()
    assert len(asyncio.all_tasks()) <= tasks + 2  # the run, and its sleep


@run
async def test_a_producer_that_never_waits_leaves_the_loop_to_others_in_between() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    busy = asyncio.create_task(other())
    await paged(Numbers(50_000), page_items=40_000)()
    busy.cancel()
    assert turns > 100


@run
async def test_a_cursor_is_good_for_the_same_call_of_the_same_caller_alone() -> None:
    who = "alice"
    numbers = Numbers()
    page = paged(numbers, principal=lambda: who)
    other = paged(Numbers(), principal=lambda: who)
    cursor = (await page(name="a")).cursor
    assert cursor is not None
    flipped = cursor[:-1] + ("A" if cursor[-1] != "A" else "B")
    for wrong in ("", "x", "ü", flipped, cursor[1:], cursor + "AAAA", "A" * 5_000, "A" * 44):
        with pytest.raises(CursorError):
            await page(name="a", cursor=wrong)
    for call in (page(name="b", cursor=cursor), page(cursor=cursor), other(name="a", cursor=cursor)):
        with pytest.raises(CursorError, match="not of this call"):
            await call
    who = "bob"
    with pytest.raises(CursorError, match="not of this call"):
        await page(name="a", cursor=cursor)
    who = "alice"
    assert (await page("a", cursor=cursor)).items[0] == 100
    assert numbers.runs == 1


@run
async def test_with_a_key_of_your_own_cursors_outlive_the_process() -> None:
    before, after = (paged(Numbers(), key=b"k" * 32) for _ in range(2))
    assert (await after(cursor=(await before()).cursor)).items[0] == 100


@run
async def test_with_one_key_a_cursor_is_still_of_one_function() -> None:
    async def one() -> AsyncIterator[int]:
        for number in range(200):
            yield number

    async def other() -> AsyncIterator[int]:
        yield 1

    first, second = (stream(key=b"k" * 32)(function) for function in (one, other))
    with pytest.raises(CursorError, match="not of this call"):
        await second(cursor=(await first()).cursor)


@run
async def test_where_no_cursor_can_be_made_the_run_ends() -> None:
    closed = asyncio.Event()

    def resume(number: int) -> str:
        return "x" * 5_000

    @stream(resume=resume)
    async def numbers(after: str | None = None) -> AsyncIterator[int]:
        try:
            for number in range(200):
                yield number
        finally:
            closed.set()

    with pytest.raises(CursorError, match="too long"):
        await numbers()
    await asyncio.wait_for(closed.wait(), 1)


@run
async def test_a_producer_that_can_go_on_by_itself_is_not_made_to_begin_again() -> None:
    asked: list[int | None] = []

    @stream(resume=lambda number: number, idle_s=0.01)
    async def numbers(after: int | None = None) -> AsyncIterator[int]:
        asked.append(after)
        for number in range(0 if after is None else after + 1, 250):
            yield number

    first = await numbers()
    await asyncio.sleep(0.05)
    second = await numbers(cursor=first.cursor)
    assert second.items == list(range(100, 200))
    assert asked == [None, 99]


@run
async def test_what_is_not_asynchronous_has_one_thread_from_its_first_item_to_its_end() -> None:
    threads: list[int] = []

    @stream(page_items=10)
    def rows() -> Iterator[tuple[int]]:
        database = sqlite3.connect(":memory:")  # refuses any other thread
        try:
            count = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n LIMIT 35) SELECT i FROM n"
            for row in database.execute(count):
                threads.append(threading.get_ident())
                yield row
        finally:
            database.close()
            threads.append(threading.get_ident())

    found = [row for rows_of_page in await whole(rows) for row in rows_of_page]  # type: ignore[arg-type]
    assert found == [(number,) for number in range(35)]
    await asyncio.sleep(0.02)
    assert len(threads) == 36
    assert len(set(threads)) == 1
    assert threads[0] != threading.get_ident()


@run
async def test_who_goes_away_stops_a_thread_at_its_next_item() -> None:
    made = 0
    closed = threading.Event()

    @stream(page_items=1_000)
    def slow() -> Iterator[int]:
        nonlocal made
        try:
            while True:
                time.sleep(0.005)
                made += 1
                yield made
        finally:
            closed.set()

    with anyio.move_on_after(0.03):
        await slow()
    assert await asyncio.to_thread(closed.wait, 30)
    assert made < 1_000, "it went on to the end of its page"


@run
async def test_a_function_may_answer_with_a_list_or_await_before_it_does() -> None:
    @stream(page_items=2)
    async def awaited() -> list[int]:
        await asyncio.sleep(0)
        return [1, 2, 3]

    @stream(page_items=2)
    def plain() -> list[int]:
        return [1, 2, 3]

    assert await whole(awaited) == await whole(plain) == [[1, 2], [3]]


@run
async def test_what_a_producer_raises_reaches_who_asked() -> None:
    @stream(page_items=2)
    async def breaks(fails_at: int) -> AsyncIterator[int]:
        for number in range(10):
            if number == fails_at:
                raise KeyError(number)
            yield number

    with pytest.raises(KeyError):
        await breaks(fails_at=1)
    first = await breaks(fails_at=4)
    with pytest.raises(KeyError):
        await breaks(fails_at=4, cursor=first.cursor)


@run
async def test_of_too_many_runs_the_one_waiting_longest_ends() -> None:
    numbers = Numbers()
    page = paged(numbers, max_live=3)
    cursors = [(await page(name=str(call))).cursor for call in range(5)]
    await settle()
    assert numbers.closed == 2
    for call, cursor in enumerate(cursors):
        assert (await page(name=str(call), cursor=cursor)).items[0] == 100


@run
async def test_whatever_is_asked_in_whatever_order_every_page_is_what_it_should_be() -> None:
    chance, numbers = random.Random(11), Numbers(40)
    page = paged(numbers, page_items=7, idle_s=0.002, max_live=3)
    known: list[tuple[str, int, str]] = []
    for _ in range(400):
        name, start, cursor = chance.choice(known) if known and chance.random() < 0.8 else ("", 0, None)
        name = name or chance.choice("abcd")
        if chance.random() < 0.1:
            await asyncio.sleep(0.004)
        with anyio.move_on_after(0 if chance.random() < 0.1 else 10):
            found = await page(name=name, cursor=cursor)
            assert found.items == list(range(start, min(start + 7, 40)))
            if found.cursor is not None:
                known.append((name, start + 7, found.cursor))
    with anyio.fail_after(30):
        while numbers.closed < numbers.runs:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert numbers.closed == numbers.runs


@pytest.mark.alone
@run
async def test_of_a_hundred_thousand_items_the_first_page_takes_a_fiftieth_at_most_and_memory_stays() -> None:
    @stream()
    async def rows() -> AsyncIterator[str]:
        for number in range(ITEMS):
            yield f"{number:01000d}"

    best = 0.0
    for _ in range(3):
        gc.collect()
        began = time.perf_counter()
        page = await rows()
        first_s, seen = time.perf_counter() - began, len(page.items)
        while page.cursor is not None:
            page = await rows(cursor=page.cursor)
            seen += len(page.items)
        best = max(best, (time.perf_counter() - began) / first_s)
        assert seen == ITEMS
    print(f"first page: 1/{best:.0f} of the whole time")
    assert best >= 50
    tracemalloc.start()
    try:
        page = await rows()
        for _ in range(1_000 if FULL else 100):
            page = await rows(cursor=page.cursor)
            if page.cursor is None:
                break
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    print(f"peak: {peak / 1024:.0f} KiB for pages of 100 KiB")
    assert peak < 1024 * 1024


@pytest.mark.parametrize(
    "settings",
    [{"page_items": 0}, {"max_live": 0}, {"idle_s": 0}, {"cursor_s": -1}, {"key": b"short"}],
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        stream(**settings)


def test_a_function_that_cannot_be_paged_is_refused_when_it_is_made() -> None:
    def with_cursor(cursor: str) -> list[int]: ...

    def with_after(after: int) -> list[int]: ...

    with pytest.raises(TypeError, match="cursor"):
        stream()(with_cursor)
    with pytest.raises(TypeError, match="after"):
        stream()(with_after)
    with pytest.raises(TypeError, match="after"):
        stream(resume=str)(lambda: [1])


# --- on a server


class Row(BaseModel):
    id: int


def served() -> MCPServer[Any]:
    server = MCPServer[Any]("catalogue")

    @server.tool()
    @omnimind.stream(resume=lambda row: row.id)
    async def rows(
        ctx: Context[Any, Any], table: str = "main", after: int | None = None
    ) -> AsyncIterator[Row]:
        """Rows of a table."""
        assert ctx.request_id
        for number in range(0 if after is None else after + 1, 150):
            yield Row(id=number)

    @server.resource("rows://{table}{?cursor}")
    @omnimind.stream()
    async def table_rows(table: str) -> AsyncIterator[str]:
        for number in range(150):
            yield f"{table}-{number}"

    return server


@run
async def test_a_tool_says_what_it_takes_and_answers_typed_pages() -> None:
    async with Client(served()) as client:
        [tool] = (await client.list_tools()).tools
        assert tool.description == "Rows of a table."
        assert set(tool.input_schema["properties"]) == {"table", "cursor"}
        assert tool.output_schema is not None
        assert tool.output_schema["properties"]["items"]["items"] == {"$ref": "#/$defs/Row"}
        first = (await client.call_tool("rows", {})).structured_content
        assert first is not None
        assert len(first["items"]) == 100
        second = (await client.call_tool("rows", {"cursor": first["cursor"]})).structured_content
        assert second == {"items": [{"id": number} for number in range(100, 150)], "cursor": None}
        refused = await client.call_tool("rows", {"table": "other", "cursor": first["cursor"]})
        assert refused.is_error
        assert isinstance(refused.content[0], TextContent)
        assert "repeat the arguments" in refused.content[0].text


@run
async def test_a_resource_is_read_a_page_at_a_time() -> None:
    async with Client(served()) as client:

        async def read(uri: str) -> Page[str]:
            [content] = (await client.read_resource(uri)).contents
            return Page[str].model_validate_json(content.text)  # type: ignore[union-attr]

        first = await read("rows://people")
        assert (await read(f"rows://people?cursor={first.cursor}")).items[0] == "people-100"
        with pytest.raises(MCPError, match="not of this call"):
            await read(f"rows://places?cursor={first.cursor}")


@run
async def test_a_client_that_cancels_its_call_closes_what_the_call_had_opened() -> None:
    server = MCPServer[Any]("slow")
    opened, closed = asyncio.Event(), asyncio.Event()

    @server.tool()
    @omnimind.stream()
    async def forever() -> AsyncIterator[int]:
        try:
            opened.set()
            await asyncio.sleep(60)
            yield 1
        finally:
            closed.set()

    async with Client(server) as client, anyio.create_task_group() as group:
        group.start_soon(client.call_tool, "forever", {})
        await opened.wait()
        group.cancel_scope.cancel()
    await asyncio.wait_for(closed.wait(), 1)
