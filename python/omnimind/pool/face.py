"""`ConnectionPool`: the typed class over `omnimind._core.ConnectionPool`, which sends.

What is here is what needs no speed: settings, arguments as people write them, and the way to the desk where tasks wait.
"""

from __future__ import annotations

import json as json_module
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Literal, NamedTuple, Self

from omnimind import _core
from omnimind.pool import desk, faults
from omnimind.pool.response import Response, StreamedResponse, Streaming

Coding = Literal["zstd", "br", "gzip"]
HeaderPairs = Mapping[str, str] | Iterable[tuple[str, str]]

CODINGS: Final[tuple[Coding, ...]] = ("zstd", "br", "gzip")


class OriginStats(NamedTuple):
    """The connections to one origin."""

    http: str | None
    """What it speaks, as far as is known: `1.1` or `2`."""
    open: int
    """Connections that are open: those in use, and those that rest."""
    busy: int
    idle: int
    waiting: int
    """Requests that wait for one."""
    opened: int
    """Connections opened so far."""
    reused: int
    """Requests sent over one that was open."""
    closed: dict[str, int]
    """Connections closed, by reason."""
    waited: int
    """Requests that had to wait."""
    refused: int
    """Requests that were not sent: none became free, or the origin was left alone."""
    ejected_s: float
    """Requests are refused for so long, as it failed too often; 0: they are not."""
    idle_limit_s: float
    """A connection that has rested so long is closed, as was learned of the server."""


class ConnectionPool:
    """HTTP requests over connections that are kept: one pool for all a program asks, from any task of any loop.

    To each origin (scheme, host and port) up to `max_connections` are open; a request that finds all of them in use
    waits its turn, `max_wait_s` at most. With HTTP/2 (`http2`: over TLS where it is `offered`, also in the clear where
    it is `known`, or `never`) many share two. A request may take `timeout_s`, to the end of its answer.

    Answers are asked for packed (`compression`, the best first) and come out unpacked. They may unpack to `max_ratio`
    times what came, beyond the first MiB; and no more than `max_response_bytes` of one are kept. `verify` is a file of
    certificates (PEM) to believe, in place of the system's.

    `async with` closes it, as `close` does; both may be left out for one that lives as long as its program. A fork of
    the process opens connections of its own.
    """

    __slots__ = ("_max_response_bytes", "_pool", "_timeout_s")

    def __init__(
        self,
        *,
        max_connections: int = 100,
        compression: Sequence[Coding] = CODINGS,
        http2: Literal["offered", "known", "never"] = "offered",
        verify: str | os.PathLike[str] | None = None,
        timeout_s: float = 30.0,
        max_wait_s: float = 5.0,
        max_response_bytes: int = 64 << 20,
        max_ratio: float = 100.0,
    ) -> None:
        """Make a pool; nothing is opened yet.

        Raises ValueError for settings that do not fit, OSError for certificates that cannot be read.
        """
        if isinstance(compression, str):
            raise ValueError(f"compression is a sequence of names, such as ({compression!r},)")
        if not timeout_s > 0:
            raise ValueError(f"timeout_s must be a number of seconds above 0, got {timeout_s}")
        for name, count in (("max_connections", max_connections), ("max_response_bytes", max_response_bytes)):
            if not 1 <= count <= sys.maxsize:
                raise ValueError(f"{name} must be from 1 to {sys.maxsize}, got {count}")
        self._pool = _core.ConnectionPool(
            max_connections=max_connections,
            compression=list(compression),
            http2=http2,
            verify=verify,
            max_wait_s=max_wait_s,
            max_response_bytes=max_response_bytes,
            max_ratio=max_ratio,
        )
        self._max_response_bytes = max_response_bytes
        self._timeout_s = timeout_s

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: HeaderPairs | None = None,
        content: bytes | str = b"",
        json: Any = None,
        timeout_s: float | None = None,
    ) -> Response:
        """Send a request and wait for the whole answer, whatever its status.

        `content` is the body, or `json` is, as JSON. `timeout_s` is in place of the pool's; `math.inf` is none.
        Redirects are answers and not followed. Sent again is only what the server did not begin with, and once what
        does no harm twice (GET, HEAD, PUT, DELETE and their like) if a kept connection was lost. A task that is
        cancelled gives its connection back.

        Raises ValueError for what cannot be sent, and an `omnimind.errors.RequestError` where there is no answer.
        """
        where = faults.place(method, url)
        place = desk.here()
        ticket, limit = self._send(place, method, url, headers, content, json, timeout_s, whole=True)
        try:
            outcome = await place.wait(ticket)
        finally:
            place.close(ticket)
        if isinstance(outcome, _core.Fault):
            raise faults.error(outcome, where, limit)
        return Response(*outcome)

    def stream(
        self,
        method: str,
        url: str,
        *,
        headers: HeaderPairs | None = None,
        content: bytes | str = b"",
        json: Any = None,
        timeout_s: float | None = None,
    ) -> Streaming:
        """`async with pool.stream(...) as response`: the same, with an answer that is read as it comes.

        `timeout_s` is for its head, and then for each piece. The connection is given back at its end; the end of the
        block cancels what has not come.
        """

        async def begin() -> StreamedResponse:
            where = faults.place(method, url)
            place = desk.here()
            ticket, limit = self._send(place, method, url, headers, content, json, timeout_s, whole=False)
            try:
                outcome = await place.wait(ticket)
            finally:
                place.close(ticket)
            if isinstance(outcome, _core.Fault):
                raise faults.error(outcome, where, limit)
            return StreamedResponse(outcome, place, where, limit, self._max_response_bytes)  # type: ignore[arg-type]

        return Streaming(begin)

    def stats(self) -> dict[str, OriginStats]:
        """The connections to each origin that is known, by `scheme://host:port`."""
        return {origin: OriginStats(**told) for origin, told in self._pool.stats()}

    def close(self) -> None:
        """Send nothing more; connections are closed as soon as nothing is under way on them."""
        self._pool.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _send(
        self,
        place: desk.Desk,
        method: str,
        url: str,
        headers: HeaderPairs | None,
        content: bytes | str,
        json: Any,
        timeout_s: float | None,
        *,
        whole: bool,
    ) -> tuple[desk.Ticket, float]:
        limit = self._timeout_s if timeout_s is None else timeout_s
        if not limit > 0:
            raise ValueError(f"timeout_s must be a number of seconds above 0, got {limit}")
        pairs = _pairs(headers)
        if json is not None:
            if content:
                raise ValueError("a request has content or json, not both")
            content = json_module.dumps(json, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
            if not any(name.lower() == "content-type" for name, _ in pairs):
                pairs.append(("content-type", "application/json"))
        body = content.encode() if isinstance(content, str) else content
        number = self._pool.send(place.inbox, method, url, pairs, body, limit, whole)
        if isinstance(number, _core.Fault):
            raise faults.error(number, faults.place(method, url), limit)
        return place.open(number), limit


def _pairs(headers: HeaderPairs | None) -> list[tuple[str, str]]:
    if headers is None:
        return []
    return list(headers.items() if isinstance(headers, Mapping) else headers)
