"""What a fleet's well-behaved servers owe their callers while another server misbehaves: 0 errors, and latency.

Latency is compared only within one run, in rounds that alternate: a control round, then one with the
trouble on, and so on, so that a busy machine weighs on both alike.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

from omnimind.cli import fleet as control
from tests.calling import TO_THE_SERVER
from tests.fleet import Fleet, wait_until

FULL = bool(os.environ.get("OMNIMIND_FULL"))
ROUNDS = 6 if FULL else 1
ROUND_S = 4.0 if FULL else 1.2
RATE_PER_S = 50.0
"""Of one caller: slow enough to measure waiting, not the machine's limit."""
P99_TIMES = 3.0 if FULL else 30.0
"""How much worse the 99th percentile may become; the sample only guards against a stall."""
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
    **TO_THE_SERVER,
}


class Calls:
    """Calls over one kept connection; every call is made once and its outcome kept."""

    def __init__(self, fleet: Fleet, server: str, timeout_s: float = 30.0) -> None:
        url = urlsplit(fleet.base)
        self._address = (url.hostname or "", url.port or 0)
        self._path = f"/servers/{server}/mcp"
        self._timeout_s = timeout_s
        self._connection: HTTPConnection | None = None

    def ask(self, method: str, params: Mapping[str, Any] | None = None) -> str:
        """One call; `answered`, or what went wrong."""
        params = {**(params or {}), "_meta": META}
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": "2026-07-28",
            "Mcp-Method": method,
        }
        if "name" in params:
            headers["Mcp-Name"] = str(params["name"])
        if self._connection is None:
            self._connection = HTTPConnection(*self._address, timeout=self._timeout_s)
        try:
            self._connection.request("POST", self._path, body, headers)
            answer = json.loads(self._connection.getresponse().read())
        except (OSError, HTTPException, ValueError) as fault:
            self.close()
            return f"broken off: {fault!r}"
        return "answered" if "result" in answer else f"error {answer['error']}"

    def list_tools(self) -> str:
        return self.ask("tools/list")

    def echo(self, text: str = "hello") -> str:
        return self.ask("tools/call", {"name": "echo", "arguments": {"text": text}})

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def echo_once(fleet: Fleet, server: str, text: str = "hello") -> str:
    """One call over a connection of its own."""
    calls = Calls(fleet, server)
    try:
        return calls.echo(text)
    finally:
        calls.close()


@dataclass
class Load:
    """Paced calls to some servers, one thread each; outcomes and latencies go to the round that is on."""

    fleet: Fleet
    servers: tuple[str, ...]
    rate_per_s: float = RATE_PER_S
    outcomes: Counter[str] = field(default_factory=Counter)
    took_s: dict[str, list[float]] = field(default_factory=dict)
    into: str = "warm-up"

    def _run(self, server: str, stop: threading.Event) -> None:
        calls = Calls(self.fleet, server)
        next_s = time.monotonic()
        while not stop.is_set():
            into, began_s = self.into, time.monotonic()
            outcome = calls.list_tools()
            self.outcomes[outcome] += 1
            self.took_s.setdefault(into, []).append(time.monotonic() - began_s)
            next_s = max(next_s + 1 / self.rate_per_s, time.monotonic() - 1)
            stop.wait(max(0.0, next_s - time.monotonic()))
        calls.close()

    @contextmanager
    def running(self) -> Iterator[Load]:
        stop = threading.Event()
        threads = [threading.Thread(target=self._run, args=(name, stop)) for name in self.servers]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def spend(self, into: str, seconds: float) -> None:
        """Let the calls of the next seconds count for this round."""
        self.into = into
        until_s = time.monotonic() + seconds
        wait_until(lambda: time.monotonic() >= until_s, seconds + 30, "the round is over")

    def p99_s(self, kind: str) -> float:
        took = sorted(self.took_s[kind])
        return took[min(len(took) - 1, int(len(took) * 0.99))]

    def errors(self) -> dict[str, int]:
        return {outcome: count for outcome, count in self.outcomes.items() if outcome != "answered"}

    def report(self, what: str) -> None:
        control_ms, hostile_ms = self.p99_s("control") * 1000, self.p99_s("hostile") * 1000
        calls = len(self.took_s["control"]), len(self.took_s["hostile"])
        print(
            f"{what}: {calls[0]} + {calls[1]} calls, errors {self.errors()},"
            f" p99 {control_ms:.1f} ms alone, {hostile_ms:.1f} ms beside it ({hostile_ms / control_ms:.1f} times)"
        )

    def assert_undisturbed(self, what: str) -> None:
        """The promise of this page."""
        self.report(what)
        assert self.errors() == {}
        assert self.p99_s("hostile") <= P99_TIMES * self.p99_s("control")


def alternate(load: Load, begin: Callable[[], None], end: Callable[[], None]) -> None:
    """Control rounds and rounds with the trouble on, in turn."""
    for _ in range(ROUNDS):
        load.spend("control", ROUND_S)
        load.into = "between"
        begin()
        try:
            load.spend("hostile", ROUND_S)
        finally:
            load.into = "between"
            end()


def ask(fleet: Fleet, **request: Any) -> dict[str, Any]:
    """One command on the control socket."""
    return control.ask(fleet.state, request)


def row(fleet: Fleet, server: str) -> dict[str, Any]:
    """What `status` says of one server."""
    found: dict[str, Any] = next(r for r in ask(fleet, cmd="status")["servers"] if r["name"] == server)
    return found


def is_ready(fleet: Fleet, server: str, not_pid: int | None = None) -> bool:
    """True if the server is ready, in another process than `not_pid`."""
    found = row(fleet, server)
    return found["state"] == "ready" and found["pid"] not in (None, not_pid)


def own_processes(fleet: Fleet) -> dict[str, int]:
    """The pids of the processes that are not servers."""
    now = ask(fleet, cmd="status")
    return {
        name: now[name]["pid"] for name in ("guard", "orchestrator", "gateway", "zygote") if now[name]["pid"]
    }
