"""The fleet: every server, the gateway and what they ask of each other.

Rules. Whoever asks for a child names a server, a principal and an era, never a command. A server's trouble is
answered to those who ask for it and to nobody else. What the gateway is told is complete each time a new one
starts, so nothing that was lost with an old one matters.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

import anyio
from anyio.abc import TaskGroup

from omnimind import tokens
from omnimind.linux.packets import Message
from omnimind.orchestrator import order, units
from omnimind.orchestrator.children import Children
from omnimind.orchestrator.events import Events
from omnimind.orchestrator.forks import Zygote
from omnimind.orchestrator.gatewaying import Gateway
from omnimind.orchestrator.guardlink import GuardLink
from omnimind.orchestrator.instances import House, Worker
from omnimind.orchestrator.lifecycle import Event, Phase, Policy
from omnimind.orchestrator.logs import files
from omnimind.orchestrator.ports import Ports, authority
from omnimind.orchestrator.processes import Family
from omnimind.orchestrator.progress import Progress
from omnimind.orchestrator.resources import open_rooms
from omnimind.orchestrator.seats import Seats
from omnimind.orchestrator.snapshot import in_tier_order, snapshot
from omnimind.orchestrator.supervise import Server, Source
from omnimind.orchestrator.units import Sitting, Unit
from omnimind.orchestrator.wants import Wants
from omnimind.settings import ServerSettings, Settings

_SOON_S = 5.0
_LAST_S = 15.0
"""How long the word that the fleet is ready waits for a server that does not answer."""
_UP = frozenset({Phase.READY, Phase.DEGRADED})


class Fleet:
    """All servers of one configuration."""

    def __init__(
        self,
        settings: Settings,
        version: str,
        ports: Ports,
        guard: GuardLink,
        family: Family,
        zygote: Zygote,
        tasks: TaskGroup,
        progress: Progress,
        gateway_module: str,
        guard_pid: int,
        kept: files.Logs | None = None,
        under_systemd: bool = False,
    ) -> None:
        self.settings = settings
        self.ports = ports
        self.gave_up = False
        self.stop_asked = anyio.Event()
        self.version = version
        self._guard = guard
        self.zygote = zygote
        self._tasks = tasks
        self.progress = progress
        self.logs = kept or files.Logs(settings.state_dir / "logs", settings.orchestrator)
        self.history = Events(self.logs.folder, self.logs.room, self.logs.wall, self.logs.tick_s)
        self.logs.adopt(self.history.file)
        self.guard_pid = guard_pid
        self._snapshot = self._read_snapshot(settings)
        beat_ms = settings.orchestrator.heartbeat_ms
        self._rooms = open_rooms(settings.state_dir, guard_pid)
        self.house = House(
            family, zygote, tasks, settings.state_dir, os.environ, version, beat_ms, self._rooms
        )
        self._numbers = itertools.count(1)
        self._children: dict[str, Children] = {}
        self._seats: dict[str, Seats] = {}
        self._under_systemd = under_systemd
        self.units: dict[str, Unit] = {}
        self.news = anyio.Event()
        self.gateway = Gateway(family, self.logs.of("gateway"), self, os.environ, gateway_module)
        self._begun: set[str] = set()
        self.servers: dict[str, Server] = {}
        self._wants = Wants(self.servers, self._children, self.gateway, self.stop_asked, tasks)
        for server in in_tier_order(settings):
            self.supervise(server)

    # --- building

    def _policy(self, settings: ServerSettings) -> Policy:
        restart = settings.restart
        found = Policy(
            max_attempts=restart.max_attempts,
            window_s=restart.window_s,
            backoff_min_s=restart.backoff_min_ms / 1000,
            backoff_max_s=restart.backoff_max_ms / 1000,
            probe_s=self.settings.orchestrator.probe_ms / 1000,
        )
        return units.policy(found) if self._under_systemd and settings.kind == "worker" else found

    def supervise(self, settings: ServerSettings) -> Server:
        """A server of these settings, among the others from now on, not started yet."""
        patience = self.settings.orchestrator
        log = self.logs.of_server(settings)
        server = Server(
            settings,
            log,
            self._policy(settings),
            self._source(settings, log),
            self._changed,
            start_timeout_s=patience.start_timeout_ms / 1000,
            stop_timeout_s=patience.drain_timeout_ms / 1000,
        )
        self.servers[settings.name] = server
        return server

    def _source(self, settings: ServerSettings, log: files.LogFile) -> Source | None:
        if settings.kind == "worker" and self._under_systemd:
            return self.units.setdefault(settings.name, Unit(self.house, settings))
        if settings.kind == "worker":
            told = self.gateway.caught_up
            return self._seats.setdefault(settings.name, Seats(self.house, self._guard, settings, log, told))
        if settings.kind == "stdio":
            policy, tell = self._policy(settings), self.gateway.tell_one
            return self._children.setdefault(
                settings.name,
                Children(self.house, settings, log, policy, self._numbers, tell, time.monotonic),
            )
        return None

    # --- order

    def begin(self, name: str) -> None:
        """Keep this server from now on."""
        self._tasks.start_soon(self.servers[name].run)

    async def start(self) -> None:
        """Start the gateway, then the servers wave by wave; returns when all have come to something."""
        self._tasks.start_soon(self.gateway.run)
        self._tasks.start_soon(self._take_freed_ports)
        self._tasks.start_soon(self.history.run, self.gateway.stats, self.logs.tend)
        for name in self.servers:
            self.begin(name)
        for wave in order.waves(server.settings for server in self.servers.values()):
            with anyio.move_on_after(_SOON_S):
                await self.start_some(wave)
        with anyio.move_on_after(_LAST_S):
            for server in self.servers.values():
                await server.settled()
        with anyio.move_on_after(_SOON_S):
            for server in self.servers.values():
                if server.state.failures:
                    await server.at_rest()
        await self.gateway.up.wait()
        await self.gateway.caught_up()

    async def start_some(self, names: Iterable[str]) -> None:
        """Start these and wait until each has come to something."""
        started = [self.servers[name] for name in names]
        for server in started:
            self._begun.add(server.settings.name)
            server.post(Event.START)
        for server in started:
            await server.settled()

    async def stop(self) -> None:
        """The gateway first, so that nothing is refused by a server that is gone; then waves in reverse."""
        await self.history.close(self.gateway.stats)
        await self.gateway.drain()
        for wave in reversed(order.waves(server.settings for server in self.servers.values())):
            await self.stop_some(wave)
        self._rooms.close()

    async def stop_some(self, names: Iterable[str]) -> None:
        """Stop these and wait until nothing of them is left."""
        stopped = [self.servers[name] for name in names]
        for server in stopped:
            server.post(Event.STOP)
        for server in stopped:
            while server.phase is not Phase.STOPPED:
                await server.moved()
            children = self._children.get(server.settings.name)
            if children is not None:
                await children.end_extra()

    async def forget(self, name: str) -> None:
        """A stopped server is no longer part of the fleet."""
        server = self.servers.pop(name)
        self._begun.discard(name)
        server.dismiss()
        server.log.close()
        self._children.pop(name, None)
        self.units.pop(name, None)
        seats = self._seats.pop(name, None)
        if seats is not None:
            await seats.leave()

    # --- a new configuration

    def configure(self, new: Settings) -> None:
        """These are the settings from now on; a process that they change is not touched yet."""
        self.settings = new
        self.logs.configure(new.orchestrator)
        for settings in new.servers:
            server = self.servers.get(settings.name)
            if server is not None:
                server.configure(settings, self._policy(settings))
                self.logs.of_server(settings)
                for source in (self._seats.get(settings.name), self._children.get(settings.name)):
                    if source is not None:
                        source.configure(settings)

    def apply(self, settings: Settings) -> None:
        """Tell the gateway what to serve, by these settings."""
        self._snapshot = self._read_snapshot(settings)
        self.gateway.tell({"t": "apply", "snapshot": self._snapshot})

    async def listen(self, settings: ServerSettings) -> None:
        """Serve a server's own port, if it wants one and it is free."""
        listener = await self.ports.add(settings)
        if listener is not None:
            named = {"t": "listen", "name": settings.name, "address": authority(listener)}
            self.gateway.tell(named, [listener.descriptor])

    async def unlisten(self, name: str) -> None:
        """Give a server's own port up."""
        if await self.ports.remove(name):
            self.gateway.tell({"t": "unlisten", "name": name})

    async def _take_freed_ports(self) -> None:
        """A port that a stranger held is taken when the stranger has left."""
        while True:
            await anyio.sleep(self.settings.orchestrator.probe_ms / 1000)
            for name in list(self.ports.refused):
                server = self.servers.get(name)
                if server is not None:
                    await self.listen(server.settings)
                if server is not None and name not in self.ports.refused:
                    self.progress.say(f"  {name:<16} has its own port now: {self.ports.url(name)}")
                    self._changed(server)

    # --- what servers do

    def _changed(self, server: Server) -> None:
        self.progress.moved(server)
        self.history.moved(server.settings.name, server.phase.value, server.cause, server.pid)
        children = self._children.get(server.settings.name)
        if children is not None and server.phase in (Phase.BACKOFF, Phase.PARKED):
            children.forget_first(server.reason or server.phase.value)
        failed = server.phase is Phase.PARKED and server.settings.name not in self.units
        if failed and self.settings.orchestrator.give_up == "exit":
            self.gave_up = True
            self.stop_asked.set()
        self.gateway.tell(self._server_message(server))
        self.news.set()
        self.news = anyio.Event()

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
        self.apply(self.settings)

    def _read_snapshot(self, settings: Settings) -> dict[str, Any]:
        state_dir = settings.state_dir
        return snapshot(settings, tokens.principals(state_dir), tokens.key_ring(state_dir), self.version)

    def _server_message(self, server: Server) -> Mapping[str, Any]:
        retry_s = server.retry_after_s()
        begun = server.settings.name in self._begun
        worker = (
            server.instance if server.phase in _UP and isinstance(server.instance, Worker | Sitting) else None
        )
        return {
            "t": "server",
            "name": server.settings.name,
            # Calls wait for one whose wave has not come yet.
            "state": server.phase.value if begun else Phase.STARTING.value,
            "reason": server.reason,
            "retry_after_ms": None if retry_s is None else int(retry_s * 1000) + 1,
            "path": worker.path if worker else None,
            "key": worker.key.hex() if worker else None,
        }

    # --- what the gateway says

    async def heard(self, message: Message, epoch: int) -> None:
        """A message of the gateway; whatever takes time gets a task of its own."""
        match message.get("t"):
            case "want_child":
                self._tasks.start_soon(self._contained, self._wants.answer, message, epoch)
            case "release_child":
                for children in self._children.values():
                    self._tasks.start_soon(self._contained, children.release, message.get("child"))
            case "wake":
                self._post(message, Event.WAKE)
            case "down":
                self._post(message, Event.DOUBTED)
            case "stuck":
                reason = str(message.get("reason"))
                for children in self._children.values():
                    self._tasks.start_soon(self._contained, children.end_stuck, message.get("child"), reason)

    async def _contained(self, act: Callable[..., Awaitable[None]], *arguments: object) -> None:
        """Do something for the gateway; a fault of ours in it ends nothing else."""
        try:
            await act(*arguments)
        except Exception as fault:
            self.progress.fault("a message of the gateway could not be handled", fault)

    def gateway_up(self, epoch: int) -> None:
        """A gateway process serves."""
        self.history.gateway("begins", epoch)

    async def gateway_gone(self, epoch: int, planned: bool) -> None:
        """A gateway process ended: its sessions ended with it."""
        planned = planned or self.stop_asked.is_set()
        self.history.gateway("ends", epoch, None if planned else self.gateway.reason)
        if not planned:
            self.progress.say(f"  gateway          ended: {self.gateway.reason}; restarting")
        async with anyio.create_task_group() as group:
            for children in self._children.values():
                group.start_soon(children.end_sessions, epoch)

    def _post(self, message: Message, event: Event) -> None:
        server = self.servers.get(str(message.get("server")))
        if server is None or self.stop_asked.is_set():
            return
        if event is Event.WAKE and server.settings.name in self.units:
            self.units[server.settings.name].demand()
        if event is Event.DOUBTED and not isinstance(server.instance, Worker | Sitting):
            return  # nothing of ours stands between the gateway and this server
        server.post(event)
