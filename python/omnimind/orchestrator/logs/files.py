"""One log a server, over all its processes: `logs/<name>.log`, JSON lines with time, server and pid.

Rules: reading a child's output never waits for anything, so the child never blocks on it, and it never keeps the
loop from its other work; what is written is limited (`intake`), folded (`repeats`), free of secrets (`redact`) and
bounded (`rotating`). The last lines stay in memory for `status` and for the reason of an end; nothing else does:
the files answer `omnimind logs` as fast as a ring in memory would, and survive.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio

from omnimind.logfiles import segments
from omnimind.logfiles.redact import Redactor, secrets_of
from omnimind.logfiles.segments import Removed
from omnimind.orchestrator.logs.intake import LINE_BYTES, Allowance, Intake
from omnimind.orchestrator.logs.repeats import Repeats
from omnimind.orchestrator.logs.rotating import Room, RotatingFile, wall_clock
from omnimind.settings import OrchestratorSettings, ServerSettings

__all__ = ["KEPT_LINES", "LINE_BYTES", "LogFile", "Logs", "pump", "wall_clock"]

KEPT_LINES = 20
NOTE = "omnimind: "
"""How lines begin that are ours, not the process's."""
LINES_PER_S = 50
AGE_S = 7 * 24 * 3600.0
FLOOD_PAUSE_S = 0.004
"""Between two looks at a process that floods: its pipe holds what it writes meanwhile."""
QUIET_S = 1.0
"""A flood that paused so long is over."""
_CHUNK = 64 * 1024
_REST_CHUNKS = 16
_FLOOD_PIPE = 256 * 1024
_F_SETPIPE_SZ = 1031


class LogFile:
    """The log of one server."""

    def __init__(
        self,
        folder: Path,
        name: str,
        limit_bytes: int,
        segments: int,
        *,
        age_s: float = AGE_S,
        lines_per_s: float = LINES_PER_S,
        redactor: Redactor | None = None,
        wall: Callable[[], datetime] = wall_clock,
        tick_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._wall = wall
        self._tick_s = tick_s
        self._redactor = redactor or Redactor()
        self._allowance = Allowance(lines_per_s, tick_s)
        self._repeats = Repeats(tick_s)
        self._words: deque[tuple[int, str]] = deque(maxlen=KEPT_LINES)
        room = Room(limit_bytes, segments, age_s)
        self.file = RotatingFile(folder / f"{name}.log", room, wall, self._loss)

    @property
    def last_lines(self) -> list[str]:
        """What its processes said last."""
        return [line for _, line in self._words]

    def words_of(self, pid: int) -> list[str]:
        """What this process said last."""
        return [line for whose, line in self._words if whose == pid]

    def write(self, pid: int, line: str) -> None:
        """Append one line of ours or of a process, without limit."""
        self.keep(pid, self._redactor.line(line)[:LINE_BYTES], write=True)

    def note(self, pid: int, text: str) -> None:
        """Append something that we say about a process."""
        self.write(pid, NOTE + text)

    def keep(self, pid: int, line: str, *, write: bool) -> None:
        """A clean line: remember it, and write it if told so."""
        if line.strip() and not line.startswith(NOTE):
            self._words.append((pid, line))
        if write:
            self.file.append(self._record(pid, line))

    def intake(self, pid: int) -> Intake:
        """Where the output of a new process goes."""
        life = self._repeats.life(pid)
        return Intake(self, pid, self._allowance, self._redactor, life, self._tick_s)

    def reconfigure(self, room: Room, lines_per_s: float, redactor: Redactor) -> None:
        """From the next process on."""
        self.file.room = room
        self._redactor = redactor
        if lines_per_s != self._allowance.lines_per_s:
            self._allowance = Allowance(lines_per_s, self._tick_s)

    def close(self) -> None:
        """Close the file; the next line opens it again."""
        self.file.close()

    def _record(self, pid: int, line: str) -> bytes:
        moment = self._wall().isoformat(timespec="milliseconds")
        entry = {"time": moment, "server": self._name, "pid": pid, "line": line}
        return (json.dumps(entry, ensure_ascii=False) + "\n").encode("utf-8", "replace")

    def _loss(self, lines: int, why: str) -> bytes:
        return self._record(os.getpid(), f"{NOTE}{lines} lines lost: {why}")


class Logs:
    """All logs of one fleet: made here, kept in bounds, emptied when the operator says so."""

    def __init__(
        self,
        folder: Path,
        settings: OrchestratorSettings,
        wall: Callable[[], datetime] = wall_clock,
        tick_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = folder
        self._settings = settings
        self.wall = wall
        self.tick_s = tick_s
        self._logs: dict[str, LogFile] = {}
        self._more: list[RotatingFile] = []

    @property
    def room(self) -> Room:
        """How much is kept of one log."""
        kept = self._settings
        return Room(kept.log_bytes, kept.log_files, kept.log_age_s)

    def of(self, name: str, secrets: Iterable[str] = ()) -> LogFile:
        """The log of a process of the fleet; always the same one, with what is secret now."""
        known, kept = self._logs.get(name), self._settings
        if known is None:
            known = self._logs[name] = LogFile(
                self.folder,
                name,
                kept.log_bytes,
                kept.log_files,
                age_s=kept.log_age_s,
                lines_per_s=kept.log_lines_per_s,
                redactor=Redactor(secrets),
                wall=self.wall,
                tick_s=self.tick_s,
            )
        else:
            known.reconfigure(self.room, kept.log_lines_per_s, Redactor(secrets))
        return known

    def of_server(self, server: ServerSettings) -> LogFile:
        """The log of a server, without what its configuration gave it in confidence."""
        return self.of(server.name, secrets_of(server))

    def configure(self, settings: OrchestratorSettings) -> None:
        """What the file says now; each log follows when it is asked for again."""
        self._settings = settings

    def adopt(self, file: RotatingFile) -> None:
        """Keep one more file in bounds, and empty it with the rest."""
        self._more.append(file)

    def tend(self) -> None:
        """What age asks for; to be called now and then."""
        for file in self._files():
            file.tend()

    def reset(self, name: str | None = None) -> list[Removed]:
        """Remove what was logged so far, of one server or of all, those that are no more included."""
        if name is not None:
            return [self._logs[name].file.remove()] if name in self._logs else []
        removed = [file.remove() for file in self._files()]
        removed += segments.remove(self.folder)
        return [gone for gone in removed if gone.files]

    def trouble(self) -> dict[str, Any] | None:
        """Lines that could not be written, and why, while that is still so or until it is known."""
        lost = {file.path.stem: file for file in self._files() if file.lost}
        if not lost:
            return None
        why = next((file.why for file in lost.values() if file.why), None)
        return {"lost_lines": sum(file.lost for file in lost.values()), "why": why, "logs": sorted(lost)}

    def _files(self) -> Sequence[RotatingFile]:
        return [*(log.file for log in self._logs.values()), *self._more]


async def pump(descriptor: int, log: LogFile, pid: int) -> None:
    """Copy a pipe into the log, line by line, until every writer is gone; closes the descriptor."""
    intake = log.intake(pid)
    widened = False
    try:
        os.set_blocking(descriptor, False)
        while True:
            with anyio.move_on_after(QUIET_S if intake.flooding else float("inf")) as waiting:
                await anyio.wait_readable(descriptor)
            if waiting.cancelled_caught:
                intake.pause()
                continue
            try:
                chunk = os.read(descriptor, _FLOOD_PIPE if widened else _CHUNK)
            except BlockingIOError:
                continue
            if not chunk:
                return
            intake.feed(chunk)
            if intake.flooding:
                widened = widened or _widen(descriptor)
                await anyio.sleep(FLOOD_PAUSE_S)
    finally:
        with contextlib.suppress(OSError):  # whoever was cancelled has last words too
            for _ in range(_REST_CHUNKS):
                if not (chunk := os.read(descriptor, _CHUNK)):
                    break
                intake.feed(chunk)
        intake.end()
        os.close(descriptor)


def _widen(descriptor: int) -> bool:
    """Room for what comes during a pause; where the system grants none, the process waits a little."""
    import fcntl

    try:
        fcntl.fcntl(descriptor, _F_SETPIPE_SZ, _FLOOD_PIPE)
    except OSError:
        return False
    return True
