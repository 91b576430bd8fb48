"""The load for a peer whose clients speak REST: `python -m benches.peers.rest --url URL`; prints a report as JSON.

Closed loop on kept connections, one call after the other on each, every answer compared with its question. It says
the same figures as `omnimind-load run --json`, with fewer calls a second at most (about ten thousand here).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from urllib.parse import urlsplit


class Tally:
    """What became of the calls that were measured."""

    def __init__(self) -> None:
        self.took_ms: list[float] = []
        self.wrong = 0

    def report(self, elapsed_s: float) -> dict[str, object]:
        ordered = sorted(self.took_ms)
        count = len(ordered)
        at = {name: ordered[min(count - 1, int(share * count))] if count else 0.0 for name, share in SHARES}
        return {
            "throughput_per_s": count / elapsed_s,
            "sent": count + self.wrong,
            "right": count,
            "wrong": self.wrong,
            "duplicate": 0,
            "unasked": 0,
            "missing": 0,
            "connections_lost": 0,
            "saturated": False,
            "elapsed_s": elapsed_s,
            "latency_ms": at,
        }


SHARES = (("p50", 0.5), ("p99", 0.99))


async def caller(number: int, url: str, start_s: float, end_s: float, tally: Tally) -> None:
    """Calls until the end; counts what begins after the start."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    call = 0
    try:
        while (begun_s := time.monotonic()) < end_s:
            call += 1
            text = f"{number}-{call}"
            body = json.dumps({"text": text}).encode()
            head = f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
            writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            status, answer = await read_answer(reader)
            if begun_s < start_s:
                continue
            if status == 200 and json.loads(answer) == text:
                tally.took_ms.append((time.monotonic() - begun_s) * 1000)
            else:
                tally.wrong += 1
    finally:
        writer.close()


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Status and body of a response that tells its length."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0]
    return int(head.split(b" ", 2)[1]), await reader.readexactly(int(length))


async def run(url: str, in_flight: int, duration_s: float, warm_up_s: float) -> dict[str, object]:
    tally = Tally()
    start_s = time.monotonic() + warm_up_s
    end_s = start_s + duration_s
    await asyncio.gather(*(caller(number, url, start_s, end_s, tally) for number in range(in_flight)))
    return tally.report(time.monotonic() - start_s)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--url", required=True)
    parser.add_argument("--in-flight", type=int, required=True)
    parser.add_argument("--duration-s", type=float, required=True)
    parser.add_argument("--warm-up-s", type=float, default=0.2)
    options = parser.parse_args()
    report = run(options.url, options.in_flight, options.duration_s, options.warm_up_s)
    print(json.dumps(asyncio.run(report)))


if __name__ == "__main__":
    main()
