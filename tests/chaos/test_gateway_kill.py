"""A gateway dies with calls in flight on a pipe that all principals share: nobody gets another's answer.

The child survives, goes on working on the dead gateway's calls, and answers them on the pipe that the new
gateway has taken over. Each answer holds the name of the principal who asked, so a crossing shows.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.fleet import Fleet, fixture_entry, wait_until

PRINCIPALS = 6
ROUNDS = 20 if os.environ.get("OMNIMIND_FULL") else 4
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


@dataclass
class Tally:
    """What one principal saw."""

    right: int = 0
    wrong: list[str] = field(default_factory=list)
    failed: int = 0


def call(address: tuple[str, int], token: str, text: str, delay_ms: int) -> str:
    """One `echo`; every principal uses the same ids."""
    params = {"name": "echo", "arguments": {"text": text, "delay_ms": delay_ms}, "_meta": META}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": "tools/call",
        "Mcp-Name": "echo",
    }
    connection = HTTPConnection(*address, timeout=15)
    try:
        connection.request("POST", "/servers/echo/mcp", body, headers)
        answer: dict[str, Any] = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    if "result" not in answer:
        raise HTTPException(json.dumps(answer))
    content: str = answer["result"]["content"][0]["text"]
    return content


def keep_calling(
    address: tuple[str, int], name: str, token: str, tally: Tally, stop: threading.Event
) -> None:
    number = 0
    while not stop.is_set():
        number += 1
        text = f"{name}-{number}"
        try:
            got = call(address, token, text, delay_ms=20 + number % 7 * 30)
        except (OSError, HTTPException, ValueError):
            tally.failed += 1
            continue
        if got == text:
            tally.right += 1
        else:
            tally.wrong.append(f"{text} got {got}")


def add_principal(fleet: Fleet, name: str) -> str:
    environment = {**os.environ, "OMNIMIND_STATE": str(fleet.state)}
    done = subprocess.run(
        [sys.executable, "-m", "omnimind", "token", "add", name, "--json"],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    token: str = json.loads(done.stdout)["token"]
    return token


def gateway_pid(fleet: Fleet) -> int:
    for process in fleet.descendants():
        if "omnimind.gateway" in " ".join(process.cmdline()):
            return process.pid
    return 0


@pytest.mark.bar
@pytest.mark.timeout(180)
def test_no_principal_gets_anothers_answer_when_the_gateway_is_killed() -> None:
    with Fleet({"echo": fixture_entry("slow_echo", sessions="shared")}, auth=True) as fleet:
        url = urlsplit(fleet.base)
        assert url.hostname is not None
        assert url.port is not None
        address = (url.hostname, url.port)
        names = [f"p{number}" for number in range(PRINCIPALS)]
        tokens = {name: add_principal(fleet, name) for name in names}
        wait_until(lambda: answers(address, tokens[names[-1]]), 10, "the new tokens are known")
        tallies = {name: Tally() for name in names}
        stop = threading.Event()
        threads = [
            threading.Thread(target=keep_calling, args=(address, name, tokens[name], tallies[name], stop))
            for name in names
            for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        try:
            for _ in range(ROUNDS):
                before = sum(tally.right for tally in tallies.values())
                wait_until(
                    lambda before=before: sum(tally.right for tally in tallies.values()) > before + 30,  # type: ignore[misc]
                    30,
                    "calls are answered",
                )
                os.kill(gateway_pid(fleet), signal.SIGKILL)
            time.sleep(0.1)
            before = sum(tally.right for tally in tallies.values())
            wait_until(
                lambda: sum(tally.right for tally in tallies.values()) > before + 30, 30, "calls go on"
            )
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        wrong = [crossing for tally in tallies.values() for crossing in tally.wrong]
        assert wrong == []
        assert all(tally.right > 0 for tally in tallies.values())


def answers(address: tuple[str, int], token: str) -> bool:
    try:
        return call(address, token, "hello", delay_ms=0) == "hello"
    except (OSError, HTTPException, ValueError):
        return False
