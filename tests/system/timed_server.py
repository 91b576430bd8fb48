"""A TCP server that holds every answer back as long as it is asked to, and times itself: the truth for the monitor.

A request is a line with milliseconds, its answer a line. Run as a program it says its port as JSON and serves; at the
end of its input it prints what it measured, from the read of a request to before the write of its answer: every
call's microseconds as one JSON list.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time


async def main() -> None:
    took_us: list[int] = []

    class Line(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            began = time.monotonic_ns()
            wait_ms = int(data)
            if wait_ms:
                asyncio.get_running_loop().call_later(wait_ms / 1000, self.answer, began)
            else:
                self.answer(began)

        def answer(self, began: int) -> None:
            took_us.append((time.monotonic_ns() - began) // 1000)
            self.transport.write(b"ok\n")

    loop = asyncio.get_running_loop()
    server = await loop.create_server(Line, "127.0.0.1", 0, backlog=512)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    ended = asyncio.Event()
    loop.add_reader(0, ended.set)
    await ended.wait()
    server.close()
    print(json.dumps(took_us), flush=True)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
