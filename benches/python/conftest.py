"""What the benchmarks share: the timing beside a reference, and real servers to call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from benches import load
from benches.hits import SERVER, Fixed
from benches.python.calls import House
from benches.python.rounds import Beside, Call
from omnimind.stress.mix import CHEAPEST
from tests.fleet import Fleet


@pytest.fixture
def beside(benchmark: Any) -> Beside:
    return Beside(benchmark)


@pytest.fixture(scope="session")
def lookup() -> Call:
    """The reference for what is in memory: one string found in a dict of a thousand."""
    table = {f"key {number}": number for number in range(1000)}

    def one() -> int | None:
        return table.get("key 500")

    return one


@pytest.fixture(scope="session")
def house() -> Iterator[House]:
    nine: dict[str, Any] = {name: {"port": 0, "cache": False} for name in CHEAPEST}
    with load.Upstream() as upstream, Fixed(160) as fixed:
        servers = {
            **nine,
            "through": {"url": upstream.url},
            "stdio": load.stdio_entry(),
            "cached": {"url": upstream.url, **SERVER},
        }
        with Fleet(servers) as fleet:
            yield House(fleet, fixed)
