"""What one call costs, beside bytes that go there and back over loopback: a hit, a pass-through, each of the nine.

A figure is the CPU of gateway and servers; the wall clock's ratio is kept beside it.

The fleet of nine under a mix at 100 in flight has the one absolute floor of the suite: 500 calls a second.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benches import load
from benches.builtins import CHEAPEST
from benches.python.calls import House, Line
from benches.python.rounds import Beside

FLOOR_PER_S = 500
IN_FLIGHT = 100
MIX_ROUNDS = 5


def timed(beside: Beside, house: House, line: Line) -> dict[str, Any]:
    """The answer to a call that is timed beside the echo."""
    echo = house.echo()
    try:
        answer = beside(line, echo, clock=house.cpu_ns, reference_clock=house.fixed_cpu_ns, waits=True)
    finally:
        line.close()
        echo.close()
    assert isinstance(answer, bytes)
    result: dict[str, Any] = json.loads(answer)["result"]
    assert not result.get("isError"), result
    return result


@pytest.mark.benchmark(group="call")
@pytest.mark.parametrize("server", ["through", "stdio"])
def test_pass_through(beside: Beside, house: House, server: str) -> None:
    found = timed(beside, house, house.line(server, "echo", {"text": "the same"}))
    assert found["content"][0]["text"] == "the same"


@pytest.mark.benchmark(group="call")
def test_cached(beside: Beside, house: House) -> None:
    found = timed(beside, house, house.line("cached", "echo", {"text": "the same", "pad": 0}))
    assert found["content"][0]["text"] == "the same"


@pytest.mark.benchmark(group="cheapest tool")
@pytest.mark.parametrize("server", CHEAPEST)
def test_builtin(beside: Beside, house: House, server: str) -> None:
    tool, arguments = CHEAPEST[server]
    timed(beside, house, house.line(server, tool, json.loads(arguments)))


@pytest.mark.benchmark(group="fleet")
@pytest.mark.timeout(120)
def test_nine_mixed_at_a_hundred_in_flight(
    benchmark: Any, beside: Beside, house: House, tmp_path: Path
) -> None:
    """Beside the server that reads no request, both under the same generator, in turns."""
    mix = tmp_path / "mix.json"
    mix.write_text(
        json.dumps(
            [
                {"tool": f"{server}__{tool}", "arguments": arguments}
                for server, (tool, arguments) in CHEAPEST.items()
            ]
        )
    )
    load.run("--http", house.fleet.aggregate, "--mix", str(mix), "--count", "200")  # all nine have started
    cpu: tuple[list[float], list[float]] = ([], [])
    wall: tuple[list[float], list[float]] = ([], [])

    def fleet() -> None:
        begun_ns = house.cpu_ns()
        report = run(house.fleet.aggregate, "--mix", str(mix))
        assert report.is_clean, report.all
        cpu[0].append((house.cpu_ns() - begun_ns) / report.sent)
        wall[0].append(1e9 / report.throughput_per_s)

    def fixed() -> None:
        begun_ns = house.fixed_cpu_ns()
        report = run(house.fixed.url)
        cpu[1].append((house.fixed_cpu_ns() - begun_ns) / report.sent)
        wall[1].append(1e9 * report.all["elapsed_s"] / report.sent)

    benchmark.pedantic(fleet, setup=fixed, rounds=MIX_ROUNDS, iterations=1)
    beside.note("ratios", *cpu)
    beside.note("wall_ratios", *wall)
    best = 1e9 / min(wall[0])
    assert best >= FLOOR_PER_S, (
        f"{best:.0f} calls a second in the best of {MIX_ROUNDS} rounds, at least {FLOOR_PER_S}"
    )


def run(url: str, *more: str) -> load.Report:
    return load.run(
        "--http", url, *more, "--in-flight", str(IN_FLIGHT), "--duration-s", "1.5", "--warm-up-s", "0.3"
    )
