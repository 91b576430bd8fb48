"""Requests over a pool: what is sent, what comes back, and over how many connections, under asyncio and trio."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Awaitable, Callable
from functools import wraps

import anyio
import pytest

from omnimind import ConnectionPool
from tests.unit.pool.origin import Answer, Asked, Origin, chunked

BACKENDS = ("asyncio", "trio")
TEXT = json.dumps([{"line": line, "text": "what is written here"} for line in range(4_000)]).encode()


def run(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """As a plain test, under asyncio."""

    @wraps(test)
    def plain(*args: object) -> None:
        anyio.run(test, *args)

    return plain


async def until(holds: Callable[[], bool]) -> None:
    """Wait until it does: the core's threads hear of some things a moment later."""
    with anyio.fail_after(5):
        while not holds():  # noqa: ASYNC110
            await anyio.sleep(0.01)


def echo(asked: Asked) -> Answer:
    seen = {"method": asked.method, "path": asked.path, "headers": asked.headers, "body": asked.body.decode()}
    return Answer(json.dumps(seen).encode(), headers={"content-type": "application/json"})


@pytest.mark.parametrize("backend", BACKENDS)
def test_requests_one_after_another_share_a_connection(backend: str) -> None:
    async def main() -> None:
        with Origin(echo) as origin:
            async with ConnectionPool() as pool:
                for _ in range(20):
                    response = await pool.request("GET", f"{origin.url}/a?b=c")
                    assert (response.status, response.json()["path"]) == (200, "/a?b=c")
                stats = pool.stats()[f"http://127.0.0.1:{origin.port}"]
                assert (stats.http, stats.opened, stats.reused) == ("1.1", 1, 19)
                assert (stats.open, stats.busy, stats.idle, stats.waiting) == (1, 0, 1, 0)
                assert origin.connections == 1
            assert pool.stats() == {}

    anyio.run(main, backend=backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_more_connections_are_open_than_may_be(backend: str) -> None:
    async def main() -> None:
        with Origin(lambda _: Answer(b"ok", take_s=0.01)) as origin:
            pool = ConnectionPool(max_connections=16)
            answers: list[str] = []

            async def ask() -> None:
                answers.append((await pool.request("GET", origin.url)).text())

            async with anyio.create_task_group() as group:
                for _ in range(200):
                    group.start_soon(ask)
            assert answers == ["ok"] * 200
            assert (origin.most, origin.connections) == (16, 16)
            stats = pool.stats()[f"http://127.0.0.1:{origin.port}"]
            assert (stats.busy, stats.waiting, stats.waited) == (0, 0, 184)
            pool.close()

    anyio.run(main, backend=backend)


@run
async def test_what_is_sent_is_what_was_said_and_what_it_needs() -> None:
    with Origin(echo) as origin:
        async with ConnectionPool() as pool:
            plain = (await pool.request("get", origin.url)).json()
            assert (plain["method"], plain["path"]) == ("GET", "/")
            assert plain["headers"]["host"] == f"127.0.0.1:{origin.port}"
            assert plain["headers"]["accept-encoding"] == "zstd, br, gzip"
            assert plain["headers"]["user-agent"].startswith("omnimind/")
            said = [("X-One", "1"), ("Accept-Encoding", "identity"), ("User-Agent", "me")]
            posted = (await pool.request("POST", origin.url, headers=said, content="ä")).json()
            assert (posted["body"], posted["headers"]["content-length"]) == ("ä", "2")
            assert [posted["headers"][name.lower()] for name, _ in said] == [value for _, value in said]
            sent = (await pool.request("PUT", origin.url, json={"a": ["ö", None]})).json()
            assert (sent["body"], sent["headers"]["content-type"]) == ('{"a":["ö",null]}', "application/json")


@run
async def test_a_status_is_an_answer_and_a_redirect_is_one_too() -> None:
    def answer(asked: Asked) -> Answer:
        return Answer(b"", int(asked.path[1:]), {"location": "/elsewhere", "set-cookie": "a=1"})

    with Origin(answer) as origin:
        async with ConnectionPool() as pool:
            for status in (301, 404, 500):
                response = await pool.request("GET", f"{origin.url}/{status}")
                assert (response.status, response.headers["Location"]) == (status, "/elsewhere")
                assert response.headers.get_all("Set-Cookie") == ["a=1"]
                assert "x-nothing" not in response.headers
            assert origin.requests == 3


@pytest.mark.alone
@pytest.mark.parametrize("backend", BACKENDS)
def test_an_answer_is_read_as_it_comes(backend: str) -> None:
    pieces = [b"data: %d\n\n" % number for number in range(3)]

    async def main() -> None:
        with Origin(lambda _: Answer(raw=chunked(pieces, pause_s=0.1))) as origin:
            pool = ConnectionPool()
            begun = time.monotonic()
            async with pool.stream("GET", origin.url) as response:
                assert response.status == 200
                seen = [(piece, time.monotonic() - begun) async for piece in response]
            assert [piece for piece, _ in seen] == pieces
            assert seen[0][1] < 0.1 < seen[1][1] < seen[2][1]

    anyio.run(main, backend=backend)


@run
async def test_a_packed_answer_comes_out_as_it_was() -> None:
    packed = Answer(gzip.compress(TEXT), headers={"content-encoding": "gzip"})
    with Origin(lambda _: packed) as origin:
        async with ConnectionPool() as pool:
            assert (await pool.request("GET", origin.url)).content == TEXT
            async with pool.stream("GET", origin.url) as response:
                assert await response.read() == TEXT
            raw = await pool.request("GET", origin.url, headers={"accept-encoding": "gzip"})
            assert raw.content == packed.body
