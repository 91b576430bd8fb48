"""Where a worker sits: one of two held sockets, so that a successor can start while the old one still serves.

Rule: two processes never accept on the same socket. A restart takes the seat it had, so that what waits in
its queue is answered; a renewal takes the other. The guard holds both, bound when first needed.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable

import anyio

from omnimind.errors import FleetError
from omnimind.orchestrator import instances
from omnimind.orchestrator.exits import Cause
from omnimind.orchestrator.guardlink import GuardLink, Listener
from omnimind.orchestrator.instances import House, Instance, StartFailed, Worker
from omnimind.orchestrator.logs import files
from omnimind.orchestrator.ports import bind_path
from omnimind.orchestrator.waiting import first_of
from omnimind.settings import ServerSettings

SEATS = ("a", "b")


class Seats:
    """The source of one built-in server's workers. `told` returns when the gateway knows what it was told."""

    def __init__(
        self,
        house: House,
        guard: GuardLink,
        server: ServerSettings,
        log: files.LogFile,
        told: Callable[[], Awaitable[None]],
    ) -> None:
        self._server = server
        self._house = house
        self._guard = guard
        self._log = log
        self._told = told
        self._order = list(SEATS)
        self._held: dict[str, Listener] = {}
        self._sitting: dict[str, Worker] = {}
        self._turn = anyio.Lock()

    def configure(self, server: ServerSettings) -> None:
        """The next worker is started by this."""
        self._server = server

    async def launch(self) -> Instance:
        """A worker that answers, on a free seat. Raises StartFailed."""
        async with self._turn:
            seat = await self._free_seat()
            self._order.sort(key=lambda other: other != seat)
            try:
                listener = await self._listener(seat)
            except FleetError as refused:
                raise StartFailed(Cause(f"{refused.what}: {refused.where}")) from refused
            worker = await instances.launch_worker(
                self._house, self._server, self._log, listener.descriptor, str(listener.address)
            )
            self._sitting[seat] = worker
            return worker

    async def retire(self, old: Instance, patience_s: float) -> None:
        """SIGTERM once the gateway knows better: the worker refuses new calls as not started, finishes its own."""
        await self._told()
        await old.end(patience_s)

    async def leave(self) -> None:
        """Give the sockets up; nobody sits there any more."""
        for seat, listener in self._held.items():
            await self._guard.release(self._name(seat))
            os.close(listener.descriptor)
        self._held.clear()

    async def _free_seat(self) -> str:
        """The first seat whose last worker has ended; waits for one if need be."""
        while True:
            for seat in self._order:
                if seat not in self._sitting or self._sitting[seat].child.status is not None:
                    return seat
            await first_of(*(worker.child.exited for worker in self._sitting.values()))

    async def _listener(self, seat: str) -> Listener:
        if seat not in self._held:
            suffix = "" if seat == SEATS[0] else f".{seat}"
            path = self._house.state_dir / "run" / f"{self._server.name}{suffix}.sock"
            self._held[seat] = await bind_path(self._guard, self._name(seat), path)
        return self._held[seat]

    def _name(self, seat: str) -> str:
        return f"worker/{self._server.name}/{seat}"
