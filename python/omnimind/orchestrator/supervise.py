"""One server, kept as its life cycle says: performs the table's actions and feeds it what happens.

Rules. One life of a server at a time, and each life reports its end exactly once. Within a life the process
may be renewed: the successor starts beside it, takes over when it answers, and only then is the old one let
go. Whatever cancels a life, the process and all it left is gone before the end is reported. Nothing here can
raise into another server's task.
"""

from __future__ import annotations

import os
import random
import time
import traceback
from collections.abc import Callable
from typing import Protocol

import anyio

from omnimind.orchestrator import exits, lifecycle, recycle
from omnimind.orchestrator.exits import Cause
from omnimind.orchestrator.instances import ABORT_GRACE_S, Instance, StartFailed
from omnimind.orchestrator.lifecycle import Action, Event, Phase, Policy, State
from omnimind.orchestrator.logs import files
from omnimind.orchestrator.negotiate import NotReady
from omnimind.settings import ServerSettings

CHECK_S = 5.0
LOOK_S = 1.0


class Source(Protocol):
    """Where a server's processes come from, and how one that has a successor goes."""

    async def launch(self) -> Instance:
        """A fresh one that answers, beside whatever runs. Raises StartFailed; then nothing of it is left."""

    async def retire(self, old: Instance, patience_s: float) -> None:
        """Let what `old` has under way finish, for so long at most, then end it. Nothing new reaches it."""


class _NoStart(Exception):
    """A start came to nothing."""

    def __init__(self, event: Event, cause: Cause) -> None:
        super().__init__(cause.reason)
        self.event = event
        self.cause = cause


class Server:
    """A supervised server. `source` is None for one that has no process of ours."""

    def __init__(
        self,
        settings: ServerSettings,
        log: files.LogFile,
        policy: Policy,
        source: Source | None,
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
        self.cause: Cause | None = None
        self.note: str | None = None
        self.instance: Instance | None = None
        self.ready_s = 0.0
        self._policy = policy
        self._source = source
        self._changed = changed
        self._start_timeout_s = start_timeout_s
        self._stop_timeout_s = stop_timeout_s
        self._clock = clock
        self._chance = chance
        self._life: anyio.CancelScope | None = None
        self._kept: anyio.CancelScope | None = None
        self._renewal: anyio.CancelScope | None = None
        self._retiring: set[anyio.CancelScope] = set()
        self._succeeded = anyio.Event()
        self._verdict: Cause | None = None
        self._to_do: list[Action] = []
        self._stirred = anyio.Event()
        self._moved = anyio.Event()

    @property
    def phase(self) -> Phase:
        """Where it stands."""
        return self.state.phase

    @property
    def has_process(self) -> bool:
        """False for one that runs elsewhere."""
        return self._source is not None

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
            self.cause, self.reason = cause, cause.reason
        elif self.phase in (Phase.READY, Phase.STOPPED):
            self.cause = self.reason = None
        self._to_do += actions
        if self.state != before:
            self._stirred.set()
        turned = before.phase, before.renewing, before.spawns
        if turned != (self.phase, self.state.renewing, self.state.spawns) or cause is not None:
            self._moved.set()
            self._moved = anyio.Event()
            self._changed(self)

    async def moved(self) -> None:
        """Wait for the next change of phase, or step of a renewal."""
        await self._moved.wait()

    async def settled(self) -> None:
        """Wait until a start has come to something: ready, or failed at least once."""
        while self.phase is Phase.STARTING and not self.state.failures:
            await self.moved()

    async def at_rest(self) -> None:
        """Wait until nothing more happens by itself at once: ready, parked or stopped."""
        while self.phase in (Phase.STARTING, Phase.BACKOFF, Phase.DRAINING):
            await self.moved()

    async def renew(self) -> bool:
        """Replace its process without failing a call; False if the one before still serves, or none does."""
        spawns = self.state.spawns
        self.post(Event.RENEW)
        while self.state.renewing or self.phase in (Phase.STARTING, Phase.BACKOFF, Phase.DRAINING):
            await self.moved()
        return self.phase in (Phase.READY, Phase.DEGRADED) and self.state.spawns > spawns

    def configure(self, settings: ServerSettings, policy: Policy) -> None:
        """These settings hold from now on; its source learns of them by itself."""
        self.settings, self._policy, self.note = settings, policy, None

    def dismiss(self) -> None:
        """It is kept no longer; to be called when it is stopped."""
        if self._kept is not None:
            self._kept.cancel()

    async def run(self) -> None:
        """Perform what the table asks for, for ever."""
        async with anyio.create_task_group() as group:
            self._kept = group.cancel_scope
            if self._source is not None:
                group.start_soon(self._look_after)
            while True:
                actions, self._to_do = self._to_do, []
                for action in actions:
                    if action is Action.SPAWN:
                        self._verdict, self._life = None, anyio.CancelScope()
                        group.start_soon(self._live, self._life)
                    elif action is Action.PROBE:
                        group.start_soon(self._probe)
                    elif action is Action.RENEW:
                        group.start_soon(self._renew)
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
            if self._source is None:
                self.post(Event.ANSWERED)
                await anyio.sleep_forever()
            else:
                event, cause = await self._live_process(self._source)
        self._life, self.instance = None, None
        if self._verdict is not None:
            event, cause = Event.FAILED, self._verdict
        self.post(event, cause)

    async def _live_process(self, source: Source) -> tuple[Event, Cause]:
        try:
            self.instance = await self._start(source)
        except _NoStart as failed:
            return failed.event, failed.cause
        try:
            self.post(Event.ANSWERED)
            cause = await self._until_gone()
        finally:
            with anyio.CancelScope(shield=True):
                await self._finish(self.instance)
        return (Event.HOPELESS if cause.hopeless else Event.FAILED), cause

    async def _start(self, source: Source) -> Instance:
        """A ready instance. Raises _NoStart."""
        started_s = self._clock()
        try:
            with anyio.fail_after(self._start_timeout_s):
                instance = await source.launch()
        except StartFailed as failed:
            event = Event.HOPELESS if failed.cause.hopeless else Event.FAILED
            raise _NoStart(event, failed.cause) from failed
        except TimeoutError:
            raise _NoStart(Event.FAILED, exits.too_slow(self._start_timeout_s)) from None
        except Exception as fault:
            # One server's trouble, even if it is a fault of ours, must not become everybody's.
            for line in traceback.format_exception(fault):
                self.log.write(os.getpid(), line.rstrip())
            raise _NoStart(Event.FAILED, exits.internal(fault)) from fault
        self.ready_s = self._clock() - started_s
        return instance

    async def _until_gone(self) -> Cause:
        """Wait for the end of the process that serves, whichever it is by then."""
        while (serving := self.instance) is not None:
            self._succeeded = anyio.Event()
            cause = await self._gone_or_succeeded(serving)
            if cause is not None and self.instance is serving:
                return cause
        return Cause("it has no process")

    async def _gone_or_succeeded(self, serving: Instance) -> Cause | None:
        """Why it ended, or None if a successor serves first."""
        causes: list[Cause] = []
        async with anyio.create_task_group() as group:

            async def watch() -> None:
                causes.append(await serving.gone())
                group.cancel_scope.cancel()

            group.start_soon(watch)
            await self._succeeded.wait()
            group.cancel_scope.cancel()
        return causes[0] if causes else None

    async def _finish(self, instance: Instance | None) -> None:
        """The end of a life: of its renewal, of its process, and at a stop of what is still being let go."""
        if self._renewal is not None:
            self._renewal.cancel()
        if self.phase is Phase.DRAINING:
            for scope in self._retiring:
                scope.cancel()
        if instance is None:
            return
        if self._verdict is not None or instance.child.status is not None:
            await instance.end(ABORT_GRACE_S)  # one that does not answer is not asked politely for long
        elif self._source is not None:
            await self._source.retire(instance, self._stop_timeout_s)

    async def _renew(self) -> None:
        """Start a successor; if it answers, it takes over and the old one is let go."""
        source, old = self._source, self.instance
        if source is None or old is None:
            self.post(Event.KEPT)
            return
        with anyio.CancelScope() as self._renewal:
            try:
                fresh = await self._start(source)
            except _NoStart as failed:
                self.note = f"could not be renewed: {failed.cause.reason}; the process before it still serves"
                self.log.write(os.getpid(), f"omnimind: {self.note}")
                self.post(Event.KEPT)
                return
            self.instance, self.note = fresh, None
            self._succeeded.set()
            self.post(Event.RENEWED)
        if not self._renewal.cancelled_caught:
            await self._let_go(source, old)

    async def _let_go(self, source: Source, old: Instance) -> None:
        with anyio.CancelScope() as scope:
            self._retiring.add(scope)
            try:
                await source.retire(old, self._stop_timeout_s)
            finally:
                self._retiring.discard(scope)
                with anyio.CancelScope(shield=True):
                    await old.end(ABORT_GRACE_S)

    async def _look_after(self) -> None:
        """Renew a process that has done its service; ask one that finishes nothing."""
        progress, last_s = recycle.Progress(), -recycle.PAUSE_S
        while True:
            await anyio.sleep(LOOK_S)
            instance, now_s = self.instance, self._clock()
            if instance is None or self.phase is not Phase.READY or self.state.renewing:
                continue
            if progress.stalled(instance.beat(), now_s):
                self.post(Event.DOUBTED)
                continue
            policy = self.settings.recycle
            memory_mb = instance.memory_mb() if policy.memory_mb is not None else None
            why = recycle.due(policy, self.uptime_s() or 0.0, instance.requests(), memory_mb)
            if why is not None and now_s - last_s >= recycle.PAUSE_S:
                last_s = now_s
                self.log.write(os.getpid(), f"omnimind: renewed, {why}")
                self.post(Event.RENEW)

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
                self._end_life(exits.no_answer(str(fault) or why))
            return
        if self.instance is asked:
            self.post(Event.ANSWERED)
