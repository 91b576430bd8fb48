"""Sessions: a jailed process that keeps its variables from call to call.

A session belongs to the principal that opened it; to anybody else it does not exist. Between calls its process is
stopped, so what a stranger's threads do then costs nothing. One that nobody uses for ten minutes is ended. A call
over its time is interrupted first, so that the variables survive if the code lets them; a cancelled call ends the
session with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import anyio
import anyio.to_thread

from omnimind.servers.problem import Problem
from omnimind.servers.python import scratch
from omnimind.servers.python.jail import Code, End, Jail, Job, Outcome
from omnimind.servers.python.jail.inmate import Captured, Inmate, OnOutput
from omnimind.servers.python.jail.job import Limits
from omnimind.servers.python.jail.keeper import Warm, watch_disk
from omnimind.servers.python.settings import Settings

KIND: Final = "session-"
_INTERRUPT_S: Final = 0.5
_WELCOME_S: Final = 20.0


@dataclass(slots=True)
class Session:
    """One kept process."""

    id: str
    principal: str
    inmate: Inmate
    folder: Path
    library: str | None
    used: float
    calls: int = 0
    busy: bool = False


class Sessions:
    """The sessions of one server."""

    def __init__(
        self,
        jail: Jail,
        folders: scratch.Scratch,
        settings: Settings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._jail = jail
        self._folders = folders
        self._settings = settings
        self._clock = clock
        self._sessions: dict[str, Session] = {}
        self._opening = 0
        self._closing: set[asyncio.Task[None]] = set()

    async def open(
        self, principal: str, library: str | None = None, warm: tuple[str, Warm] | None = None
    ) -> Session:
        """A new session that may import from `library` too. Raises Problem when there are too many."""
        await self.expire()
        own = len(self.of(principal))
        most = self._settings.sessions
        if own + self._opening >= most:
            raise Problem(f"you have {own} sessions, and {most} are allowed; close one with close_session")
        if len(self._sessions) + self._opening >= most * 4:
            raise Problem(f"{most * 4} sessions are open, which is the limit; try again when some are closed")
        self._opening += 1
        try:
            folder = await anyio.to_thread.run_sync(self._folders.new, principal, KIND)
            limits = self._settings.limits(None)
            read = () if library is None else (library,)
            inmate = await self._jail.admit(Job(Code(""), folder, read=read, limits=limits), warm, keep=True)
            await self._welcome(inmate, folder)
        finally:
            self._opening -= 1
        session = Session(secrets.token_hex(16), principal, inmate, folder, library, self._clock())
        self._sessions[session.id] = session
        inmate.order("stop")
        self._expire_later()
        return session

    async def _welcome(self, inmate: Inmate, folder: Path) -> None:
        """Wait until it has given everything up: before, nothing would end it with its zygote, were it stopped."""
        value: Any = None
        try:
            with anyio.move_on_after(_WELCOME_S):
                await inmate.ask({"hello": True})
                value = await inmate.answer(Captured(4096), Captured(4096))
        finally:
            if not isinstance(value, dict) or not value.get("ready"):
                with anyio.CancelScope(shield=True):
                    await inmate.kill()
                    inmate.close()
                    self._folders.discard(folder)
        if not isinstance(value, dict) or not value.get("ready"):
            self._jail.mend()
            why = (
                value.get("no_jail", "it gave no answer") if isinstance(value, dict) else "it gave no answer"
            )
            raise Problem(f"the session could not be started: {why}; try again")

    def find(self, principal: str, id: str) -> Session:
        """The principal's session. Raises Problem."""
        session = self._sessions.get(id)
        if session is None or session.principal != principal:
            raise Problem(
                f"you have no session {id!r}; it may have been idle for {self._settings.idle_s / 60:g} minutes, or "
                "was ended by a call over its time. Open one with open_session"
            )
        return session

    def of(self, principal: str) -> list[Session]:
        """The principal's sessions, the one used last first."""
        own = [session for session in self._sessions.values() if session.principal == principal]
        return sorted(own, key=lambda session: session.used, reverse=True)

    async def run(
        self, session: Session, asked: dict[str, Any], limits: Limits, on_output: OnOutput | None = None
    ) -> Outcome:
        """Run a cell in it. The session is gone if its process is."""
        if session.busy:
            raise Problem("this session is busy with another call; wait for that, or open another session")
        session.busy = True
        inmate, started = session.inmate, time.monotonic()
        out, err = Captured(limits.output_bytes), Captured(limits.output_bytes)
        try:
            inmate.order("go")
            with self._jail.place():
                value, chosen = await self._ask(session, asked, limits, out, err, on_output)
            if value is None:
                ended = await inmate.kill() if chosen is not None else await inmate.finish()
                await inmate.drained(out, err, on_output)
                end = chosen or ended.end()
                signal, code = ended.signal, ended.exit_code
            else:
                end, signal, code = chosen or "done", None, None
                inmate.order("stop")
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self.close(session)
            raise
        finally:
            session.busy = False
            session.used = self._clock()
            session.calls += 1
        if value is None:
            await self.close(session)
            if end == "lost":
                self._jail.mend()
        self._expire_later()
        seconds = round(time.monotonic() - started, 4)
        return Outcome(
            end, bytes(out.kept), bytes(err.kept), value, code, signal, seconds, out.dropped + err.dropped
        )

    async def _ask(
        self,
        session: Session,
        asked: dict[str, Any],
        limits: Limits,
        out: Captured,
        err: Captured,
        on_output: OnOutput | None,
    ) -> tuple[Any, End | None]:
        inmate = session.inmate
        value: Any = None
        chosen: list[End] = []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch_disk, session.folder, limits, chosen, tasks.cancel_scope)
            with contextlib.suppress(BrokenPipeError):
                with anyio.move_on_after(limits.wall_s) as given:
                    await inmate.ask(asked)
                    value = await inmate.answer(out, err, on_output)
                if given.cancelled_caught:
                    chosen.append("timeout")
                    inmate.order("interrupt")
                    with anyio.move_on_after(_INTERRUPT_S):
                        value = await inmate.answer(out, err, on_output)
            tasks.cancel_scope.cancel()
        return value if isinstance(value, dict) else None, chosen[0] if chosen else None

    async def close(self, session: Session) -> None:
        """End a session, with its files."""
        if self._sessions.pop(session.id, None) is None:
            return
        await session.inmate.kill()
        session.inmate.close()
        self._folders.discard(session.folder)

    async def expire(self) -> None:
        """End the sessions that nobody has used for too long."""
        for session in list(self._sessions.values()):
            if not session.busy and self._clock() - session.used > self._settings.idle_s:
                await self.close(session)

    def _expire_later(self) -> None:
        loop = asyncio.get_running_loop()

        def look() -> None:
            task = loop.create_task(self.expire())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

        loop.call_later(self._settings.idle_s + 1.0, look)
