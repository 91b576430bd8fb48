"""The orchestrator's end of the guard's link: ask for sockets and the lock, notice the guard's death.

JSON, because the guard is stdlib only; see `guard` for the messages. One question at a time, each with one
answer.
"""

from __future__ import annotations

import contextlib
import json
import socket
from dataclasses import dataclass

import anyio

from omnimind.linux import seqpacket
from omnimind.orchestrator.sockets import Address


class GuardGone(Exception):
    """The guard is dead; so is the fleet."""


class Taken(Exception):
    """The address cannot be had."""

    def __init__(self, errno: int, why: str) -> None:
        super().__init__(why)
        self.errno = errno


@dataclass(frozen=True, slots=True)
class Listener:
    """A duplicate of a socket that the guard holds."""

    descriptor: int
    address: Address


class GuardLink:
    """Questions to the guard."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._end = end
        self._turn = anyio.Lock()
        self._answers: list[tuple[dict[str, object], list[int]]] = []
        self._answered = anyio.Event()
        self.gone = anyio.Event()

    async def run(self) -> None:
        """Take in answers until the guard is gone."""
        while True:
            await anyio.wait_readable(self._end)
            try:
                packet = seqpacket.receive(self._end)
            except BlockingIOError:
                continue
            if packet is None:
                self.gone.set()
                self._answered.set()
                return
            self._answers.append((json.loads(packet[0]), packet[1]))
            self._answered.set()

    async def lock(self, path: str) -> dict[str, object]:
        """Lock the state folder; `{ok}` or `{ok: false, pid?, why?}`."""
        answer, _ = await self._ask({"t": "lock", "path": path})
        return answer

    async def listen(self, name: str, address: Address) -> Listener:
        """The listening socket of this name. Raises Taken."""
        wanted = address if isinstance(address, str) else list(address)
        answer, descriptors = await self._ask({"t": "listen", "name": name, "address": wanted})
        if answer["ok"] is not True:
            raise Taken(int(str(answer["errno"])), str(answer["why"]))
        bound = answer["address"]
        if isinstance(address, str) or not isinstance(bound, list):
            return Listener(descriptors[0], address)
        return Listener(descriptors[0], (str(bound[0]), int(bound[1])))

    async def release(self, name: str) -> None:
        """Give a socket up."""
        await self._ask({"t": "release", "name": name})

    def notify(self, *assignments: str) -> None:
        """Have the guard tell systemd, if there is one. Never waits and never fails."""
        with contextlib.suppress(OSError):
            self.say({"t": "notify", "text": "\n".join(assignments)})

    def say(self, message: dict[str, object]) -> None:
        """Tell the guard something that needs no answer."""
        seqpacket.send(self._end, json.dumps(message).encode())

    async def _ask(self, question: dict[str, object]) -> tuple[dict[str, object], list[int]]:
        async with self._turn:
            self.say(question)
            while not self._answers:
                self._answered = anyio.Event()
                await self._answered.wait()
                if self.gone.is_set():
                    raise GuardGone
            return self._answers.pop(0)
