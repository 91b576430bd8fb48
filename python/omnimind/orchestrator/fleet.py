"""The fleet: every server, the gateway and what they ask of each other.

Rules. Whoever asks for a child names a server, a principal and an era, never a command. A server's trouble is
answered to those who ask for it and to nobody else. What the gateway is told is complete each time a new one
starts, so nothing that was lost with an old one matters.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

import anyio
from anyio.abc import TaskGroup

from omnimind import catalog, tokens
from omnimind.errors import FleetError, OmniMindError, closest
from omnimind.linux.packets import Message
from omnimind.orchestrator import instances, logs, status
from omnimind.orchestrator.children import Children, TooManyStarts
from omnimind.orchestrator.exits import Cause
from omnimind.orchestrator.forks import Zygote
from omnimind.orchestrator.gatewaying import Gateway
from omnimind.orchestrator.instances import House, Instance, StartFailed, StdioChild, Worker
from omnimind.orchestrator.lifecycle import Event, Phase, Policy
from omnimind.orchestrator.ports import Ports, authority
from omnimind.orchestrator.processes import Family
from omnimind.orchestrator.progress import Progress
from omnimind.orchestrator.snapshot import in_tier_order, snapshot
from omnimind.orchestrator.supervise import Server
from omnimind.settings import ServerSettings, Settings

WANT_S = 30.0
"""Longest wait of a request for a child whose server is still starting."""
_SOON_S = 5.0
_UP = frozenset({Phase.READY, Phase.DEGRADED})
_ON_THE_WAY = frozenset({Phase.STARTING, Phase.BACKOFF})


class Fleet:
    """All servers of one configuration."""

    def __init__(
        self,
        settings: Settings,
        version: str,
        ports: Ports,
        family: Family,
        zygote: Zygote,
        tasks: TaskGroup,
        progress: Progress,
        gateway_module: str,
        guard_pid: int,
    ) -> None:
        self.settings = settings
        self.ports = ports
        self.stop_asked = anyio.Event()
        self._version = version
        self._zygote = zygote
        self._tasks = tasks
        self._progress = progress
        self._guard_pid = guard_pid
        self._began_s = time.monotonic()
        self._snapshot = self._read_snapshot()
        self._house = House(family, zygote, tasks, settings.state_dir, os.environ, version)
        self._numbers = itertools.count(1)
        self._children: dict[str, Children] = {}
        self._news = anyio.Event()
        self.gateway = Gateway(family, self.log("gateway"), self, os.environ, gateway_module)
        self.servers = {server.name: self._supervised(server) for server in in_tier_order(settings)}

    # --- building

    def log(self, name: str) -> logs.LogFile:
        """The log file of a process."""
        kept = self.settings.orchestrator
        return logs.LogFile(self.settings.state_dir / "logs", name, kept.log_bytes, kept.log_files)

    def _supervised(self, settings: ServerSettings) -> Server:
        patience = self.settings.orchestrator
        policy = Policy(
            max_attempts=settings.restart.max_attempts,
            window_s=settings.restart.window_s,
            backoff_min_s=settings.restart.backoff_min_ms / 1000,
            backoff_max_s=settings.restart.backoff_max_ms / 1000,
            probe_s=patience.probe_ms / 1000,
        )
        log = self.log(settings.name)
        if settings.kind == "stdio":
            self._children[settings.name] = Children(
                self._house, settings, log, policy, self._numbers, self._child_gone, time.monotonic
            )
        return Server(
            settings,
            log,
            policy,
            self._launch_of(settings, log),
            self._changed,
            start_timeout_s=patience.start_timeout_ms / 1000,
            stop_timeout_s=patience.drain_timeout_ms / 1000,
        )

    def _launch_of(self, settings: ServerSettings, log: logs.LogFile) -> instances.Launch | None:
        if settings.kind == "stdio":
            return self._children[settings.name].launch_first
        if settings.kind != "worker":
            return None
        listener, path = self.ports.workers[settings.name]

        async def launch() -> Instance:
            return await instances.launch_worker(self._house, settings, log, listener.descriptor, path)

        return launch

    # --- order

    async def start(self) -> None:
        """Start the gateway, then the servers tier by tier; returns when all have come to something."""
        self._tasks.start_soon(self.gateway.run)
        for server in self.servers.values():
            self._tasks.start_soon(server.run)
        for tier in catalog.TIERS:
            members = [server for server in self.servers.values() if server.settings.tier == tier]
            for server in members:
                server.post(Event.START)
            with anyio.move_on_after(_SOON_S if tier != catalog.TIERS[-1] else None):
                for server in members:
                    await server.settled()
        for server in self.servers.values():
            await server.settled()
        with anyio.move_on_after(_SOON_S):
            for server in self.servers.values():
                await server.at_rest()
        await self.gateway.up.wait()
        await self.gateway.caught_up()

    async def stop(self) -> None:
        """The gateway first, so that nothing is refused by a server that is gone; then tiers in reverse."""
        await self.gateway.drain()
        for tier in reversed(catalog.TIERS):
            members = [server for server in self.servers.values() if server.settings.tier == tier]
            for server in members:
                server.post(Event.STOP)
            for server in members:
                while server.phase is not Phase.STOPPED:
                    await server.moved()
        for children in self._children.values():
            await children.end_extra()

    # --- what servers do

    def _changed(self, server: Server) -> None:
        self._progress.moved(server)
        children = self._children.get(server.settings.name)
        if children is not None and server.phase not in _UP:
            children.forget_first(server.reason or server.phase.value)
            if server.phase is Phase.DRAINING:
                self._tasks.start_soon(children.end_extra)
        self.gateway.tell(self._server_message(server))
        self._news.set()
        self._news = anyio.Event()

    def _child_gone(self, number: int, reason: str) -> None:
        self.gateway.tell({"t": "child_gone", "child": number, "reason": reason})

    # --- what the gateway is told

    def first_message(self, epoch: int) -> tuple[Mapping[str, Any], Sequence[int]]:
        """The start message and the descriptors of its listeners."""
        named = [("gateway", self.ports.gateway), *self.ports.servers.items()]
        message = {
            "t": "start",
            "epoch": epoch,
            "snapshot": self._snapshot,
            "listeners": [{"name": name, "address": authority(listener)} for name, listener in named],
        }
        return message, [listener.descriptor for _, listener in named]

    def server_messages(self) -> list[Mapping[str, Any]]:
        """Where every server stands."""
        return [self._server_message(server) for server in self.servers.values()]

    def reload_tokens(self) -> None:
        """Tell the gateway who may call now. Raises StateError for a damaged file; the old ones stay."""
        self._snapshot = self._read_snapshot()
        self.gateway.tell({"t": "apply", "snapshot": self._snapshot})

    def _read_snapshot(self) -> dict[str, Any]:
        state_dir = self.settings.state_dir
        return snapshot(
            self.settings, tokens.principals(state_dir), tokens.key_ring(state_dir), self._version
        )

    def _server_message(self, server: Server) -> Mapping[str, Any]:
        retry_s = server.retry_after_s()
        worker = server.instance if server.phase in _UP and isinstance(server.instance, Worker) else None
        return {
            "t": "server",
            "name": server.settings.name,
            "state": server.phase.value,
            "reason": server.reason,
            "retry_after_ms": None if retry_s is None else int(retry_s * 1000) + 1,
            "path": worker.path if worker else None,
            "key": worker.key.hex() if worker else None,
        }

    # --- what the gateway says

    async def heard(self, message: Message) -> None:
        """A message of the gateway; whatever takes time gets a task of its own."""
        match message.get("t"):
            case "want_child":
                self._tasks.start_soon(self._contained, self._answer_want, message, self.gateway.epoch)
            case "release_child":
                for children in self._children.values():
                    self._tasks.start_soon(self._contained, children.release, message.get("child"))
            case "wake":
                self._post(message, Event.WAKE)
            case "down":
                self._post(message, Event.DOUBTED)

    async def _contained(self, act: Callable[..., Awaitable[None]], *arguments: object) -> None:
        """Do something for the gateway; a fault of ours in it ends nothing else."""
        try:
            await act(*arguments)
        except Exception as fault:
            self._progress.fault("a message of the gateway could not be handled", fault)

    async def gateway_gone(self) -> None:
        """A gateway process ended: its sessions ended with it."""
        if not self.stop_asked.is_set():
            self._progress.say(f"  gateway          ended: {self.gateway.reason}; restarting")
        async with anyio.create_task_group() as group:
            for children in self._children.values():
                group.start_soon(children.end_sessions)

    def _post(self, message: Message, event: Event) -> None:
        server = self.servers.get(str(message.get("server")))
        if server is None or self.stop_asked.is_set():
            return
        if event is Event.DOUBTED and not isinstance(server.instance, Worker):
            return  # nothing of ours stands between the gateway and this server
        server.post(event)

    async def _answer_want(self, want: Message, epoch: int) -> None:
        answer: dict[str, Any] = {"t": "child", "request": want["request"], "ok": False}
        pipes: list[int] = []
        server = self.servers.get(str(want.get("server")))
        try:
            child = await self._child_for(server, want)
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
        if epoch == self.gateway.epoch:
            self.gateway.tell(answer, pipes)

    async def _child_for(self, server: Server | None, want: Message) -> StdioChild:
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
        )

    async def _come_up(self, server: Server) -> None:
        if server.phase in (Phase.PARKED, Phase.STOPPED) and not self.stop_asked.is_set():
            server.post(Event.WAKE)
        with anyio.move_on_after(WANT_S):
            while server.phase in _ON_THE_WAY and (server.retry_after_s() or 0.0) < _SOON_S:
                await server.moved()

    # --- what the operator asks

    async def answer(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """The answer to one control command; a refusal says code, what and help."""
        try:
            return self._obey(request)
        except OmniMindError as error:
            return {"ok": False, "code": error.code, "what": error.what, "help": error.help}

    def _obey(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        match request.get("cmd"):
            case "status":
                return {"ok": True, **self.status()}
            case "stop":
                self.stop_asked.set()
                return {"ok": True}
            case "restart":
                return self._restart(str(request.get("server")))
            case "reload-tokens":
                self.reload_tokens()
                return {"ok": True}
        raise FleetError("OM0204", f"the fleet does not know the command {request.get('cmd')!r}")

    def _restart(self, name: str) -> Mapping[str, Any]:
        server = self.servers.get(catalog.canonical(name)) or self.servers.get(name)
        if server is None:
            near = closest(name, list(self.servers))
            help = f"did you mean {near}?" if near else "list them: omnimind status"
            raise FleetError("OM0203", f"there is no server named {name}", help=help)
        if not self.stop_asked.is_set():
            server.post(Event.RESTART)
        return {"ok": True}

    async def events(self) -> AsyncIterator[Mapping[str, Any]]:
        """The status again and again, whenever something changed."""
        while True:
            news = self._news
            yield {"ok": True, **self.status()}
            await news.wait()

    def status(self) -> dict[str, Any]:
        """All that is known, as plain data."""
        rows = [
            status.of_server(
                server, self.ports.url(name), self.ports.port(name), self.ports.refused.get(name)
            )
            for name, server in self.servers.items()
        ]
        rows += [status.of_disabled(server) for server in self.settings.servers if not server.enabled]
        return {
            "version": self._version,
            "state_dir": str(self.settings.state_dir),
            "config": None if self.settings.config_path is None else str(self.settings.config_path),
            "uptime_s": round(time.monotonic() - self._began_s, 3),
            "guard": {"pid": self._guard_pid},
            "orchestrator": {"pid": os.getpid()},
            "zygote": {"pid": self._zygote.pid},
            "gateway": dict(status.of_gateway(self.gateway, self.ports.url())),
            "servers": rows,
        }
