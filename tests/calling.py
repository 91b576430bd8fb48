"""Clients that call a server again and again over connections they keep, and count what came of it."""

from __future__ import annotations

import json
import threading
from collections import Counter
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

from tests.fleet import wait_until

META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}
TO_THE_SERVER = {"omnimind/cache": "no-store"}
"""An answer from memory would hide that its server is gone."""
ANSWER_S = 30.0


class Caller:
    """One connection, reopened whenever the server closes it after an answer; or a fresh one for every call, so
    that a listening socket that closed for an instant shows as a refused connection. Its calls reach the server,
    unless it takes kept answers."""

    def __init__(
        self,
        url: str,
        *,
        fresh: bool = False,
        takes_kept: bool = False,
        token: str | None = None,
        meta: dict[str, Any] | None = None,
    ) -> None:
        split = urlsplit(url)
        assert split.hostname is not None
        self._path = split.path + (f"?{split.query}" if split.query else "")
        self._fresh = fresh
        self._meta = META | ({} if takes_kept else TO_THE_SERVER) | (meta or {})
        self._bearer = {"Authorization": f"Bearer {token}"} if token is not None else {}
        self._connection = HTTPConnection(split.hostname, split.port, timeout=ANSWER_S)

    def call(self, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """One call of the modern era; raises OSError, HTTPException or ValueError if nothing sensible came."""
        params = {**(params or {}), "_meta": self._meta}
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": "2026-07-28",
            "Mcp-Method": method,
            **self._bearer,
        }
        if name := params.get("name", params.get("uri")):
            headers["Mcp-Name"] = name
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        try:
            self._connection.request("POST", self._path, body, headers)
            response = self._connection.getresponse()
            text = response.read()
        except (OSError, HTTPException):
            self._connection.close()
            raise
        if self._fresh:
            self._connection.close()
        if response.headers.get_content_type() == "text/event-stream":
            data = [line[5:] for line in text.split(b"\n") if line.startswith(b"data:")]
            text = data[-1] if data else b""
        answer: dict[str, Any] = json.loads(text)
        return answer

    def close(self) -> None:
        self._connection.close()


class Calls:
    """Threads that make the same call over and over; `seen` counts outcomes by kind."""

    def __init__(
        self,
        url: str,
        method: str,
        params: dict[str, Any] | None = None,
        *,
        threads: int = 4,
        fresh: bool = False,
    ) -> None:
        self.seen: Counter[str] = Counter()
        self._url, self._method, self._params, self._fresh = url, method, params, fresh
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(threads)]

    def _run(self) -> None:
        caller = Caller(self._url, fresh=self._fresh)
        while not self._stop.is_set():
            self.seen[self._once(caller)] += 1
        caller.close()

    def _once(self, caller: Caller) -> str:
        try:
            answer = caller.call(self._method, self._params)
        except ConnectionRefusedError:
            return "refused"
        except (OSError, HTTPException, ValueError) as broken:
            return f"broken off: {broken!r}"
        if "error" in answer:
            return f"error {answer['error']['code']}: {answer['error']['message']}"
        if answer["result"].get("isError"):
            return f"tool error: {answer['result']['content']}"
        return "answered"

    @property
    def failed(self) -> dict[str, int]:
        """Everything that is no answer."""
        return {kind: count for kind, count in self.seen.items() if kind != "answered"}

    def goes_on(self, calls: int = 20) -> None:
        """Waits until so many more calls were answered."""
        before = self.seen["answered"]
        wait_until(lambda: self.seen["answered"] >= before + calls, 30, f"calls are answered: {self.seen}")

    def __enter__(self) -> Calls:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
