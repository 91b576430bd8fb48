"""A third-party stdio child is killed -9 under load: clients of idempotent calls see nothing of it.

The new child is told what the old one had agreed on (`initialize` again for a legacy one), the sessions of
clients stay, and a call that counts runs at most once. The bar of 0.75 s, the child's own start aside, is
asserted in full runs, on a machine that has time.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.chaos.caller import Attempt, Caller, Client, Fate, open_session
from tests.fleet import Fleet, fixture_entry, wait_until

FULL = bool(os.environ.get("OMNIMIND_FULL"))
KILLS = 20 if FULL else 3
BACK_BAR_S = 0.75
CALLERS = 4
RESTART = {"max_attempts": 1000, "backoff_min_ms": 0, "backoff_max_ms": 0}
PATH = "/servers/tally/mcp"


@contextmanager
def tally_fleet(folder: Path, era: str) -> Iterator[Fleet]:
    arguments = ("--file", str(folder / "counted"), "--era", era)
    entry = fixture_entry("tally", *arguments, restart=RESTART, trust=["annotations"], sessions="shared")
    with Fleet({"tally": entry}) as fleet:
        yield fleet


class Readers:
    """Clients that read, list and look again and again, each in a session of its own or in none."""

    def __init__(self, client: Client, callers: list[Caller]) -> None:
        self._client = client
        self._callers = callers
        self._stopped = False
        self.seen: list[Attempt] = []

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for caller in self._callers:
                group.create_task(self._read(caller))

    async def _read(self, caller: Caller) -> None:
        asked: list[tuple[str, dict[str, Any]]] = [
            ("tools/list", {}),
            ("resources/read", {"uri": "tally://self"}),
            ("tools/call", {"name": "look", "arguments": {"text": "a", "after_ms": 30}}),
        ]
        while not self._stopped:
            for method, params in asked:
                self.seen.append(await self._client.call(caller, PATH, method, params))

    def stop(self) -> None:
        self._stopped = True


async def about(client: Client, caller: Caller) -> dict[str, int]:
    """What the child says of itself."""
    attempt = await client.call(caller, PATH, "resources/read", {"uri": "tally://self"}, fresh=True)
    assert attempt.fate is Fate.ANSWERED, attempt
    found: dict[str, int] = json.loads(attempt.result["contents"][0]["text"])
    return found


async def kill_and_wait(client: Client, caller: Caller) -> float:
    """Seconds from the kill to the answer of the next child, without its own start."""
    before = await about(client, caller)
    began_s = time.monotonic()
    os.kill(before["pid"], signal.SIGKILL)
    after = await about(client, caller)
    took_s = time.monotonic() - began_s
    assert after["pid"] != before["pid"]
    return max(0.0, took_s - after["start_ms"] / 1000)


async def storm(fleet: Fleet) -> tuple[list[Attempt], list[float]]:
    url = urlsplit(fleet.base)
    client = Client(url.hostname or "", url.port or 0)
    plain = Caller("local", "")
    sessions = [await open_session(client, f"client-{n}", "", PATH) for n in range(CALLERS)]
    readers = Readers(client, [plain, *sessions])
    reading = asyncio.create_task(readers.run())
    took_s = []
    try:
        for _ in range(KILLS):
            took_s.append(await kill_and_wait(client, plain))
            await asyncio.sleep(0.15)
    finally:
        readers.stop()
        await reading
        client.close()
    return readers.seen, took_s


@pytest.mark.roomy
@pytest.mark.bar
@pytest.mark.timeout(120)
@pytest.mark.parametrize("era", ["both", "legacy"])
def test_a_killed_child_is_replaced_and_no_idempotent_call_fails(tmp_path: Path, era: str) -> None:
    with tally_fleet(tmp_path, era) as fleet:
        seen, took_s = asyncio.run(storm(fleet))
    print("back after, its own start aside:", ", ".join(f"{1000 * seconds:.0f} ms" for seconds in took_s))
    assert [attempt for attempt in seen if attempt.fate is not Fate.ANSWERED] == []
    if FULL:
        assert max(took_s) < BACK_BAR_S


@pytest.mark.bar
def test_a_counting_call_whose_child_dies_gets_one_clear_error_and_runs_at_most_once(tmp_path: Path) -> None:
    async def count_and_kill(fleet: Fleet) -> list[Attempt]:
        url = urlsplit(fleet.base)
        client = Client(url.hostname or "", url.port or 0)
        plain = Caller("local", "")
        attempts = []
        for number in range(KILLS):
            pid = (await about(client, plain))["pid"]
            arguments = {"id": f"n{number}", "after_ms": 5_000}
            params = {"name": "count", "arguments": arguments}
            counting = asyncio.create_task(client.call(plain, PATH, "tools/call", params, fresh=True))
            is_written = functools.partial(lambda name: name in written(), f"n{number}")
            await asyncio.to_thread(wait_until, is_written, 20, "the call has counted")
            os.kill(pid, signal.SIGKILL)
            attempts.append(await counting)
        return attempts

    def written() -> list[str]:
        file = tmp_path / "counted"
        return file.read_text().split() if file.exists() else []

    with tally_fleet(tmp_path, "both") as fleet:
        attempts = asyncio.run(count_and_kill(fleet))
    assert {attempt.fate for attempt in attempts} == {Fate.ERROR}
    assert all("50300" in attempt.detail for attempt in attempts), attempts
    assert written() == [f"n{number}" for number in range(KILLS)]
