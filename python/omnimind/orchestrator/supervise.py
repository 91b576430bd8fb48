"""One server, kept as its life cycle says: performs the table's actions and feeds it what happens.

Rule: at most one life (process) of a server at a time, and each life reports its end exactly once. Whatever
cancels a life, the process and all it left is gone before the end is reported. Nothing here can raise into
another server's task.
"""

from __future__ import annotations

import os
import random
import time
import traceback
from collections.abc import Callable

import anyio

from omnimind.orchestrator import lifecycle, logs
from omnimind.orchestrator.exits import Cause
from omnimind.orchestrator.instances import ABORT_GRACE_S, Instance, Launch, StartFailed
from omnimind.orchestrator.lifecycle import Action, Event, Phase, Policy, State
from omnimind.orchestrator.negotiate import NotReady
from omnimind.settings import ServerSettings

CHECK_S = 5.0


class Server:
    """A supervised server. `launch` is None for one that has no process of ours."""

    def __init__(
        self,
        settings: ServerSettings,
        log: logs.LogFile,
        policy: Policy,
        launch: Launch | None,
        changed: Callable[[Server], None],
        *,
        start_timeout_s: float,
        stop_timeout_s: float,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.settings = settings
        self.log = log
        self.state = State()
        self.reason: str | None = None
        self.instance: Instance | None = None
        self.started_s = self.ready_s = 0.0
        self._policy = policy
        self._launch = launch
        self._changed = changed
        self._start_timeout_s = start_timeout_s
        self._stop_timeout_s = stop_timeout_s
        self._clock = clock
        self._chance = chance
        self._life: anyio.CancelScope | None = None
        self._verdict: Cause | None = None
        self._to_do: list[Action] = []
        self._stirred = anyio.Event()
        self._moved = anyio.Event()

    @property
    def phase(self) -> Phase:
        """Where it stands."""
        return self.state.phase

    @property
    def pid(self) -> int | None:
        """Its process, while it is ready."""
        return self.instance.child.pid if self.instance is not None else None

    def retry_after_s(self) -> float | None:
        """Seconds until it is started again by itself."""
        return lifecycle.retry_after_s(self.state, self._clock())

    def uptime_s(self) -> float | None:
        """Seconds since it became ready."""
        since_s = self.state.ready_since_s
        return None if since_s is None else self._clock() - since_s

    def post(self, event: Event, cause: Cause | None = None) -> None:
        """Something happened: step, remember why, and let `run` act."""
        before = self.state
        self.state, actions = lifecycle.step(before, event, self._clock(), self._policy, self._chance)
        if cause is not None:
            self.reason = cause.reason
        elif self.phase in (Phase.READY, Phase.STOPPED):
            self.reason = None
        self._to_do += actions
        if self.state != before:
            self._stirred.set()
        if self.phase is not before.phase or cause is not None:
            self._moved.set()
            self._moved = anyio.Event()
            self._changed(self)

    async def moved(self) -> None:
        """Wait for the next change of phase."""
        await self._moved.wait()

    async def settled(self) -> None:
        """Wait until a start has come to something: ready, or failed at least once."""
        while self.phase is Phase.STARTING and not self.state.failures:
            await self.moved()

    async def at_rest(self) -> None:
        """Wait until nothing more happens by itself at once: ready, parked or stopped."""
        while self.phase in (Phase.STARTING, Phase.BACKOFF, Phase.DRAINING):
            await self.moved()

    async def run(self) -> None:
        """Perform what the table asks for, for ever."""
        async with anyio.create_task_group() as group:
            while True:
                actions, self._to_do = self._to_do, []
                for action in actions:
                    if action is Action.SPAWN:
                        self._verdict, self._life = None, anyio.CancelScope()
                        group.start_soon(self._live, self._life)
                    elif action is Action.PROBE:
                        group.start_soon(self._probe)
                    else:
                        self._end_life(None)
                await self._wait()

    async def _wait(self) -> None:
        """Until something happens or a tick is due."""
        if not self._to_do:
            due_s = lifecycle.retry_after_s(self.state, self._clock())
            with anyio.move_on_after(due_s if due_s is not None else float("inf")):
                await self._stirred.wait()
        self._stirred = anyio.Event()
        self.post(Event.TICK)

    def _end_life(self, verdict: Cause | None) -> None:
        self._verdict = verdict
        if self._life is not None:
            self._life.cancel()

    async def _live(self, life: anyio.CancelScope) -> None:
        """One life, from start to end."""
        event: Event = Event.ENDED
        cause: Cause | None = None
        with life:
            if self._launch is None:
                self.post(Event.ANSWERED)
                await anyio.sleep_forever()
            else:
                event, cause = await self._live_process(self._launch)
        self._life, self.instance = None, None
        if self._verdict is not None:
            event, cause = Event.FAILED, self._verdict
        self.post(event, cause)

    async def _live_process(self, launch: Launch) -> tuple[Event, Cause]:
        self.started_s = self._clock()
        try:
            with anyio.fail_after(self._start_timeout_s):
                instance = await launch()
        except StartFailed as failed:
            return (Event.HOPELESS if failed.cause.hopeless else Event.FAILED), failed.cause
        except TimeoutError:
            return Event.FAILED, Cause(f"did not become ready within {self._start_timeout_s:g} s")
        except Exception as fault:
            # One server's trouble, even if it is a fault of ours, must not become everybody's.
            for line in traceback.format_exception(fault):
                self.log.write(os.getpid(), line.rstrip())
            return Event.FAILED, Cause(f"internal error: {fault!r}")
        self.instance = instance
        self.ready_s = self._clock() - self.started_s
        try:
            self.post(Event.ANSWERED)
            cause = await instance.gone()
        finally:
            with anyio.CancelScope(shield=True):
                # One that does not answer is not asked politely for long.
                await instance.end(self._stop_timeout_s if self._verdict is None else ABORT_GRACE_S)
        return (Event.HOPELESS if cause.hopeless else Event.FAILED), cause

    async def _probe(self) -> None:
        """Ask a doubted server again; one that does not answer is ended."""
        asked = self.instance
        if asked is None:
            self.post(Event.ANSWERED)
            return
        why = f"did not answer within {CHECK_S:g} s"
        try:
            with anyio.fail_after(CHECK_S):
                await asked.check()
        except (TimeoutError, NotReady, OSError, EOFError) as fault:
            if self.instance is asked:
                self._end_life(Cause(str(fault) or why))
            return
        if self.instance is asked:
            self.post(Event.ANSWERED)
