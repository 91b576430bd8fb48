"""The fast tier, seen from the worker: for each principal a host of its own, started at first use and kept warm.

A host and the interpreter beneath it serve one principal and end after ten idle minutes; more than four hosts end the
one that has been idle longest. A host that was used a moment ago gives way only to who asks for this tier: with more
principals than hosts, all would else start hosts for each other to end. A call that is cancelled or over its time takes
its host with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import anyio
import anyio.to_thread

from omnimind.servers.problem import Problem
from omnimind.servers.python import scratch, subset
from omnimind.servers.python.jail import Code, Jail, Job, Limits
from omnimind.servers.python.jail.inmate import Captured, Inmate

HOSTS: Final = 4
_ADDRESS_SPACE: Final = 64 * 1024 * 1024 * 1024
"""The interpreter counts its own memory exactly; what it reserves and never touches is no concern."""
_LATE_S: Final = 1.0
RESTED_S: Final = 10.0
"""So long a host must have been idle to make room for one that is only begun for a later call."""


@dataclass(slots=True)
class _Host:
    principal: str
    inmate: Inmate
    folder: Path
    used: float
    busy: bool = False


class FastTier:
    """The hosts of one server."""

    def __init__(self, jail: Jail, folders: scratch.Scratch, idle_s: float) -> None:
        self._jail = jail
        self._folders = folders
        self._idle_s = idle_s
        self._hosts: list[_Host] = []
        self._ending: set[asyncio.Task[None]] = set()

    async def begin(self, principal: str) -> None:
        """Have a host for this principal started, if there is room; returns before it is ready."""
        if not any(host.principal == principal for host in self._hosts):
            longest = self._longest_idle()
            rested_s = 0.0 if longest is None else time.monotonic() - longest.used
            if len(self._hosts) < HOSTS or rested_s >= RESTED_S:
                await self._start(principal)

    def idle(self, principal: str) -> bool:
        """Whether a host of this principal waits for work."""
        return any(host.principal == principal and not host.busy for host in self._hosts)

    async def run(self, principal: str, source: str, limits: Limits) -> dict[str, Any] | None:
        """What it says to this source: `{value, error, stdout, stderr}`; None if it died or took too long."""
        host = next((one for one in self._hosts if one.principal == principal and not one.busy), None)
        if host is None:
            host = await self._start(principal)
        host.busy = True
        answer: Any = None
        asked = {
            "source": source,
            "wall_s": limits.wall_s,
            "memory_bytes": limits.memory_bytes,
            "output_bytes": limits.output_bytes,
        }
        try:
            with (
                anyio.move_on_after(limits.wall_s + _LATE_S),
                contextlib.suppress(BrokenPipeError),
            ):
                await host.inmate.ask(asked)
                answer = await host.inmate.answer(Captured(4096), Captured(4096))
        finally:
            host.busy = False
            host.used = time.monotonic()
            if not isinstance(answer, dict) or "stdout" not in answer:
                with anyio.CancelScope(shield=True):
                    await self._end(host)
                self._jail.mend()
        self._tidy_later()
        return answer if isinstance(answer, dict) and "stdout" in answer else None

    async def _start(self, principal: str) -> _Host:
        program = subset.monty()
        if program is None:
            raise Problem(
                "the fast tier is not installed; its operator can add it with `pip install pydantic-monty`. "
                "Use engine='jail'"
            )
        while len(self._hosts) >= HOSTS and (longest := self._longest_idle()) is not None:
            await self._end(longest)  # looked for anew each time: another may have got work meanwhile
        if len(self._hosts) >= HOSTS:
            raise Problem(
                f"{HOSTS} pieces of code run in the fast tier already; try again, or use engine='jail'"
            )
        folder = await anyio.to_thread.run_sync(self._folders.new, principal, "fast-")
        limits = Limits(memory_bytes=_ADDRESS_SPACE)
        inmate = await self._jail.admit(Job(Code(""), folder, limits=limits), keep=True, fast=program)
        host = _Host(principal, inmate, folder, time.monotonic())
        self._hosts.append(host)
        return host

    def _longest_idle(self) -> _Host | None:
        return min((host for host in self._hosts if not host.busy), key=lambda host: host.used, default=None)

    async def _end(self, host: _Host) -> None:
        if host in self._hosts:
            self._hosts.remove(host)
            await host.inmate.kill()
            host.inmate.close()
            self._folders.discard(host.folder)

    def _tidy_later(self) -> None:
        loop = asyncio.get_running_loop()

        async def tidy() -> None:
            for host in list(self._hosts):
                if not host.busy and time.monotonic() - host.used >= self._idle_s:
                    await self._end(host)

        def look() -> None:
            task = loop.create_task(tidy())
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

        loop.call_later(self._idle_s + 1.0, look)
