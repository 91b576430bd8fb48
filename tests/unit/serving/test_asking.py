"""Whether a port answers: what a watchdog may believe."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import pytest

from omnimind.serving.asking import Asker

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def ask(handler: Handler, scenario: Callable[[Asker], Awaitable[None]]) -> None:
    serving: set[asyncio.StreamWriter] = set()

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(writer)
        with contextlib.suppress(EOFError, OSError):
            await handler(reader, writer)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        serving.discard(writer)

    async def run() -> None:
        server = await asyncio.start_server(accepted, "127.0.0.1", 0)
        asker = Asker(*server.sockets[0].getsockname())
        try:
            await scenario(asker)
        finally:
            asker.close()
            server.close()
            while serving:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (OK, True),
        (b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n", False),
        (b"HTTP/1.1 200", False),
        (b"", False),
        (b"\0\0\0\r\n\r\n", False),
        (b"x" * 100_000, False),
    ],
)
def test_only_200_in_time_counts(answer: bytes, verdict: bool) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await reader.read(1)  # says no more, and keeps the connection

    async def scenario(asker: Asker) -> None:
        assert await asker.ok("/healthz", 0.2) is verdict

    ask(handler, scenario)


def test_one_connection_is_kept_and_opened_again_when_it_was_closed() -> None:
    opened = 0

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal opened
        opened += 1
        for _ in range(3):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(OK)

    async def scenario(asker: Asker) -> None:
        for _ in range(6):
            assert await asker.ok("/healthz", 5)

    ask(handler, scenario)
    assert opened == 2


def test_a_port_where_nobody_listens_does_not_answer() -> None:
    async def run() -> None:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        server.close()
        await server.wait_closed()
        assert not await Asker(*address).ok("/healthz", 1)

    asyncio.run(run())
