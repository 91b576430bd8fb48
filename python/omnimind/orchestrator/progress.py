"""What the person at the terminal sees while the fleet starts, runs and stops: one line an event, on stderr.

Rule: a line is written only when it fits at once, so a paused terminal or a full pipe never stops the fleet.
"""

from __future__ import annotations

import contextlib
import os
import select
import time
import traceback
from collections.abc import Callable

from omnimind.orchestrator.lifecycle import Phase
from omnimind.orchestrator.logs.files import LogFile
from omnimind.orchestrator.logs.repeats import without_numbers
from omnimind.orchestrator.supervise import Server

AGAIN_S = 3600.0
"""How long one and the same trouble of a server is not told again."""
_LINE_BYTES = 2048


class Progress:
    """Lines for people, kept in the orchestrator's own log too."""

    def __init__(
        self, log: LogFile, descriptor: int = 2, tick_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._log = log
        self._tick_s = tick_s
        self._descriptor = descriptor
        self._said: dict[str, tuple[Phase, int]] = {}
        self._told: dict[str, dict[tuple[Phase, str], float]] = {}

    def fault(self, what: str, fault: Exception) -> None:
        """Something that should not happen: the log has the traceback."""
        self.say(f"  {what}: {fault!r}")
        for line in traceback.format_exception(fault):
            self._log.write(os.getpid(), line.rstrip())

    def say(self, text: str) -> None:
        """One line, or nothing if nobody reads."""
        self._log.write(os.getpid(), text)
        line = "".join(c if c.isprintable() or c == "\n" else "?" for c in text)[:_LINE_BYTES] + "\n"
        with contextlib.suppress(OSError, ValueError):
            _, writable, _ = select.select([], [self._descriptor], [], 0)
            if writable:
                os.write(self._descriptor, line.encode())

    def moved(self, server: Server) -> None:
        """A server came to stand elsewhere."""
        name, now = f"{server.settings.name:<16}", (server.phase, server.state.spawns)
        before, self._said[server.settings.name] = self._said.get(server.settings.name), now
        if server.phase is Phase.READY:
            self._told.pop(server.settings.name, None)
        match server.phase:
            case _ if before == now:
                pass
            case Phase.READY if before is not None and before[0] is Phase.READY:
                self.say(f"  {name} renewed in {server.ready_s * 1000:.0f} ms")
            case Phase.READY if server.instance is not None:
                self.say(f"  {name} ready in {server.ready_s * 1000:.0f} ms")
            case Phase.READY:
                self.say(f"  {name} configured")
            case Phase.BACKOFF if self._news(server):
                self.say(f"  {name} failed: {server.reason}; restarting")
            case Phase.PARKED if self._news(server):
                again_s = server.retry_after_s() or 0.0
                self.say(f"  {name} parked: {server.reason}; tried again in {again_s:.0f} s or when called")
                if server.cause is not None and server.cause.fix:
                    self.say(f"  {'':<16} help: {server.cause.fix}")
                if server.log.last_lines:
                    self.say(f"  {'':<16} last line: {server.log.last_lines[-1]}")
            case _:
                pass

    def _news(self, server: Server) -> bool:
        """False for a failure that was told within the hour and went on since: it is in the events."""
        told = self._told.setdefault(server.settings.name, {})
        what, now_s = (server.phase, without_numbers(server.reason or "")), self._tick_s()
        if now_s - told.get(what, -AGAIN_S) < AGAIN_S:
            return False
        told[what] = now_s
        return True
