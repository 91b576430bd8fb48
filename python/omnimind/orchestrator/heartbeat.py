"""Is a worker's event loop alive? The reader of its pulse.

Rule: silence is judged only by one who was awake to hear. What waits in the pipe is read before anything is
concluded, and a loop of ours that ran late (SIGSTOP, a suspended machine) starts the patience anew. A worker
that wants to run and is given no processor is starved, not hung: it gets twice the time.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable

import anyio

from omnimind.linux import pulse, usage

MISSED = 3
"""Heartbeats that may be missing in a row."""
_STARVED_FACTOR = 2
_IDLE_S = 0.05
"""Processor time below which a process did not get to run."""


class Heartbeat:
    """The read end of one worker's pulse; owns the descriptor."""

    def __init__(
        self, descriptor: int, interval_ms: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._interval_s = interval_ms / 1000
        self._clock = clock
        self._heard_s = clock()
        self._ended = False
        self._closed = False
        self._waited_for = False
        self.last: pulse.Beat | None = None

    def requests(self) -> int:
        """Requests that it has answered since its start, as far as is known."""
        return self.last.answered if self.last is not None else 0

    def silent_s(self) -> float:
        """Seconds since the last record was read."""
        return self._clock() - self._heard_s

    async def hangs(self, pid: int) -> float:
        """Wait until it hangs; how long it has been silent. Cancel it when the process ends."""
        self._heard_s = self._clock()
        before: usage.Times | None = None
        while True:
            if await self._news():
                before = None
                continue
            if self.silent_s() >= self._interval_s:
                before = before or usage.times(pid)
            if self.silent_s() >= self._patience_s(pid, before):
                return self.silent_s()

    def close(self) -> None:
        """Stop listening."""
        if not self._closed:
            self._closed = True
            if self._waited_for:
                anyio.notify_closing(self._descriptor)  # who waits closes it, before its number is another's
            else:
                os.close(self._descriptor)

    async def _news(self) -> bool:
        """Wait for a record, or until it is time to judge; True if patience starts anew."""
        began_s = self._clock()
        left_s = MISSED * self._interval_s - self.silent_s()
        wait_s = min(max(left_s, self._interval_s / 8), self._interval_s)
        with anyio.move_on_after(wait_s):
            if self._ended:
                await anyio.sleep_forever()
            await self._readable()
        if self._closed:
            await anyio.sleep_forever()
        overslept = self._clock() - began_s > wait_s + self._interval_s
        if self._listen() or overslept:
            self._heard_s = self._clock()
            return True
        return False

    async def _readable(self) -> None:
        self._waited_for = True
        try:
            with contextlib.suppress(anyio.ClosedResourceError):
                await anyio.wait_readable(self._descriptor)
        finally:
            self._waited_for = False
            if self._closed:
                os.close(self._descriptor)

    def _listen(self) -> bool:
        """Read what waits; True if there was a record."""
        try:
            beat = pulse.latest(self._descriptor)
        except EOFError:
            self._ended = True  # its end is somebody else's to notice
            return False
        if beat is not None:
            self.last = beat
        return beat is not None

    def _patience_s(self, pid: int, before: usage.Times | None) -> float:
        patience_s = MISSED * self._interval_s
        now = usage.times(pid)
        if before is None or now is None:
            return patience_s
        starved = now.ran_s - before.ran_s < _IDLE_S and now.waited_s - before.waited_s > self._interval_s
        return patience_s * _STARVED_FACTOR if starved else patience_s
