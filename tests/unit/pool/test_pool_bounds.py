"""How much an answer may be: what is kept, what it may unpack to, and how much is read of what nobody reads."""

from __future__ import annotations

import socket
from pathlib import Path

import anyio
import pytest

from omnimind import ConnectionPool
from omnimind.errors import BrokenResponseError, RequestError, ResponseTooLargeError
from tests.unit.pool.origin import Answer, Asked, Origin, chunked
from tests.unit.pool.packed import BOMB_BYTES, BOMBS, PACKED, TEXT
from tests.unit.pool.test_pool_requests import run

MIB = 1 << 20


def packed(coding: str, body: bytes) -> Answer:
    return Answer(body, headers={"content-encoding": coding})


def resident() -> int:
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.parametrize("coding", PACKED)
def test_what_comes_packed_is_unpacked_in_each_coding(coding: str) -> None:
    @run
    async def main() -> None:
        raw = chunked([PACKED[coding][:20], PACKED[coding][20:]], f"content-encoding: {coding}\r\n")
        for answer in (packed(coding, PACKED[coding]), Answer(raw=raw)):
            with Origin(lambda _, answer=answer: answer) as origin:
                async with ConnectionPool() as pool:
                    assert (await pool.request("GET", origin.url)).content == TEXT
                    async with pool.stream("GET", origin.url) as response:
                        assert await response.read() == TEXT

    main()


@pytest.mark.parametrize("coding", BOMBS)
def test_a_bomb_is_stopped_by_numbers_that_the_error_names(coding: str) -> None:
    bomb = BOMBS[coding]

    @run
    async def main() -> None:
        with Origin(lambda _: packed(coding, bomb)) as origin:
            async with ConnectionPool() as pool:
                before = resident()
                with pytest.raises(ResponseTooLargeError) as caught:
                    await pool.request("GET", origin.url)
                async with pool.stream("GET", origin.url) as response:
                    read = 0
                    with pytest.raises(ResponseTooLargeError):  # noqa: PT012
                        async for piece in response:
                            read += len(piece)
                    with pytest.raises(RuntimeError, match="closed"):
                        await anext(response)
                assert resident() - before < BOMB_BYTES // 8
        error = caught.value
        assert error.was_sent
        assert (error.max_ratio, 0 < error.received_bytes <= len(bomb)) == (100.0, True)
        assert MIB < error.unpacked_bytes <= max(2 * MIB, 100 * len(bomb) + 64 * 1024)
        assert read <= error.unpacked_bytes + 64 * 1024
        text = error.render()
        for said in (str(error.received_bytes), str(error.unpacked_bytes), "100 times", "max_ratio"):
            assert said in text

    main()


@run
async def test_who_trusts_a_server_may_allow_more() -> None:
    body = BOMBS["gzip"]
    with Origin(lambda _: packed("gzip", body)) as origin:
        pool = ConnectionPool(max_ratio=2_000, max_response_bytes=BOMB_BYTES)
        assert len((await pool.request("GET", origin.url)).content) == BOMB_BYTES
        small = ConnectionPool(max_ratio=2_000)
        with pytest.raises(ResponseTooLargeError) as caught:
            await small.request("GET", origin.url)
        assert caught.value.max_ratio is None
        assert 64 * MIB < caught.value.unpacked_bytes <= 65 * MIB
        assert "max_response_bytes" in caught.value.render()


@run
async def test_what_is_too_long_is_refused_by_what_it_says_or_by_what_comes() -> None:
    def answer(asked: Asked) -> Answer:
        return Answer(bytes(3 * MIB)) if asked.path == "/said" else Answer(raw=chunked([bytes(MIB)] * 3))

    with Origin(answer) as origin:
        pool = ConnectionPool(max_response_bytes=2 * MIB)
        for path, size in (("said", 3 * MIB), ("unsaid", 2 * MIB)):
            with pytest.raises(ResponseTooLargeError) as caught:
                await pool.request("GET", f"{origin.url}/{path}")
            assert size <= caught.value.unpacked_bytes <= 3 * MIB
            async with pool.stream("GET", f"{origin.url}/{path}") as response:
                assert sum([len(piece) async for piece in response]) == 3 * MIB
            async with pool.stream("GET", f"{origin.url}/{path}") as response:
                with pytest.raises(ResponseTooLargeError):
                    await response.read()
        assert (await pool.request("HEAD", f"{origin.url}/said")).content == b""


@run
async def test_a_large_body_goes_up_and_comes_down_whole() -> None:
    body = bytes(range(256)) * (32 * MIB // 256)
    with Origin(lambda asked: Answer(asked.body)) as origin:
        async with ConnectionPool() as pool:
            response = await pool.request("POST", origin.url, content=body)
            assert response.content == body


@run
async def test_a_server_is_held_back_by_who_does_not_read() -> None:
    sent = 0

    def pour(connection: socket.socket) -> None:
        nonlocal sent
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 200000000\r\n\r\n")
        piece = bytes(64 * 1024)
        while sent < 200_000_000:
            sent += connection.send(piece)

    with Origin(lambda _: Answer(raw=pour)) as origin:
        pool = ConnectionPool()
        async with pool.stream("GET", origin.url) as response:
            assert len(await anext(response)) > 0
            before = -1
            while before != sent:
                before = sent
                await anyio.sleep(0.2)
            # What the kernel holds of a connection is most of it.
            assert sent < 16 * MIB


@run
async def test_what_cannot_be_unpacked_is_told_and_how_to_get_it() -> None:
    broken = {
        "none asked for it": ("compress", TEXT),
        "not what it says": ("gzip", TEXT),
        "cut": ("zstd", PACKED["zstd"][:-5]),
        "more behind it": ("br", PACKED["br"] + b"more"),
    }
    for why, (coding, body) in broken.items():
        with Origin(lambda _, coding=coding, body=body: packed(coding, body)) as origin:
            async with ConnectionPool() as pool:
                with pytest.raises(BrokenResponseError) as caught:
                    await pool.request("GET", origin.url)
                if why != "cut":
                    assert "Accept-Encoding: identity" in caught.value.render()
                assert isinstance(caught.value, RequestError | ConnectionError)
                raw = await pool.request("GET", origin.url, headers={"accept-encoding": "identity"})
                assert raw.content == body
