"""What a pool answers with: a whole response, or one that is still coming."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self

from omnimind import _core
from omnimind.errors import ResponseTooLargeError
from omnimind.pool import faults
from omnimind.pool.desk import Desk, Ticket

_CHARSET = re.compile(r"""charset\s*=\s*["']?([\w.:-]+)""", re.IGNORECASE)


class Headers(Mapping[str, str]):
    """Headers by name, in any case. One that came several times is all of its values, joined by commas."""

    __slots__ = ("_pairs",)

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._pairs = pairs

    def get_all(self, name: str) -> list[str]:
        """Each value of a header, as it came."""
        name = name.lower()
        return [value for key, value in self._pairs if key == name]

    def __getitem__(self, name: str) -> str:
        values = self.get_all(name)
        if not values:
            raise KeyError(name)
        return ", ".join(values)

    def __iter__(self) -> Iterator[str]:
        return iter(dict(self._pairs))

    def __len__(self) -> int:
        return len(dict(self._pairs))

    def __repr__(self) -> str:
        return f"Headers({self._pairs!r})"


class _Head:
    __slots__ = ("headers", "http", "status")

    def __init__(self, status: int, http: str, headers: list[tuple[str, str]]) -> None:
        self.status = status
        """The status of the answer; 404 and 500 are answers too."""
        self.http = http
        """The HTTP it came over: `1.0`, `1.1` or `2`."""
        self.headers = Headers(headers)
        """As the server sent them."""

    def _decoded(self, content: bytes) -> str:
        said = _CHARSET.search(self.headers.get("content-type", ""))
        try:
            return content.decode(said[1] if said else "utf-8", "replace")
        except LookupError:
            return content.decode("utf-8", "replace")


class Response(_Head):
    """An answer with all of its content."""

    __slots__ = ("content",)

    def __init__(self, status: int, http: str, headers: list[tuple[str, str]], content: bytes) -> None:
        super().__init__(status, http, headers)
        self.content = content
        """Its bytes, unpacked."""

    def text(self) -> str:
        """Its content in the charset that the server names, else UTF-8; what is none of it becomes U+FFFD."""
        return self._decoded(self.content)

    def json(self) -> Any:
        """Its content as JSON. Raises ValueError if it is none."""
        return json.loads(self.content)

    def __repr__(self) -> str:
        return f"Response({self.status}, {len(self.content)} bytes)"


class StreamedResponse(_Head):
    """An answer that is read as it comes: `async for piece in response`, or `await response.read()`.

    Nothing is read ahead but some hundred kilobytes: the server is held back by who reads. A task that is cancelled
    while it waits for a piece loses nothing.
    """

    __slots__ = ("_body", "_desk", "_is_waiting", "_max_bytes", "_ticket", "_timeout_s", "_where")

    def __init__(
        self,
        answer: tuple[int, str, list[tuple[str, str]], _core.Body],
        desk: Desk,
        where: str,
        timeout_s: float,
        max_bytes: int,
    ) -> None:
        status, http, headers, self._body = answer
        super().__init__(status, http, headers)
        self._desk = desk
        self._where = where
        self._timeout_s = timeout_s
        self._max_bytes = max_bytes
        self._ticket: Ticket | None = None
        self._is_waiting = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if piece := await self._next():
            return piece
        raise StopAsyncIteration

    async def read(self) -> bytes:
        """All that has not been read yet; raises ResponseTooLargeError beyond the pool's `max_response_bytes`."""
        pieces, size = [], 0
        while piece := await self._next():
            size += len(piece)
            if size > self._max_bytes:
                self.close()
                raise ResponseTooLargeError(self._where, 0, size, None)
            pieces.append(piece)
        return b"".join(pieces)

    def close(self) -> None:
        """Let it go; what has not come is cancelled. A task that waits for it gets RuntimeError."""
        if not self._is_waiting:
            self._give_up()
        self._body.close()

    async def _next(self) -> bytes:
        if self._is_waiting:
            raise RuntimeError("another task is reading this response")
        if self._ticket is None:
            number = self._body.read(self._desk.inbox)
            if isinstance(number, _core.Fault):
                raise faults.error(number, self._where, self._timeout_s)
            self._ticket = self._desk.open(number)
        self._is_waiting = True
        try:
            outcome = await self._desk.wait(self._ticket)
        finally:
            self._is_waiting = False
        self._give_up()
        if isinstance(outcome, _core.Fault):
            raise faults.error(outcome, self._where, self._timeout_s)
        assert isinstance(outcome, bytes)
        return outcome

    def _give_up(self) -> None:
        ticket, self._ticket = self._ticket, None
        if ticket is not None:
            self._desk.close(ticket)


class Streaming:
    """A streamed response for as long as a block runs."""

    __slots__ = ("_open", "_response")

    def __init__(self, open: Callable[[], Awaitable[StreamedResponse]]) -> None:
        self._open = open
        self._response: StreamedResponse | None = None

    async def __aenter__(self) -> StreamedResponse:
        self._response = response = await self._open()
        return response

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._response is not None:
            self._response.close()
