"""What the gateway leaves of a built-in server's own throughput; in full by `make bar-builtins`."""

from __future__ import annotations

import os

import pytest

from benches import builtins
from omnimind import catalog

FULL = bool(os.environ.get("OMNIMIND_FULL"))
SAMPLED_BAR = 0.7
"""Turns of half a second on a machine with other work spread by more than the bar leaves room for."""
GOES = 3
SERVERS = [builtin.name for builtin in catalog.BUILTINS][:: 1 if FULL else 3]
"""The sample takes every third: the gateway and the framework of the workers are the same for all."""


def test_the_cheapest_tool_of_every_server_is_known() -> None:
    assert {builtin.name for builtin in catalog.BUILTINS} <= set(builtins.CHEAPEST)


@pytest.mark.alone
@pytest.mark.bar
@pytest.mark.timeout(180)
@pytest.mark.parametrize("server", SERVERS)
def test_a_server_is_nearly_as_fast_behind_the_gateway_as_without_it(server: str) -> None:
    rounds, seconds = (7, 2.0) if FULL else (2, 0.5)
    bar = builtins.BAR if FULL else SAMPLED_BAR
    for _ in range(GOES):
        found = builtins.measure(server, rounds=rounds, seconds=seconds)
        print(builtins.table([found]))
        if found.ratio >= bar:
            return
    pytest.fail(f"{found.ratio:.2f} of what the worker answers directly, at least {bar}")
