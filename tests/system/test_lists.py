"""Long lists at the aggregate: the first page is cheap, memory is bounded, and what nobody reads on is let go.

`make bar-lists` takes 100,000 items, waits out the half minute for real and prints what it measured.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from tests.calling import META, Caller
from tests.fleet import Fleet, fixture_entry, wait_until

FULL = bool(os.environ.get("OMNIMIND_FULL"))
ITEMS = 100_000 if FULL else 10_000
PAGE = 100
PRINCIPALS = 10 if FULL else 2
UNUSED_S = 30.0
MIB = 1 << 20
MOST_GROWTH = 64 * MIB
"""All that may be kept (32 MiB), and one longest page on its way, as text and as what is read of it."""
METHOD = "resources/list"


@contextmanager
def library(
    folder: Path, page: int, *arguments: str, items: int = ITEMS, **keys: Any
) -> Iterator[tuple[Fleet, Caller]]:
    entry = fixture_entry(
        "library", str(folder / "heard"), str(items), str(page), *arguments, sessions="shared"
    )
    with (
        Fleet({"lib": entry | keys}, cache={"predict": bool(keys)}) as fleet,
        closing(Caller(fleet.aggregate)) as caller,
    ):
        yield fleet, caller


def heard(folder: Path, what: str) -> list[str]:
    """What the server wrote down, without the time."""
    lines = (line.partition(" ")[2] for line in (folder / "heard").read_text().splitlines())
    return [line for line in lines if line.startswith(what)]


def gateway(fleet: Fleet) -> psutil.Process:
    return next(
        process for process in fleet.descendants() if "omnimind.gateway" in " ".join(process.cmdline())
    )


def tokens(fleet: Fleet, count: int) -> list[str]:
    """New principals."""
    command = [sys.executable, "-m", "omnimind", "token", "add"]
    environment = {**os.environ, "OMNIMIND_STATE": str(fleet.state)}
    made = []
    for number in range(count):
        done = subprocess.run(
            [*command, f"p{number}", "--json"], capture_output=True, text=True, check=True, env=environment
        )
        made.append(json.loads(done.stdout)["token"])
    return made


def known(caller: Caller) -> None:
    """Waits until the gateway has heard of a token."""
    wait_until(lambda: "result" in caller.call("server/discover"), 10, "the token is known")


def figure(fleet: Fleet, name: str, token: str | None = None) -> int:
    url = urlsplit(fleet.base)
    assert url.hostname is not None
    connection = HTTPConnection(url.hostname, url.port, timeout=10)
    connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {token}"} if token else {})
    text = connection.getresponse().read().decode()
    connection.close()
    return int(next(line for line in text.splitlines() if line.startswith(f"{name} ")).split()[1])


def listed(caller: Caller, cursor: str | None = None, method: str = METHOD) -> dict[str, Any]:
    answer = caller.call(method, {} if cursor is None else {"cursor": cursor})
    assert "result" in answer, answer
    result: dict[str, Any] = answer["result"]
    return result


def alone_s(folder: Path, page: int) -> float:
    """What the server itself takes to write its first page into a pipe, at best."""
    entry = fixture_entry("library", str(folder / "alone"), str(ITEMS), str(page))
    asked = json.dumps({"jsonrpc": "2.0", "id": 1, "method": METHOD, "params": {}}).encode() + b"\n"
    taken = []
    command, environment = [entry["command"], *entry["args"]], {**os.environ, **entry["env"]}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        for _ in range(5):
            began = time.perf_counter()
            server.stdin.write(asked)
            server.stdin.flush()
            assert server.stdout.readline().startswith(b"{")
            taken.append(time.perf_counter() - began)
        server.stdin.close()
    return min(taken)


class Walk:
    """A whole list, page by page: how long that took, and the most memory that the gateway had meanwhile."""

    def __init__(self, process: psutil.Process, caller: Caller) -> None:
        self.names: list[str] = []
        self.most_bytes = 0
        cursor = None
        began = time.perf_counter()
        while True:
            result = listed(caller, cursor)
            if cursor is None:
                self.first_s = time.perf_counter() - began
            self.names += [item["name"] for item in result["resources"]]
            self.most_bytes = max(self.most_bytes, process.memory_info().rss)
            cursor = result.get("nextCursor")
            if cursor is None:
                break
        self.whole_s = time.perf_counter() - began


@pytest.mark.alone
@pytest.mark.bar
@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", [PAGE, ITEMS] if FULL else [PAGE])
def test_the_first_page_costs_a_fraction_of_the_list_and_memory_stays_bounded(
    tmp_path: Path, page: int
) -> None:
    with library(tmp_path, page) as (fleet, caller):
        listed(caller)
        before = gateway(fleet).memory_info().rss
        first_s = []
        for _ in range(5):
            began = time.perf_counter()
            listed(caller)
            first_s.append(time.perf_counter() - began)
        asked = len(heard(tmp_path, METHOD))
        walk = Walk(gateway(fleet), caller)
        grown = walk.most_bytes - before
        print(
            f"{ITEMS} items, {page} to a page of the server: first page {min(first_s) * 1e3:.1f} ms, "
            f"all {walk.whole_s * 1e3:.0f} ms (1/{walk.whole_s / min(first_s):.0f}), "
            f"gateway {before / MIB:.0f} MiB, at most {grown / MIB:+.1f} MiB; the server alone takes "
            f"{alone_s(tmp_path, page) * 1e3:.1f} ms for its first page"
        )
        assert walk.names == [f"r{number}" for number in range(ITEMS)]
        assert grown <= MOST_GROWTH
        assert len(heard(tmp_path, METHOD)) - asked <= -(-ITEMS // page) + 1, "each page was asked for once"
        # A list in one piece has to come whole before any of it is believed.
        if page == PAGE:
            assert min(first_s) <= walk.whole_s / 50


@pytest.mark.bar
@pytest.mark.timeout(180)
def test_abandoned_walks_hold_little_and_after_half_a_minute_nothing(tmp_path: Path) -> None:
    with library(tmp_path, 1_050) as (fleet, caller):
        process = gateway(fleet)
        cursor: str | None = None
        cursors = []
        listed(caller)
        before = process.memory_info().rss
        for _ in range(ITEMS // PAGE - 5):
            cursor = listed(caller, cursor)["nextCursor"]
            cursors.append(cursor)
        for cursor in cursors[:: max(1, len(cursors) // 100)]:
            listed(caller, cursor)
        rests, rest_bytes = figure(fleet, "omnimind_list_rests"), figure(fleet, "omnimind_list_rest_bytes")
        grown = process.memory_info().rss - before
        print(f"abandoned: {rests} rests of {rest_bytes / MIB:.2f} MiB, gateway {grown / MIB:+.1f} MiB")
        assert 1 <= rests <= 8
        assert grown <= MOST_GROWTH
        if FULL:
            time.sleep(UNUSED_S + 1)
            assert figure(fleet, "omnimind_list_rests") == figure(fleet, "omnimind_list_rest_bytes") == 0
            with closing(Caller(fleet.aggregate)) as later:
                assert listed(later, cursors[3])["resources"][0]["name"] == "r400"


@pytest.mark.bar
@pytest.mark.timeout(180)
def test_however_many_leave_a_longest_page_after_its_beginning_what_is_kept_is_bounded(
    tmp_path: Path,
) -> None:
    entry = fixture_entry("library", str(tmp_path / "heard"), str(ITEMS), str(ITEMS), sessions="shared")
    with Fleet({"lib": entry}, auth=True) as fleet:
        process = gateway(fleet)
        callers = [Caller(fleet.aggregate, token=token) for token in tokens(fleet, PRINCIPALS)]
        before, most, most_kept = process.memory_info().rss, 0, 0
        for caller in callers:
            known(caller)
            assert len(listed(caller)["resources"]) == PAGE
            most = max(most, process.memory_info().rss)
            most_kept = max(most_kept, figure(fleet, "omnimind_list_rest_bytes", fleet.token))
        print(
            f"{PRINCIPALS} principals before a page of {ITEMS}: at most {most_kept / MIB:.1f} MiB kept, "
            f"gateway {(most - before) / MIB:+.1f} MiB"
        )
        assert 0 < most_kept <= 32 * MIB
        assert most - before <= MOST_GROWTH
        if FULL:
            time.sleep(UNUSED_S + 1)
            assert figure(fleet, "omnimind_list_rest_bytes", fleet.token) == 0
            print(f"after half a minute: gateway {(process.memory_info().rss - before) / MIB:+.1f} MiB")
        for caller in callers:
            caller.close()


@pytest.mark.roomy
def test_a_client_that_goes_away_cancels_what_its_page_asked_of_the_server(tmp_path: Path) -> None:
    with library(tmp_path, PAGE, "--hold", str(PAGE), items=500) as (fleet, caller):
        cursor = listed(caller)["nextCursor"]
        url = urlsplit(fleet.aggregate)
        params = {"cursor": cursor, "_meta": META}
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": METHOD, "params": params})
        head = (
            f"POST {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Type: application/json\r\n"
            "Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\n"
            f"Mcp-Method: {METHOD}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        with socket.create_connection((url.hostname, url.port)) as connection:
            connection.sendall((head + body).encode())
            wait_until(lambda: bool(heard(tmp_path, f"{METHOD} {PAGE}")), 5, "the server is asked")
        gone = time.monotonic()
        wait_until(lambda: bool(heard(tmp_path, "cancelled")), 5, "the server hears that it is cancelled")
        print(f"cancelled after {(time.monotonic() - gone) * 1e3:.0f} ms")
        asked = heard(tmp_path, f"{METHOD} {PAGE}")[0].split()[-1]
        assert heard(tmp_path, "cancelled") == [f"cancelled {asked}"]


def test_a_cursor_outlives_the_gateway(tmp_path: Path) -> None:
    with library(tmp_path, 250, items=1_000) as (fleet, caller):
        cursor = listed(caller, listed(caller)["nextCursor"])["nextCursor"]
        old = gateway(fleet)
        old.kill()
        wait_until(
            lambda: any(
                p.pid != old.pid and "omnimind.gateway" in " ".join(p.cmdline()) for p in fleet.descendants()
            ),
            10,
            "a new gateway",
        )

        def goes_on() -> bool:
            try:
                answer = caller.call(METHOD, {"cursor": cursor})
            except (OSError, HTTPException):
                return False
            return "result" in answer and answer["result"]["resources"][0]["name"] == "r200"

        wait_until(goes_on, 15, "the cursor leads on")
        asked = [line.split()[1] for line in heard(tmp_path, METHOD)]
        assert asked[-2:] == ["-", "250"], "the page in which it stands, and what follows"


@pytest.mark.roomy
@pytest.mark.skipif(
    not FULL, reason="waits for half a minute; the injected clock does in rust/gateway/tests/aggregate"
)
@pytest.mark.timeout(120)
def test_a_page_that_was_asked_ahead_and_is_not_wanted_is_cancelled_after_half_a_minute(
    tmp_path: Path,
) -> None:
    predicted = {"cache": {"predict": [METHOD]}}
    with library(tmp_path, PAGE, "--hold", str(PAGE), "--ttl", "60000", items=500, **predicted) as (
        _,
        caller,
    ):
        listed(caller, method="prompts/list")  # work, of which a small share may be spent on guesses
        time.sleep(0.1)
        listed(caller)
        wait_until(lambda: bool(heard(tmp_path, f"{METHOD} {PAGE}")), 5, "the next page is asked ahead")
        began = time.monotonic()
        wait_until(lambda: bool(heard(tmp_path, "cancelled")), UNUSED_S + 5, "it is cancelled")
        print(f"cancelled after {time.monotonic() - began:.1f} s")
        assert UNUSED_S - 1 < time.monotonic() - began < UNUSED_S + 2
