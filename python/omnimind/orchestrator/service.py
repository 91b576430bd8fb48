"""What the orchestrator says to systemd, by way of its guard.

READY when the fleet is: the moment run.json is written. WATCHDOG from the orchestrator's event loop and through
the guard's, so that it stops when either hangs. Without systemd the guard drops it all.
"""

from __future__ import annotations

import anyio

from omnimind.orchestrator.guardlink import GuardLink


class Service:
    """The fleet as systemd sees it. `watchdog_us` None means that there is no systemd, 0 no watchdog."""

    def __init__(self, guard: GuardLink, watchdog_us: int | None) -> None:
        self._guard = guard
        self._watchdog_us = watchdog_us

    def ready(self, status: str) -> None:
        """All has come to something."""
        self._say("READY=1", f"STATUS={status}")

    def stopping(self) -> None:
        """From now on nothing new begins."""
        self._say("STOPPING=1", "STATUS=finishing what is under way")

    def refused(self, why: str) -> None:
        """It could not start."""
        self._say(f"STATUS={why}")

    async def feed(self) -> None:
        """Say again and again that the loop runs, three times as often as is asked for."""
        while self._watchdog_us:
            self._say("WATCHDOG=1")
            await anyio.sleep(self._watchdog_us / 3e6)

    def _say(self, *assignments: str) -> None:
        if self._watchdog_us is not None:
            self._guard.notify(*assignments)
