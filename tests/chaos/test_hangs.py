"""A process that is stopped looks alive to everything but its callers: it is found by its silence and replaced.

A worker is found within three heartbeats, a stdio child when calls on it make no progress and it answers no
question either. What a hung worker was doing stands in its log. Whoever slept himself judges nobody.
"""

from __future__ import annotations

import os
import signal
import statistics
import threading
import time

import pytest

from tests.chaos.neighbours import FULL, Calls, Load, ask, echo_once, is_ready, row
from tests.fleet import Fleet, fixture_entry, wait_until

STOPS = 100 if FULL else 3
HEARTBEAT_S = 1.0 if FULL else 0.4
MISSED = 3
START_S = 2.0 if FULL else 20.0
"""Writing its stacks, ending it and starting the next; generous in the sample, which runs beside other tests."""
PING_S = 5.0
RESTART = {"max_attempts": 1000, "backoff_min_ms": 0, "backoff_max_ms": 0}


def fleet_of_two() -> Fleet:
    servers = {"thinking": {"port": 0}, "echo": fixture_entry("slow_echo")}
    return Fleet(servers, orchestrator={"heartbeat_ms": int(HEARTBEAT_S * 1000), "restart": RESTART})


def recovery_s(fleet: Fleet, server: str) -> float:
    """Stop a server's process; how long until another one is ready."""
    pid = row(fleet, server)["pid"]
    began_s = time.monotonic()
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: is_ready(fleet, server, not_pid=pid), 60, f"another {server} is ready")
    return time.monotonic() - began_s


@pytest.mark.roomy
@pytest.mark.bar
@pytest.mark.timeout(1800)
def test_stopped_workers_are_replaced_within_three_heartbeats_and_leave_their_stacks() -> None:
    with fleet_of_two() as fleet:
        calls = Calls(fleet, "thinking")
        load = Load(fleet, ("echo",), rate_per_s=10)
        took_s = []
        with load.running():
            for _ in range(STOPS):
                took_s.append(recovery_s(fleet, "thinking"))
                assert calls.list_tools() == "answered"
        calls.close()
        log = "".join(file.read_text() for file in sorted((fleet.state / "logs").glob("thinking.log")))
        worst_s = max(took_s)
        print(
            f"{STOPS} stops: replaced after {statistics.median(took_s):.2f} s, at worst {worst_s:.2f} s,"
            f" with a heartbeat of {HEARTBEAT_S:g} s"
        )
        assert "most recent call first" in log, "no stacks in the log"
        assert worst_s <= MISSED * HEARTBEAT_S + START_S
        assert load.errors() == {}


@pytest.mark.roomy
@pytest.mark.bar
@pytest.mark.timeout(180)
def test_a_stopped_stdio_child_with_a_call_in_flight_is_replaced() -> None:
    with fleet_of_two() as fleet:
        load = Load(fleet, ("thinking",), rate_per_s=10)
        outcomes: list[str] = []
        pid = row(fleet, "echo")["pid"]
        caller = threading.Thread(target=lambda: outcomes.append(echo_once(fleet, "echo")))
        with load.running():
            began_s = time.monotonic()
            os.kill(pid, signal.SIGSTOP)
            caller.start()
            wait_until(lambda: is_ready(fleet, "echo", not_pid=pid), 60, "another child is ready")
            took_s = time.monotonic() - began_s
            caller.join(10)
            assert echo_once(fleet, "echo") == "answered"
        print(f"a stopped child was replaced after {took_s:.1f} s; the call on it: {outcomes}")
        assert len(outcomes) == 1, "the call on it hangs"
        assert took_s <= MISSED * HEARTBEAT_S + PING_S + START_S
        assert load.errors() == {}


@pytest.mark.bar
@pytest.mark.timeout(120)
def test_an_orchestrator_that_was_stopped_itself_judges_nobody() -> None:
    with fleet_of_two() as fleet:
        before = row(fleet, "thinking")["pid"], row(fleet, "echo")["pid"]
        orchestrator = ask(fleet, cmd="status")["orchestrator"]["pid"]
        load = Load(fleet, ("thinking", "echo"), rate_per_s=10)
        with load.running():
            os.kill(orchestrator, signal.SIGSTOP)
            load.spend("while nobody watches", (MISSED + 2) * HEARTBEAT_S)
            os.kill(orchestrator, signal.SIGCONT)
            load.spend("watched again", 2 * HEARTBEAT_S)
        assert (row(fleet, "thinking")["pid"], row(fleet, "echo")["pid"]) == before
        assert load.errors() == {}
