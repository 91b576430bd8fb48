"""The generator is honest: a sample of its bar; with OMNIMIND_FULL=1, and by `make bar-generator`, in full.

Ratios and counts of one run only; what else the machine does falls on both sides of each.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from benches import load
from omnimind.errors import Exit
from tests.fleet import Fleet

pytestmark = [pytest.mark.alone, pytest.mark.bar, pytest.mark.timeout(600)]

FULL = bool(os.environ.get("OMNIMIND_FULL"))
SECONDS = 20 if FULL else 4
GOES = 3
CPU_BAR = 0.4
"""CPU of the generator for a call, of the gateway's for a call that goes through to a server."""
AHEAD_BAR = 1.5
"""What the generator gets from a server that costs next to nothing, of what it gets through the gateway."""
ECHO = ("--arguments", '{"text": "$CANARY"}', "--warmup", "1", "--duration", str(SECONDS))


def stress(*words: str, code: int = Exit.OK) -> dict[str, Any]:
    command = [sys.executable, "-m", "omnimind", "stress", *words, "--json", "-"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS + 60)
    assert done.returncode == code, done.stdout + done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_a_stalling_server_is_slow_in_the_open_loop_and_fast_in_the_closed_one() -> None:
    words = ("--stall-ms", "200", "--stall-every-ms", "2000")
    p99_ms: dict[str, float] = {}
    for _ in range(GOES):
        with load.Server("upstream", "--http", "127.0.0.1:0", *words) as server:
            calls = ("--url", server.url, "--tool", "echo", *ECHO)
            found = {
                "open": stress(*calls, "--rate", "400")["load"],
                "closed": stress(*calls, "--closed", "--concurrency", "4")["load"],
            }
        for kind, one in found.items():
            assert one["right"] == one["sent"]
            p99_ms[kind] = one["latency_ms"]["p99"]
            print(
                f"{kind}: {one['sent']} calls, p50 {one['latency_ms']['p50']:.2f}, p99 {p99_ms[kind]:.2f} ms"
            )
        assert found["closed"]["latency_ms"]["max"] > 150
        if p99_ms["open"] >= 150 and p99_ms["closed"] < 5:
            return
    pytest.fail(f"p99: {p99_ms}")


def test_it_takes_little_of_what_the_gateway_takes_and_is_not_the_limit() -> None:
    misses: list[str] = []
    for _ in range(GOES):
        with load.Upstream() as server, Fleet({"free": {"url": server.url}}) as fleet:
            calls = ("--closed", "--concurrency", "16", "--no-cache")
            through = stress("--state", str(fleet.state), "--tool", "free__echo", *ECHO, *calls)
            direct = stress("--url", server.url, "--tool", "echo", *ECHO, *calls)
        misses = _misses(through, direct)
        if not misses:
            return
    pytest.fail("; ".join(misses))


def _misses(through: dict[str, Any], direct: dict[str, Any]) -> list[str]:
    """The bars that a run does not hold."""
    gateway = next(use for use in through["uses"] if use["name"] == "gateway")
    gateway_us = gateway["cpu_s"] * 1e6 / through["load"]["sent"]
    own_us = through["load"]["cpu_us_per_call"]
    ahead = direct["load"]["throughput_per_s"] / through["load"]["throughput_per_s"]
    print(
        f"generator {own_us:.1f} us, gateway {gateway_us:.1f} us a call: {own_us / gateway_us:.2f}; "
        f"direct {direct['load']['throughput_per_s']:.0f}/s, through the gateway "
        f"{through['load']['throughput_per_s']:.0f}/s: {ahead:.2f}, busy {through['load']['busy']:.2f}"
    )
    for found in (through["load"], direct["load"]):
        assert found["right"] == found["sent"]
    checks = [
        (
            own_us <= CPU_BAR * gateway_us,
            f"generator {own_us / gateway_us:.2f} x the gateway, at most {CPU_BAR}",
        ),
        (ahead >= AHEAD_BAR, f"direct {ahead:.2f} x through the gateway, at least {AHEAD_BAR}"),
        (not through["load"]["saturated"], f"saturated: {through['load']['saturated_by']}"),
    ]
    return [words for holds, words in checks if not holds]


def test_it_says_when_it_is_asked_for_more_than_it_can() -> None:
    with load.Upstream() as server:
        words = ("--url", server.url, "--tool", "echo", *ECHO, "--rate", "3000000", "--timeout", "1")
        found = stress(*words, "--max-failed", "100", code=Exit.FAILURE)["load"]
    assert found["saturated"]
    assert any("arrivals" in why for why in found["saturated_by"])
    assert found["wrong"] + found["duplicate"] + found["unasked"] == 0
