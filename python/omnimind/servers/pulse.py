"""The worker's side of its heartbeat: written from the event loop, so a blocked loop falls silent.

Rule: nothing here waits and nothing here can fail a request. Whoever reads decides what silence means.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final

from omnimind.linux.pulse import Beat, send

if TYPE_CHECKING:
    from collections.abc import Callable

SHORTEST_MS: Final = 10


class Pulse:
    """The write end of the pipe and how often to write."""

    def __init__(self, descriptor: int, interval_ms: int) -> None:
        os.set_blocking(descriptor, False)
        os.set_inheritable(descriptor, False)
        self._descriptor = descriptor
        self._interval_s = max(interval_ms, SHORTEST_MS) / 1000

    async def beat(self, measured: Callable[[], Beat]) -> None:
        """Write a record at once and then every interval, until nobody reads."""
        while send(self._descriptor, measured()):  # noqa: ASYNC110 - time itself is what is waited for
            await asyncio.sleep(self._interval_s)
        os.close(self._descriptor)
