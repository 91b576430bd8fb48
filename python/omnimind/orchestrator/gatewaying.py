"""The gateway process: started first, restarted at once when it dies, replaced on request without a failed call.

Rules. Its listening sockets are the guard's and outlive it; each process has an epoch of its own. A dead
gateway takes nothing with it: servers stay, and pipes are handed to the next one on request. It is never
parked, because without it nothing is reachable: it is started again after a growing pause for as long as it
takes. A planned restart starts the next one first; the old one stops accepting, ends what it has, and keeps
its pipes until it is gone, since two readers of one pipe would lose answers. While two live, neither answers
from memory: a change that one carries is not seen by the other.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import anyio
from anyio.abc import TaskGroup

from omnimind.linux import seqpacket
from omnimind.linux.packets import Message
from omnimind.orchestrator import exits, spawn
from omnimind.orchestrator.link import Link
from omnimind.orchestrator.logs import files
from omnimind.orchestrator.processes import Child, Family
from omnimind.orchestrator.waiting import first_of

UP_S = 15.0
STEADY_S = 10.0
LONGEST_PAUSE_S = 5.0
"""Before the next start of a gateway that did not come up."""
SERVED_PAUSE_S = 0.3
"""Before the next start of one that did: nothing is reachable meanwhile."""
DRAIN_S = 10.0
"""How long a gateway that ends with the fleet may take."""
HAND_OVER_S = 30.0
"""How long one that has a successor may take."""
ANSWER_S = 2.0
_TRACES = "OTEL_"
"""Variables for the gateway alone: where traces go, and with which secrets."""
_FIRST_EPOCHS = 2**20
"""Each orchestrator counts from a place of its own: a session's id names the epoch that made it, and outlives
the orchestrator. Ids have room for twice as many."""


class Fleet(Protocol):
    """What a gateway process is told, and who hears what it says."""

    def first_message(self, epoch: int) -> tuple[Mapping[str, Any], Sequence[int]]:
        """The start message and the listening sockets it names."""

    def server_messages(self) -> list[Mapping[str, Any]]:
        """The state of every server."""

    async def heard(self, message: Message, epoch: int) -> None:
        """A message of the gateway process of this epoch."""

    def gateway_up(self, epoch: int) -> None:
        """A gateway process serves."""

    async def gateway_gone(self, epoch: int, planned: bool) -> None:
        """A gateway process ended."""


class Process:
    """One gateway process, from its start to its end."""

    def __init__(self, epoch: int, child: Child, link: Link, output: int) -> None:
        self.epoch = epoch
        self.child = child
        self.link = link
        self.output = output
        self.up = anyio.Event()
        self.leaving = False
        self.ended = anyio.Event()
        self.asked: dict[int, anyio.Event] = {}
        self.answers: dict[int, Message] = {}

    async def came_up(self) -> bool:
        """Wait until it accepts; False if it ended, or took too long."""
        with anyio.move_on_after(UP_S):
            await first_of(self.up, self.ended)
        return self.up.is_set() and not self.ended.is_set()


class Gateway:
    """The gateway over all its processes: the one that serves, and those that are still being let go."""

    def __init__(
        self, family: Family, log: files.LogFile, fleet: Fleet, environ: Mapping[str, str], module: str
    ) -> None:
        self._family = family
        self._log = log
        self._fleet = fleet
        self._environ = environ
        self._module = module
        self._first = 1 + random.randrange(_FIRST_EPOCHS)  # noqa: S311 - tells apart, protects nothing
        self._epochs = itertools.count(self._first)
        self._asked = itertools.count(1)
        self._living: dict[int, Process] = {}
        self._current: Process | None = None
        self._successions = anyio.Lock()
        self._tasks: TaskGroup | None = None
        self._stopping = False
        self._hurry = anyio.Event()
        self._succeeded = anyio.Event()
        self.epoch = 0
        self.deaths = 0
        self.state = "stopped"
        self.reason: str | None = None
        self.up = anyio.Event()

    @property
    def pid(self) -> int | None:
        """The process that serves now."""
        return None if self._current is None else self._current.child.pid

    @property
    def restarts(self) -> int:
        """Processes after the first."""
        return max(0, self.epoch - self._first)

    # --- talking to it

    def tell(self, message: Mapping[str, Any], descriptors: Sequence[int] = ()) -> None:
        """Pass a message on to every process; dropped while none runs: the next one is told everything."""
        for process in self._living.values():
            process.link.tell(message, descriptors)

    def tell_one(
        self, epoch: int | None, message: Mapping[str, Any], descriptors: Sequence[int] = ()
    ) -> bool:
        """Pass a message on to the process of this epoch; False if it is gone."""
        process = self._living.get(epoch or 0)
        if process is not None:
            process.link.tell(message, descriptors)
        return process is not None

    def lives(self, epoch: int | None) -> bool:
        """True while the process of this epoch runs."""
        return epoch in self._living

    def is_leaving(self, epoch: int) -> bool:
        """True for one that only finishes what it has."""
        process = self._living.get(epoch)
        return process is not None and process.leaving

    async def ended(self, epoch: int) -> None:
        """Wait until the process of this epoch is gone."""
        process = self._living.get(epoch)
        if process is not None:
            await process.ended.wait()

    async def stats(self) -> Message | None:
        """The counters of the process that serves; None if it does not answer."""
        return await self.ask({"t": "stats"}, ANSWER_S)

    async def ask(self, question: Mapping[str, Any], patience_s: float) -> Message | None:
        """What the process that serves answers; None if it does not."""
        process = self._current
        if process is None:
            return None
        number = next(self._asked)
        process.asked[number] = anyio.Event()
        process.link.tell({**question, "request": number})
        with anyio.move_on_after(patience_s):
            await first_of(process.asked[number], process.ended)
        del process.asked[number]
        return process.answers.pop(number, None)

    async def caught_up(self) -> None:
        """Wait until the gateway has heard all it was told so far: it answers in order, so its answer to
        one more question says so. One that dies meanwhile, or is slow, is not waited for."""
        await self.stats()

    # --- its life

    async def run(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Keep a gateway until `drain`."""
        quick_deaths = 0
        async with anyio.create_task_group() as self._tasks:
            while not self._stopping:
                started_s, was_up = clock(), False
                try:
                    was_up = await self._serve()
                except OSError as fault:
                    self.reason = f"the system refused a process: {fault.strerror}"
                if self._stopping:
                    return
                self.deaths += 1
                quick_deaths = 1 if clock() - started_s >= STEADY_S else quick_deaths + 1
                longest_s = SERVED_PAUSE_S if was_up else LONGEST_PAUSE_S
                pause_s = 0.0 if quick_deaths == 1 else min(longest_s, 0.02 * 2.0**quick_deaths)
                self.state = "backoff"
                await anyio.sleep(pause_s * (0.5 + random.random() / 2))  # noqa: S311

    async def _serve(self) -> bool:
        """Start a process and follow it, and those that succeed it, to their end; True if one came up."""
        process = self._current = self._start()
        self.epoch, self.state = process.epoch, "starting"
        if not await process.came_up():
            process.child.signal(signal.SIGKILL)
            await process.ended.wait()
            self._current = None
            return False
        self._now_serves(process)
        while self._current is not None:
            serving, self._succeeded = self._current, anyio.Event()
            await first_of(serving.ended, self._succeeded)
            if serving is self._current:
                self._current, self.state, self.up = None, "stopped", anyio.Event()
        return True

    def _now_serves(self, process: Process) -> None:
        self._current, self.epoch, self.state = process, process.epoch, "ready"
        self.up.set()

    async def renew(self) -> bool:
        """Start the next process, and let the old one finish what it has; False if the old one was kept."""
        async with self._successions:
            old = self._current
            if self._stopping or old is None or not self.up.is_set():
                return False
            old.link.tell({"t": "beside"})
            await self.caught_up()
            try:
                fresh = self._start()
            except OSError as fault:
                self.reason = f"the system refused a process: {fault.strerror}"
                old.link.tell({"t": "alone"})
                return False
            if not await fresh.came_up() or self._current is not old or self._stopping:
                fresh.leaving = True
                fresh.child.signal(signal.SIGKILL)
                return False
            self._now_serves(fresh)
            self._succeeded.set()
            await self._let_go(old, HAND_OVER_S)
            return True

    async def _let_go(self, process: Process, patience_s: float) -> None:
        process.leaving = True
        process.link.tell({"t": "drain", "timeout_ms": int(patience_s * 1000)})
        with anyio.move_on_after(patience_s + 1.0):
            await first_of(process.ended, self._hurry)
        await self._family.end(process.child, 0.2)

    async def drain(self) -> None:
        """Let what is in flight finish, then end the process."""
        self._stopping = True
        process = self._current
        if process is not None:
            self.state = "draining"
            await self._let_go(process, DRAIN_S)

    def hurry(self) -> None:
        """Stop waiting for what is in flight."""
        self._hurry.set()

    # --- one process

    def _start(self) -> Process:
        """A new process that is told everything. Raises OSError."""
        if self._tasks is None:
            raise RuntimeError("the gateway does not run")
        ours, theirs = seqpacket.pair()
        read, write = os.pipe()
        try:
            with theirs:
                arguments = ["--link", str(theirs.fileno()), "--parent", str(os.getpid())]
                pid = spawn.spawn_module(
                    self._module,
                    arguments,
                    inherit=[theirs.fileno()],
                    output=write,
                    environ=self._environ,
                    also=_TRACES,
                )
        except OSError:
            os.close(read)
            ours.close()
            raise
        finally:
            os.close(write)
        process = Process(next(self._epochs), self._family.adopt(pid), Link(ours), read)
        beside = bool(self._living)
        self._living[process.epoch] = process
        message, listeners = self._fleet.first_message(process.epoch)
        process.link.tell({**message, "beside": beside}, listeners)
        for state in self._fleet.server_messages():
            process.link.tell(state)
        self._tasks.start_soon(self._follow, process)
        return process

    async def _follow(self, process: Process) -> None:
        """Carry one process's output and messages until it is gone."""
        async with anyio.create_task_group() as group:
            group.start_soon(files.pump, process.output, self._log, process.child.pid)
            group.start_soon(process.link.run)
            group.start_soon(self._listen, process)
            status = await process.child.wait()
            del self._living[process.epoch]
            if len(self._living) == 1:
                self.tell({"t": "alone"})
            process.ended.set()
            process.link.close()
            group.cancel_scope.cancel()
        if not self._stopping and not process.leaving:
            self.reason = str(exits.classify(status, self._log.words_of(process.child.pid)))
        await self._fleet.gateway_gone(process.epoch, process.leaving)

    async def _listen(self, process: Process) -> None:
        while True:
            try:
                heard = await process.link.hear()
            except OSError as fault:
                self._log.write(
                    process.child.pid, f"omnimind: the gateway is ended, its link is broken: {fault}"
                )
                heard = None
            if heard is None:
                process.child.signal(signal.SIGKILL)  # without its link it is of no use
                return
            message, descriptors = heard
            seqpacket.close_all(descriptors)
            if message.get("t") == "up":
                process.up.set()
                self._fleet.gateway_up(process.epoch)
            elif message.get("t") in ("stats", "cache"):
                number = int(message.get("request", 0))
                if number in process.asked:
                    process.answers[number] = message
                    process.asked[number].set()
            else:
                await self._fleet.heard(message, process.epoch)
