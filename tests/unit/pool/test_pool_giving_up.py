"""Tasks that are cancelled, answers that are not read to their end, times that are over: nothing is left of them."""

from __future__ import annotations

import random
import socket
import time

import anyio
import pytest

from omnimind import ConnectionPool
from omnimind.errors import (
    BrokenResponseError,
    ConnectError,
    PoolTimeoutError,
    RequestError,
    ResponseTimeoutError,
)
from omnimind.pool import StreamedResponse, desk
from tests.unit.pool.origin import Answer, Asked, Origin, chunked
from tests.unit.pool.test_pool_requests import BACKENDS, run, until

CANCELS = 1_000


async def settled(pool: ConnectionPool) -> None:
    """Nothing is under way: those who run it hear of a cancelled task a moment later."""
    await until(lambda: not any(stats.busy or stats.waiting for stats in pool.stats().values()))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_storm_of_cancels_leaves_no_place_and_no_connection_behind(backend: str) -> None:
    dice = random.Random(7)

    async def main() -> None:
        with Origin(lambda _: Answer(b"x" * 1_000, take_s=0.002)) as origin:
            pool = ConnectionPool(max_connections=8, max_wait_s=30)
            ended: list[str] = []

            async def ask(patience_s: float) -> None:
                with anyio.move_on_after(patience_s):
                    if dice.random() < 0.5:
                        await pool.request("GET", origin.url)
                    else:
                        async with pool.stream("GET", origin.url) as response:
                            await response.read()
                    ended.append("answered")
                    return
                ended.append("cancelled")

            for _ in range(4):
                async with anyio.create_task_group() as group:
                    for _ in range(CANCELS // 4):
                        group.start_soon(ask, dice.random() * 0.12)
            assert len(ended) == CANCELS
            assert min(ended.count("answered"), ended.count("cancelled")) > CANCELS // 20
            await settled(pool)
            (stats,) = pool.stats().values()
            assert stats.open <= 8
            assert stats.opened - sum(stats.closed.values()) == stats.open
            assert not desk.here()._tickets
            # All eight places are there.
            async with anyio.create_task_group() as group:
                for _ in range(64):
                    group.start_soon(pool.request, "GET", origin.url)
            assert origin.most <= 8 + stats.closed["cancelled"]
            await settled(pool)
            assert next(iter(pool.stats().values())).open <= 8
            pool.close()
            await until(lambda: not origin.open)

    anyio.run(main, backend=backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_who_waits_for_all_may_be_cancelled_and_the_others_go_on(backend: str) -> None:
    def answer(asked: Asked) -> Answer:
        return Answer(b"ok", take_s=0.3 if asked.path == "/slow" else 0.1)

    async def main() -> None:
        with Origin(answer) as origin:
            pool = ConnectionPool()
            answers: list[str] = []

            async def ask(path: str) -> None:
                answers.append((await pool.request("GET", origin.url + path)).text())

            async with anyio.create_task_group() as group:
                with anyio.move_on_after(0.05):  # it is the first, and waits for all
                    async with anyio.create_task_group() as first:
                        first.start_soon(ask, "/slow")
                        await anyio.sleep(0.01)
                        for _ in range(5):
                            group.start_soon(ask, "/")
                        await anyio.sleep(1)
            assert answers == ["ok"] * 5

    anyio.run(main, backend=backend)


@run
async def test_a_piece_that_is_not_waited_for_any_longer_is_not_lost() -> None:
    pieces = [b"%d" % number for number in range(4)]
    with Origin(lambda _: Answer(raw=chunked(pieces, pause_s=0.1))) as origin:
        pool = ConnectionPool()
        async with pool.stream("GET", origin.url) as response:
            seen = []
            while True:
                with anyio.move_on_after(0.03):
                    piece = await anext(response, b"")
                    if not piece:
                        break
                    seen.append(piece)
            assert b"".join(seen) == b"0123"
            assert await anext(response, b"") == b""


@run
async def test_a_block_that_is_left_early_costs_its_connection_and_nothing_else() -> None:
    with Origin(lambda _: Answer(raw=chunked([b"x"] * 100, pause_s=0.05))) as origin:
        pool = ConnectionPool(max_connections=1)
        for _ in range(3):
            with pytest.raises(KeyError):  # noqa: PT012
                async with pool.stream("GET", origin.url) as response:
                    assert await anext(response) == b"x"
                    raise KeyError
            with pytest.raises(RuntimeError, match="closed"):
                await anext(response)
            response.close()
        await settled(pool)
        (stats,) = pool.stats().values()
        assert (stats.open, stats.closed["cancelled"]) == (0, 3)


@run
async def test_an_answer_is_read_by_one_task_at_a_time() -> None:
    with Origin(lambda _: Answer(raw=chunked([b"x"] * 3, pause_s=0.1))) as origin:
        pool = ConnectionPool()
        async with pool.stream("GET", origin.url) as response, anyio.create_task_group() as group:
            await anext(response)
            group.start_soon(response.read)
            await anyio.sleep(0.01)
            with pytest.raises(RuntimeError, match="another task"):
                await response.read()


@run
async def test_who_waits_for_a_piece_of_what_is_closed_hears_so() -> None:
    said: list[str] = []

    with Origin(lambda _: Answer(raw=chunked([b"x"] * 3, pause_s=0.3))) as origin:
        pool = ConnectionPool()

        async def read(response: StreamedResponse) -> None:
            try:
                await response.read()
            except RuntimeError as error:
                said.append(str(error))

        async with anyio.create_task_group() as group, pool.stream("GET", origin.url) as response:
            group.start_soon(read, response)
            await anyio.sleep(0.05)
        assert said == ["the pool, or the response, is closed"]
        await settled(pool)


@pytest.mark.alone
@run
async def test_a_time_is_counted_from_the_request_or_from_the_last_piece() -> None:
    with Origin(lambda _: Answer(raw=chunked([b"x"] * 5, pause_s=0.1))) as origin:
        pool = ConnectionPool(timeout_s=0.25)
        begun = time.monotonic()
        with pytest.raises(ResponseTimeoutError, match=r"within 0\.25 s") as caught:
            await pool.request("GET", origin.url)
        assert 0.24 < time.monotonic() - begun < 0.45
        assert (caught.value.timeout_s, caught.value.was_sent) == (0.25, True)
        assert isinstance(caught.value, TimeoutError)
        async with pool.stream("GET", origin.url) as response:
            assert await response.read() == b"xxxxx"
        async with pool.stream("GET", origin.url, timeout_s=0.02) as response:
            with pytest.raises(ResponseTimeoutError):
                await response.read()
            with pytest.raises(RuntimeError, match="closed"):
                await response.read()
        await settled(pool)


@run
async def test_who_finds_no_place_in_time_is_told_when_to_come_again() -> None:
    with Origin(lambda _: Answer(b"", take_s=0.5)) as origin:
        pool = ConnectionPool(max_connections=1, max_wait_s=0.05)
        async with anyio.create_task_group() as group:
            group.start_soon(pool.request, "GET", origin.url)
            await anyio.sleep(0.1)
            with pytest.raises(PoolTimeoutError) as caught:
                await pool.request("GET", origin.url)
            assert not caught.value.was_sent
            assert caught.value.retry_after_s > 0
            assert "max_connections" in caught.value.render()


@run
async def test_a_server_that_is_not_there_is_told_from_one_that_breaks_off() -> None:
    nobody = socket.create_server(("127.0.0.1", 0))
    port = nobody.getsockname()[1]
    nobody.close()
    pool = ConnectionPool()
    kinds = []
    for _ in range(7):
        with pytest.raises(ConnectError) as refused:
            await pool.request("GET", f"http://127.0.0.1:{port}/")
        assert not refused.value.was_sent
        kinds.append(refused.value.retry_after_s is not None)
    assert kinds == sorted(kinds)
    assert any(kinds), "after five failures it is left alone"

    def die(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")

    with Origin(lambda _: Answer(raw=die)) as origin:
        with pytest.raises(BrokenResponseError, match="broke off") as broken:
            await pool.request("GET", f"{origin.url}/a?token=secret")
        assert isinstance(broken.value, RequestError)
        assert broken.value.was_sent
        assert "secret" not in broken.value.render()
