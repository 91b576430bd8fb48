"""What one call costs, beside bytes that go there and back over loopback: a hit, a pass-through, each of the nine.

A figure is the CPU of gateway and servers; the wall clock's ratio is kept beside it.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from benches.python.calls import House, Line
from benches.python.rounds import Beside
from omnimind.stress.mix import CHEAPEST


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
