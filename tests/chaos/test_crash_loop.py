"""Servers that crash again and again cost three starts a window, next to no CPU, and their neighbours nothing.

When the cause is gone they serve again, and nobody has to do anything.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from benches.processes import cpu_s
from tests.chaos.neighbours import FULL, Load, ask, echo_once, own_processes, row
from tests.fleet import Fleet, fixture_entry, wait_until

WAYS = ("at-once", "after-1-s", "import")
GOOD = ("thinking", "echo")
ATTEMPTS = 3
WINDOW_S = 60.0
WATCH_S = 75.0 if FULL else 4.0
CPU_SHARE = 0.01
INTERPRETER_S = 0.5
"""A start is noted by the process itself, so the first of a window may be noted that much too late."""
SAMPLE_CPU_SHARE = 0.1
"""The sample is short and runs beside other tests; a loop of restarts costs far more."""


def crashing(folder: Path, how: str) -> dict[str, Any]:
    arguments = ("--cause", str(folder / "cause"), "--starts", str(folder / f"{how}.starts"), "--how", how)
    return fixture_entry("hostile.crashing", *arguments)


def fleet_with_crashers(folder: Path, **patience: Any) -> Fleet:
    (folder / "cause").touch()
    servers = {how: crashing(folder, how) for how in WAYS}
    servers |= {"thinking": {"port": 0}, "echo": fixture_entry("slow_echo")}
    return Fleet(servers, orchestrator=patience)


def starts(folder: Path, how: str) -> list[float]:
    return [float(line.split()[0]) for line in (folder / f"{how}.starts").read_text().splitlines()]


def most_in_a_window(starts_s: list[float], window_s: float) -> int:
    span_s = window_s - INTERPRETER_S
    return max(sum(begin <= at_s < begin + span_s for at_s in starts_s) for begin in starts_s)


def assert_status_names_the_causes(fleet: Fleet) -> None:
    reasons = {server["name"]: server["reason"] for server in ask(fleet, cmd="status")["servers"]}
    assert "no_such_module_anywhere" in reasons["import"]
    assert "7" in reasons["at-once"]
    assert "7" in reasons["after-1-s"]


@pytest.mark.roomy
@pytest.mark.bar
@pytest.mark.timeout(300)
def test_crash_loops_cost_three_starts_a_minute_and_no_cpu_and_the_others_serve(tmp_path: Path) -> None:
    with fleet_with_crashers(tmp_path) as fleet:
        wait_until(
            lambda: all(row(fleet, how)["state"] == "parked" for how in WAYS), 30, "all three are parked"
        )
        assert_status_names_the_causes(fleet)
        ours = list(own_processes(fleet).values())
        load = Load(fleet, GOOD, rate_per_s=2)
        with load.running():
            before_s, began_s = cpu_s(ours), time.monotonic()
            load.spend("beside crash loops", WATCH_S)
            share = (cpu_s(ours) - before_s) / (time.monotonic() - began_s)
        counts = {how: most_in_a_window(starts(tmp_path, how), WINDOW_S) for how in WAYS}
        print(f"most starts in a minute {counts}, {share:.2%} CPU of guard, orchestrator, gateway and zygote")
        assert max(counts.values()) <= ATTEMPTS
        assert min(counts.values()) == ATTEMPTS, "it was not even tried"
        assert share < (CPU_SHARE if FULL else SAMPLE_CPU_SHARE)
        assert load.errors() == {}
        if FULL:
            assert all(len(starts(tmp_path, how)) > ATTEMPTS for how in WAYS), "no probe within the time"


@pytest.mark.bar
@pytest.mark.timeout(120)
def test_when_the_cause_is_gone_they_serve_again_without_anyone(tmp_path: Path) -> None:
    window_s = 4
    restart = {"max_attempts": ATTEMPTS, "window_s": window_s, "backoff_max_ms": 500}
    with fleet_with_crashers(tmp_path, restart=restart, probe_ms=1000) as fleet:
        load = Load(fleet, GOOD, rate_per_s=10)
        with load.running():
            wait_until(
                lambda: all(row(fleet, how)["state"] == "parked" for how in WAYS), 30, "all are parked"
            )
            wait_until(
                lambda: len(starts(tmp_path, "at-once")) > ATTEMPTS + 1, 30, "a parked server is probed"
            )
            (tmp_path / "cause").unlink()
            wait_until(lambda: all(row(fleet, how)["state"] == "ready" for how in WAYS), 30, "all are ready")
        for how in WAYS:
            assert most_in_a_window(starts(tmp_path, how), window_s) <= ATTEMPTS
            assert echo_once(fleet, how) == "answered"
        assert load.errors() == {}


@pytest.mark.bar
@pytest.mark.timeout(120)
def test_a_call_brings_a_parked_server_back_long_before_its_probe(tmp_path: Path) -> None:
    restart = {"max_attempts": ATTEMPTS, "window_s": 3, "backoff_max_ms": 100}
    (tmp_path / "cause").touch()
    with Fleet({"at-once": crashing(tmp_path, "at-once")}, orchestrator={"restart": restart}) as fleet:
        wait_until(lambda: row(fleet, "at-once")["state"] == "parked", 30, "it is parked")
        assert row(fleet, "at-once")["retry_after_s"] > 30, "the probe is far away"
        assert echo_once(fleet, "at-once").startswith("error"), "a refusal, not a hang"
        (tmp_path / "cause").unlink()
        wait_until(lambda: echo_once(fleet, "at-once") == "answered", 20, "a call starts it")
        assert most_in_a_window(starts(tmp_path, "at-once"), 3.0) <= ATTEMPTS
