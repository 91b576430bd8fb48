"""Whether a contender answers right, in a pass of its own before anything is timed.

Calls at eight at once with texts that differ in everything (letters of many scripts, quotes, 0 to 32 KB); each answer
must have its call's id and, for an echo, its text. It speaks 2025-11-25, which all contenders know, or REST.
"""

from __future__ import annotations

import http.client
import json
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

VERSION = "2025-11-25"
AT_ONCE = 8
TIMEOUT_S = 20.0
LETTERS = "aZ09 \"'\\/{}[]<>\n\täßжλ中文🜁\u2028"
SIZES = (0, 1, 20, 300, 2_000, 32_000)


class WrongAnswer(Exception):
    """An answer that is not the one to its call; the text says which and what came."""


@dataclass
class Client:
    """One client on one connection; a legacy session if the other side opens one."""

    url: str
    tool: str
    rest: bool = False
    first: int = 0
    """Its lowest request id."""
    _headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        self._path = parts.path
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_S)

    def open(self) -> None:
        """`initialize` and what follows it."""
        if self.rest:
            return
        info = {
            "protocolVersion": VERSION,
            "capabilities": {},
            "clientInfo": {"name": "bench", "version": "1"},
        }
        self._ask({"jsonrpc": "2.0", "id": self.first, "method": "initialize", "params": info}, self.first)
        self._headers["MCP-Protocol-Version"] = VERSION
        self._ask({"jsonrpc": "2.0", "method": "notifications/initialized"}, None)

    def echo(self, number: int, text: str) -> None:
        """The call of this number, from 1; raises WrongAnswer unless its text comes back."""
        number += self.first
        if self.rest:
            said = self._post({"text": text})
            found = json.loads(said)
        else:
            params = {"name": self.tool, "arguments": {"text": text}}
            call = {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}
            result = self._ask(call, number)
            content = result.get("content") or [{}]
            found = None if result.get("isError") else content[0].get("text")
        if found != text:
            raise WrongAnswer(f"{text[:40]!r} was answered with {found!r:.80}")

    def _ask(self, message: dict[str, Any], number: int | None) -> dict[str, Any]:
        """The result of a request; nothing for a notification."""
        body = self._post(message)
        if number is None:
            return {}
        for answer in messages(body):
            if answer.get("id") == number and "result" in answer:
                result: dict[str, Any] = answer["result"]
                return result
        raise WrongAnswer(f"{message['method']} was answered with {body[:200]!r}")

    def _post(self, message: dict[str, Any]) -> bytes:
        headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        data = json.dumps(message, ensure_ascii=False).encode()
        self._connection.request("POST", self._path, data, {**headers, **self._headers})
        response = self._connection.getresponse()
        session = response.getheader("Mcp-Session-Id")
        if session:
            self._headers["Mcp-Session-Id"] = session
        body = response.read()
        if response.status >= 400:
            raise WrongAnswer(f"HTTP {response.status}: {body[:200]!r}")
        return body

    def close(self) -> None:
        self._connection.close()


@contextmanager
def client(url: str, tool: str, *, rest: bool = False, first: int = 0) -> Iterator[Client]:
    """A client that has been opened; its failures of any kind come as WrongAnswer."""
    made = Client(url, tool, rest, first)
    try:
        made.open()
        yield made
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise WrongAnswer(f"{type(error).__name__}: {error}") from error
    finally:
        made.close()


def messages(body: bytes) -> list[dict[str, Any]]:
    """The JSON-RPC messages of a response, whether it is JSON or a stream of events."""
    if body.lstrip().startswith((b"{", b"[")):
        return [json.loads(body)]
    lines = body.decode().split("\n")
    return [json.loads(line[5:]) for line in lines if line.startswith("data:") and "{" in line]


def texts(count: int, seed: int) -> list[str]:
    chance = random.Random(seed)
    return [
        f"{seed}/{number} " + "".join(chance.choices(LETTERS, k=chance.choice(SIZES)))
        for number in range(count)
    ]


def check(url: str, tool: str, *, rest: bool = False, calls: int = 80, same_ids: bool = False) -> int:
    """Raises WrongAnswer at the first wrong one; says how many calls were made.

    With `same_ids` the clients count alike, as clients that know nothing of each other do.
    """
    share = calls // AT_ONCE

    def one(seed: int) -> int:
        first = 0 if same_ids else seed * 1_000_000
        with client(url, tool, rest=rest, first=first) as caller:
            for number, text in enumerate(texts(share, seed), 1):
                caller.echo(number, text)
        return share

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return sum(pool.map(one, range(AT_ONCE)))
