"""A gateway asks for a child: which one it is handed, and when.

Rules. It names a server, a principal and an era, never a command. Two gateways never read one pipe, because
each would lose the other's answers. While a planned successor serves beside an old gateway, the successor
waits a moment for what the old one holds, and is then given a child apart; the old one, which only finishes
what it has, is given one apart at once. A child apart is let go when its reason is gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio
from anyio.abc import TaskGroup

from omnimind.linux.packets import Message
from omnimind.orchestrator.children import Children, TooManyStarts
from omnimind.orchestrator.exits import Cause
from omnimind.orchestrator.gatewaying import Gateway
from omnimind.orchestrator.instances import StartFailed, StdioChild
from omnimind.orchestrator.lifecycle import Event, Phase
from omnimind.orchestrator.supervise import Server

WANT_S = 30.0
"""Longest wait of a request for a child whose server is still starting."""
SOON_S = 5.0
"""A start that is further away than this is not waited for."""
HOLD_S = 3.0
"""How long a gateway waits for a child that the one before it still holds."""
APART_S = 30.0
"""How long a child apart may take to finish its calls."""
_UP = frozenset({Phase.READY, Phase.DEGRADED})
_ON_THE_WAY = frozenset({Phase.STARTING, Phase.BACKOFF})


class Wants:
    """Answers every gateway process that asks."""

    def __init__(
        self,
        servers: Mapping[str, Server],
        children: Mapping[str, Children],
        gateway: Gateway,
        stop_asked: anyio.Event,
        tasks: TaskGroup,
    ) -> None:
        self._servers = servers
        self._children = children
        self._gateway = gateway
        self._stop_asked = stop_asked
        self._tasks = tasks

    async def answer(self, want: Message, epoch: int) -> None:
        """Hand the gateway of this epoch the child that it wants, or say why there is none."""
        answer: dict[str, Any] = {"t": "child", "request": want["request"], "ok": False}
        pipes: list[int] = []
        server = self._servers.get(str(want.get("server")))
        try:
            child = await self._own_child(server, want, epoch)
        except (StartFailed, TooManyStarts) as refusal:
            retry_s = getattr(refusal, "retry_after_s", None) or (server.retry_after_s() if server else None)
            answer["reason"] = str(refusal)
            answer["state"] = server.phase.value if server else "stopped"
            answer["retry_after_ms"] = None if retry_s is None else int(retry_s * 1000) + 1
        else:
            agreed = child.negotiated
            negotiated = {"era": agreed.era, "version": agreed.version, "result": agreed.result}
            inherited = child.handed_to is not None and child.handed_to != epoch
            answer |= {"ok": True, "child": child.number, "negotiated": negotiated, "inherited": inherited}
            answer["leftover"], child.leftover = child.leftover, b""
            child.handed_to, pipes = epoch, [child.stdin, child.stdout]
        try:
            self._gateway.tell_one(epoch, answer, pipes)
        except OSError:  # its pipes are closed: it ended while the answer was made
            gone = {"ok": False, "reason": "it has just ended", "retry_after_ms": 1}
            self._gateway.tell_one(epoch, {"t": "child", "request": want["request"], **gone})

    async def _own_child(self, server: Server | None, want: Message, epoch: int) -> StdioChild:
        """A child that no other living gateway holds. Raises StartFailed or TooManyStarts."""
        child = await self._child_for(server, want)
        if self._is_elsewhere(child, epoch) and not self._gateway.is_leaving(epoch):
            with anyio.move_on_after(HOLD_S):
                while self._is_elsewhere(child, epoch):
                    await self._gateway.ended(child.handed_to or 0)
                    child = await self._child_for(server, want)
        if server is None or not self._is_elsewhere(child, epoch):
            return child
        holder = child.handed_to or 0
        apart = await self._child_for(server, want, apart=epoch)
        if apart.handed_to is None:
            self._tasks.start_soon(self._rejoin, server.settings.name, apart, holder)
        return apart

    def _is_elsewhere(self, child: StdioChild, epoch: int) -> bool:
        return child.handed_to not in (None, epoch) and self._gateway.lives(child.handed_to)

    async def _rejoin(self, name: str, apart: StdioChild, holder: int) -> None:
        """Let a child apart go once the gateway that held the other one is gone."""
        await self._gateway.ended(holder)
        children = self._children.get(name)
        if children is not None:
            await children.let_go(apart, APART_S)

    async def _child_for(self, server: Server | None, want: Message, apart: int | None = None) -> StdioChild:
        """The child that is wanted, after its server came up. Raises StartFailed or TooManyStarts."""
        if server is None or server.settings.name not in self._children:
            raise StartFailed(Cause("no such stdio server"))
        await self._come_up(server)
        if server.phase not in _UP:
            raise StartFailed(Cause(server.reason or f"it is {server.phase.value}"))
        session, capabilities = want.get("session"), want.get("capabilities")
        return await self._children[server.settings.name].want(
            str(want["principal"]),
            str(want.get("era", "any")),
            None if session is None else str(session),
            capabilities if isinstance(capabilities, dict) else None,
            apart,
        )

    async def _come_up(self, server: Server) -> None:
        if server.phase is Phase.PARKED and not self._stop_asked.is_set():
            server.post(Event.WAKE)
        with anyio.move_on_after(WANT_S):
            while server.phase in _ON_THE_WAY and (server.retry_after_s() or 0.0) < SOON_S:
                await server.moved()
