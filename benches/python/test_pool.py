"""What a request through `omnimind.ConnectionPool` costs: a connection taken, used and given back.

Beside it stands the same request on one socket that is simply held, to the same server, which reads nothing.
"""

from __future__ import annotations

import asyncio
import time

import pytest

from benches.python.calls import House
from benches.python.rounds import Beside
from omnimind import ConnectionPool
from omnimind.pool.response import Response


@pytest.mark.benchmark(group="pool")
def test_checkout(beside: Beside, house: House) -> None:
    echo = house.echo()
    with asyncio.Runner() as runner:
        pool = ConnectionPool(compression=())

        def request() -> Response:
            return runner.run(pool.request("GET", house.fixed.url))

        found = beside(request, echo, clock=time.process_time_ns, waits=True)
        assert isinstance(found, Response)
        assert found.status == 200
        stats = next(iter(pool.stats().values()))
        assert stats.reused > 10 * stats.opened
        pool.close()
    echo.close()
