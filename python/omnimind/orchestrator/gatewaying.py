"""The gateway process: started first, restarted at once when it dies, handed all it needs again.

Rules. Its listening sockets are the guard's and outlive it; each process has an epoch of its own. A dead
gateway takes nothing with it: servers stay, and pipes are handed to the next one on request. It is never
parked, because without it nothing is reachable: it is started again after a growing pause for as long as it
takes.
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

from omnimind.linux import seqpacket
from omnimind.linux.packets import Message
from omnimind.orchestrator import exits, logs, spawn
from omnimind.orchestrator.link import Link
from omnimind.orchestrator.processes import Child, Family

UP_S = 15.0
STEADY_S = 10.0
LONGEST_PAUSE_S = 5.0
"""Before the next start of a gateway that did not come up."""
SERVED_PAUSE_S = 0.3
"""Before the next start of one that did: nothing is reachable meanwhile."""
DRAIN_S = 10.0
CATCH_UP_S = 2.0


class Fleet(Protocol):
    """What a gateway process is told, and who hears what it says."""

    def first_message(self, epoch: int) -> tuple[Mapping[str, Any], Sequence[int]]:
        """The start message and the listening sockets it names."""

    def server_messages(self) -> list[Mapping[str, Any]]:
        """The state of every server."""

    async def heard(self, message: Message) -> None:
        """A message of the gateway."""

    async def gateway_gone(self) -> None:
        """A gateway process ended."""


class Gateway:
    """The gateway over all its processes."""

    def __init__(
        self, family: Family, log: logs.LogFile, fleet: Fleet, environ: Mapping[str, str], module: str
    ) -> None:
        self._family = family
        self._log = log
        self._fleet = fleet
        self._environ = environ
        self._module = module
        self._link: Link | None = None
        self._child: Child | None = None
        self._stopping = False
        self._was_up = False
        self._hurry = anyio.Event()
        self.epoch = 0
        self.state = "stopped"
        self.reason: str | None = None
        self.up = anyio.Event()
        self._asked = itertools.count(1)
        self._counted: dict[int, anyio.Event] = {}

    @property
    def pid(self) -> int | None:
        """The process that serves now."""
        return None if self._child is None else self._child.pid

    def tell(self, message: Mapping[str, Any], descriptors: Sequence[int] = ()) -> None:
        """Pass a message on; dropped while no gateway runs, because the next one is told everything."""
        if self._link is not None:
            self._link.tell(message, descriptors)

    async def caught_up(self) -> None:
        """Wait until the gateway has heard all it was told so far: it answers in order, so its answer to
        one more question says so. One that dies meanwhile, or is slow, is not waited for."""
        number = next(self._asked)
        self._counted[number] = anyio.Event()
        self.tell({"t": "stats", "request": number})
        with anyio.move_on_after(CATCH_UP_S):
            await self._counted[number].wait()
        del self._counted[number]

    async def run(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Keep a gateway until `drain`."""
        quick_deaths = 0
        while not self._stopping:
            started_s = clock()
            try:
                await self._live_once()
            except OSError as fault:
                self.reason = f"the system refused a process: {fault.strerror}"
            if self._stopping:
                return
            quick_deaths = 1 if clock() - started_s >= STEADY_S else quick_deaths + 1
            longest_s = SERVED_PAUSE_S if self._was_up else LONGEST_PAUSE_S
            pause_s = 0.0 if quick_deaths == 1 else min(longest_s, 0.02 * 2.0**quick_deaths)
            self.state = "backoff"
            await anyio.sleep(pause_s * (0.5 + random.random() / 2))  # noqa: S311

    async def drain(self) -> None:
        """Let what is in flight finish, then end the process."""
        self._stopping = True
        child = self._child
        if child is None:
            return
        self.state = "draining"
        self.tell({"t": "drain", "timeout_ms": int(DRAIN_S * 1000)})
        async with anyio.create_task_group() as group:

            async def until(event: anyio.Event) -> None:
                await event.wait()
                group.cancel_scope.cancel()

            group.start_soon(until, child.exited)
            group.start_soon(until, self._hurry)
            await anyio.sleep(DRAIN_S + 1.0)
            group.cancel_scope.cancel()
        await self._family.end(child, 0.2)

    def hurry(self) -> None:
        """Stop waiting for what is in flight."""
        self._hurry.set()

    async def _live_once(self) -> None:
        ours, theirs = seqpacket.pair()
        read, write = os.pipe()
        self.epoch += 1
        self.state = "starting"
        self._was_up = False
        with theirs:
            arguments = ["--link", str(theirs.fileno()), "--parent", str(os.getpid())]
            pid = spawn.spawn_module(
                self._module, arguments, inherit=[theirs.fileno()], output=write, environ=self._environ
            )
        os.close(write)
        child = self._family.adopt(pid)
        link = self._link = Link(ours)
        self._child = child
        message, listeners = self._fleet.first_message(self.epoch)
        link.tell(message, listeners)
        for state in self._fleet.server_messages():
            link.tell(state)
        async with anyio.create_task_group() as group:
            group.start_soon(logs.pump, read, self._log, pid)
            group.start_soon(link.run)
            group.start_soon(self._listen, link, child)
            group.start_soon(self._end_if_never_up, child)
            status = await child.wait()
            if not self._stopping:
                self.reason = exits.classify(status, list(self._log.last_lines)).reason
            self.up = anyio.Event()
            self._link, self._child, self.state = None, None, "stopped"
            link.close()
            group.cancel_scope.cancel()
        await self._fleet.gateway_gone()

    async def _listen(self, link: Link, child: Child) -> None:
        while True:
            try:
                heard = await link.hear()
            except OSError as fault:
                self._log.write(child.pid, f"omnimind: the gateway is ended, its link is broken: {fault}")
                heard = None
            if heard is None:
                child.signal(signal.SIGKILL)  # without its link it is of no use
                return
            message, descriptors = heard
            seqpacket.close_all(descriptors)
            if message.get("t") == "up":
                self.state, self._was_up = "ready", True
                self.up.set()
            elif message.get("t") == "stats":
                counted = self._counted.get(int(message.get("request", 0)))
                if counted is not None:
                    counted.set()
            else:
                await self._fleet.heard(message)

    async def _end_if_never_up(self, child: Child) -> None:
        with anyio.move_on_after(UP_S):
            await self.up.wait()
            return
        child.signal(signal.SIGKILL)
