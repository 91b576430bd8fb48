"""One running server: how it is started until it answers, asked again, and ended with all it left.

A launch returns a ready instance or raises `StartFailed` with the cause, and then nothing of it is left. Two
kinds have a process: a worker behind its held Unix socket, opened with a key of this start alone, and a stdio
child behind its pipes. Servers reached over the network or over a stranger's socket have none: the gateway
connects to them, and what it meets is its to judge.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Protocol, TypeVar

import anyio
from anyio.abc import TaskGroup

from omnimind.linux import proc, seqpacket, usage
from omnimind.linux.pulse import Beat
from omnimind.orchestrator import exits, ledger, negotiate, resources, spawn
from omnimind.orchestrator.exits import Cause
from omnimind.orchestrator.forks import Ends, Job, Zygote
from omnimind.orchestrator.heartbeat import MISSED, Heartbeat
from omnimind.orchestrator.logs import files
from omnimind.orchestrator.negotiate import Lines, Mode, Negotiated
from omnimind.orchestrator.processes import Child, Family
from omnimind.orchestrator.resources import Room, Rooms
from omnimind.settings import ServerSettings

_LAST_WORDS_S = 0.2
_EOF_GRACE_S = 0.5
ABORT_GRACE_S = 0.5
_STACKS_S = 0.5
"""For a hung worker to write its stacks, before SIGKILL."""

T = TypeVar("T")


class Failing(Enum):
    """How a start came to nothing."""

    REFUSED = "refused"
    EXITED = "exited"
    SILENT = "silent"


class StartFailed(Exception):
    """A start that came to nothing; nothing of it is left."""

    def __init__(self, cause: Cause, how: Failing = Failing.REFUSED) -> None:
        super().__init__(cause.reason)
        self.cause = cause
        self.how = how


class _Exited(Exception):
    """The process ended under a step."""


@dataclass(frozen=True, slots=True)
class House:
    """What every launch needs of the fleet."""

    family: Family
    zygote: Zygote
    tasks: TaskGroup
    state_dir: Path
    environ: Mapping[str, str]
    version: str
    heartbeat_ms: int = 1000
    rooms: Rooms = field(default_factory=Rooms)


class Instance(Protocol):
    """A running, ready server."""

    @property
    def child(self) -> Child:
        """Its process."""

    async def check(self) -> None:
        """Ask it again; raises NotReady or OSError."""

    async def gone(self) -> Cause:
        """Wait until it ends by itself; why it did."""

    async def end(self, grace_s: float) -> None:
        """End it, and all that it started."""

    def beat(self) -> Beat | None:
        """The last it said of its calls; None if it says nothing."""

    def requests(self) -> int | None:
        """Requests that it has answered, where that is known."""

    def memory_mb(self) -> int | None:
        """Memory that it and its descendants have for themselves."""


class _Life:
    """A process with its log: what both kinds share."""

    def __init__(self, house: House, log: files.LogFile, child: Child, output: int, room: Room) -> None:
        self.child = child
        self.house = house
        self.log = log
        self.room = room
        self._oom_kills = (room.oom_kills(), usage.oom_kills())
        child.group = room.group
        self._logged = anyio.Event()
        house.tasks.start_soon(self._pump, output)

    def memory_mb(self) -> int | None:
        """Private memory of the process and its descendants; None if it is gone."""
        return resources.memory_mb(self.child.pid, self.child.group, self.child.inherited_bytes)

    async def overuses(self) -> Cause:
        """Wait until it uses more memory than it may, where it is ours to watch."""
        allowed_mb = self.room.memory_mb
        if allowed_mb is None or not self.room.watched:
            await anyio.sleep_forever()
        while True:
            await anyio.sleep(resources.WATCH_S)
            used_mb = self.memory_mb()
            if used_mb is not None and allowed_mb is not None and used_mb > allowed_mb:
                return exits.used_too_much(used_mb, allowed_mb)

    async def ends(self, *faults: Callable[[], Awaitable[Cause]]) -> Cause:
        """Wait for its end, or for the first of these faults, and then end it; why it ended."""
        found: list[Cause] = []
        async with anyio.create_task_group() as group:

            async def watch(fault: Callable[[], Awaitable[Cause]]) -> None:
                found.append(await fault())
                group.cancel_scope.cancel()

            for fault in faults:
                group.start_soon(watch, fault)
            await self.child.exited.wait()
            group.cancel_scope.cancel()
        if not found:
            return await self.cause()
        await self.end(0.0)
        with anyio.move_on_after(_LAST_WORDS_S):
            await self._logged.wait()
        return found[0]

    async def stays_stopped(self) -> Cause:
        """Wait until it was stopped by a signal and nobody continued it for three heartbeats."""
        looks = 0
        while looks < MISSED:
            await anyio.sleep(self.house.heartbeat_ms / 1000)
            found = proc.read(self.child.pid)
            looks = looks + 1 if found is not None and found.state == "T" else 0
        return exits.stopped()

    async def _pump(self, output: int) -> None:
        try:
            await files.pump(output, self.log, self.child.pid)
        finally:
            self._logged.set()

    async def _during(self, step: Callable[[], Awaitable[T]]) -> T:
        """The step's result or fault; _Exited as soon as the process ends under it."""
        results: list[T] = []
        faults: list[Exception] = []
        async with anyio.create_task_group() as group:

            async def watch() -> None:
                await self.child.exited.wait()
                group.cancel_scope.cancel()

            group.start_soon(watch)
            try:
                results.append(await step())
            except (negotiate.NotReady, OSError, EOFError) as fault:
                faults.append(fault)
            group.cancel_scope.cancel()
        if faults:
            raise faults[0]
        if not results:
            raise _Exited
        return results[0]

    async def cause(self) -> Cause:
        """Why it ended, after what it left is gone and its last words are read."""
        status = await self.child.wait()
        await self.house.family.sweep(self.child)
        with anyio.move_on_after(_LAST_WORDS_S):
            await self._logged.wait()
        short = (self.room.oom_kills(), usage.oom_kills()) != self._oom_kills
        return exits.classify(status, self.log.words_of(self.child.pid), short_of_memory=short)

    async def end(self, grace_s: float) -> None:
        await self.house.family.end(self.child, grace_s)

    async def until_ready(self, step: Callable[[], Awaitable[T]]) -> T:
        """The step's result, or StartFailed after the process and all it left is gone."""
        try:
            result = await self._during(step)
        except (_Exited, EOFError, BrokenPipeError):  # also who ended before it was asked
            with anyio.CancelScope(shield=True):
                await self.end(ABORT_GRACE_S)
                raise StartFailed(await self.cause(), Failing.EXITED) from None
        except (negotiate.NotReady, OSError) as fault:
            with anyio.CancelScope(shield=True):
                await self.end(ABORT_GRACE_S)
            how = Failing.SILENT if isinstance(fault, negotiate.Silent) else Failing.REFUSED
            raise StartFailed(exits.not_ready(str(fault), silent=how is Failing.SILENT), how) from fault
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self.end(ABORT_GRACE_S)
            raise
        return result


@dataclass(slots=True)
class Worker:
    """A built-in server behind its socket."""

    life: _Life
    path: str
    key: bytes
    heartbeat: Heartbeat

    @property
    def child(self) -> Child:
        """Its process."""
        return self.life.child

    def beat(self) -> Beat | None:
        """Its last record."""
        return self.heartbeat.last

    def requests(self) -> int | None:
        """Requests that it has answered."""
        return self.heartbeat.requests()

    def memory_mb(self) -> int | None:
        """Memory of its own."""
        return self.life.memory_mb()

    async def check(self) -> None:
        """Ask it over a new connection."""
        await negotiate.with_worker(self.path, self.key, self.life.house.version)

    async def gone(self) -> Cause:
        """Wait for its end, or end it when it hangs or uses too much."""
        return await self.life.ends(self._hangs, self.life.overuses)

    async def _hangs(self) -> Cause:
        """Wait until it hangs, and have it write its stacks into its log."""
        silent_s = await self.heartbeat.hangs(self.child.pid)
        with anyio.CancelScope(shield=True), anyio.move_on_after(_STACKS_S):
            self.child.signal(signal.SIGABRT)
            self.child.signal(signal.SIGCONT)
            await self.child.exited.wait()
        return exits.hangs(silent_s)

    async def end(self, grace_s: float) -> None:
        """SIGTERM, then SIGKILL."""
        await self.life.end(grace_s)
        self.heartbeat.close()


async def launch_worker(
    house: House, server: ServerSettings, log: files.LogFile, listener: int, path: str
) -> Worker:
    """Start a built-in server on its held socket and wait for its answer."""
    key = secrets.token_bytes(32)
    mark = ledger.child_mark(house.environ)
    env = spawn.reduced(house.environ, server.env) | {ledger.MARK: mark}
    job = Job(server.builtin or server.name, server.args, env, house.state_dir, key, house.heartbeat_ms)
    read, write = os.pipe()
    heard, beaten = os.pipe()
    try:
        child = await house.zygote.start(job, Ends(listener, write, beaten), house.environ)
    except BaseException as fault:
        seqpacket.close_all([read, heard])
        if isinstance(fault, OSError):
            raise StartFailed(exits.no_process(fault)) from fault
        raise
    finally:
        seqpacket.close_all([write, beaten])
    child.mark = mark
    room = house.rooms.room(server.name, server.resources)
    room.take(child.pid)
    life = _Life(house, log, child, read, room)
    worker = Worker(life, path, key, Heartbeat(heard, house.heartbeat_ms))
    try:
        await worker.life.until_ready(worker.check)
    except BaseException:
        worker.heartbeat.close()
        raise
    return worker


@dataclass(slots=True)
class StdioChild:
    """A third-party server behind pipes of its own."""

    life: _Life
    stdin: int
    stdout: int
    negotiated: Negotiated
    leftover: bytes = b""
    number: int = 0
    handed_to: int | None = None
    closed: bool = False

    @property
    def child(self) -> Child:
        """Its process."""
        return self.life.child

    def beat(self) -> Beat | None:
        """It says nothing to us: what it does is the gateway's to see."""
        return None

    def requests(self) -> int | None:
        """Not known here."""
        return None

    def memory_mb(self) -> int | None:
        """Memory of its own and of what it started."""
        return self.life.memory_mb()

    async def check(self) -> None:
        """Its pipes belong to the gateway: a process that lives is all that can be asked for."""

    async def gone(self) -> Cause:
        """Wait for its end, or end it when it uses too much or stays stopped."""
        cause = await self.life.ends(self.life.overuses, self.life.stays_stopped)
        self.close()
        return cause

    async def end(self, grace_s: float) -> None:
        """Close its stdin, as the protocol says, then SIGTERM, then SIGKILL."""
        self.close()
        with anyio.move_on_after(min(_EOF_GRACE_S, grace_s)):
            await self.child.exited.wait()
        await self.life.end(grace_s)

    def close(self) -> None:
        """Close our ends of its pipes."""
        if not self.closed:
            self.closed = True
            seqpacket.close_all([self.stdin, self.stdout])


async def launch_child(
    house: House,
    server: ServerSettings,
    log: files.LogFile,
    mode: Mode,
    capabilities: Mapping[str, Any] = negotiate.CAPABILITIES,
) -> StdioChild:
    """Start a stdio server and agree with it on an era. Raises StartFailed."""
    mark = ledger.child_mark(house.environ)
    room = house.rooms.room(server.name, server.resources, server.user)
    env = spawn.reduced(house.environ, server.env) | {ledger.MARK: mark}
    try:
        spawned = spawn.spawn_command(
            server.command or "", server.args, env, cwd=server.cwd, user=server.user, room=room
        )
    except spawn.CommandMissing as fault:
        room.leave()
        raise StartFailed(exits.missing_command(str(fault))) from None
    except (OSError, KeyError, subprocess.SubprocessError) as fault:
        room.leave()
        raise StartFailed(exits.refused(fault)) from fault
    os.set_blocking(spawned.stdin, False)
    os.set_blocking(spawned.stdout, False)
    life = _Life(house, log, house.family.adopt(spawned.pid, mark), spawned.stderr, room)
    lines = Lines(spawned.stdin, spawned.stdout)
    try:
        agreed = await life.until_ready(
            lambda: negotiate.with_child(lines, mode, capabilities, house.version)
        )
    except BaseException:
        seqpacket.close_all([spawned.stdin, spawned.stdout])
        raise
    return StdioChild(life, spawned.stdin, spawned.stdout, agreed, lines.leftover)
