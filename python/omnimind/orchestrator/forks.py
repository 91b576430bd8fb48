"""Workers: born from the zygote in milliseconds, or by a plain exec when there is no zygote.

The zygote is started before the settings are read, because its imports take longer than everything else
together. If it dies it is started again; while it cannot start, workers are exec'd and only start slower.
Whoever wants a worker waits for a zygote that is still importing: an exec would import the same again.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import anyio

from omnimind.linux import packets, seqpacket, usage
from omnimind.orchestrator import spawn
from omnimind.orchestrator.egg import Egg, lay
from omnimind.orchestrator.link import Link
from omnimind.orchestrator.logs import files
from omnimind.orchestrator.processes import Child, Family

BIRTH_S = 5.0
_DEATHS_TO_GIVE_UP = 3


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker is told after its birth."""

    name: str
    args: tuple[str, ...]
    env: Mapping[str, str]
    state_dir: Path
    key: bytes
    heartbeat_ms: int


@dataclass(frozen=True, slots=True)
class Ends:
    """The descriptors that a worker inherits: its held socket, its log pipe, its pulse."""

    listener: int
    output: int
    pulse: int


class Zygote:
    """The zygote of this fleet, over all its processes."""

    def __init__(self, family: Family, log: files.LogFile, egg: Egg | None) -> None:
        self._family = family
        self._log = log
        self._egg = egg
        self._link: Link | None = None
        self._wanted = anyio.Event()
        self._settled = anyio.Event()
        self._ready = False
        self.pid: int | None = None

    async def run(self, wanted: bool) -> None:
        """Keep a zygote from when a worker is wanted, as long as it manages to get ready."""
        if not wanted:
            await self._discard()
            await self._wanted.wait()
        barren = 0
        while barren < _DEATHS_TO_GIVE_UP:
            try:
                bore = await self._live_once()
            except OSError as fault:
                self._log.write(os.getpid(), f"omnimind: no zygote: {fault}")
                bore = False
            if bore:
                barren = 0
            else:
                barren += 1
                self._settled.set()  # do not wait for the next one: this may be the imports' own fault

    async def _discard(self) -> None:
        """End the zygote that was started early: this fleet has no worker yet."""
        if self._egg is not None:
            egg, self._egg = self._egg, None
            egg.end.close()
            os.close(egg.output)
            await self._family.end(self._family.adopt(egg.pid), 0.0)

    async def _live_once(self) -> bool:
        """One zygote's life; True if it was ready."""
        egg, self._egg = self._egg or lay(), None
        child = self._family.adopt(egg.pid)
        self.pid, self._link, was_ready = egg.pid, Link(egg.end), False
        async with anyio.create_task_group() as group:
            group.start_soon(files.pump, egg.output, self._log, egg.pid)
            group.start_soon(self._link.run)
            while await self._hears_ready(self._link):
                was_ready = self._ready = True
                self._settled.set()
            if was_ready:
                self._ready, self._settled = False, anyio.Event()
            await self._family.end(child, 0.0)
            self._link.close()
            self._link, self.pid = None, None
            group.cancel_scope.cancel()
        return was_ready

    async def _hears_ready(self, link: Link) -> bool:
        try:
            heard = await link.hear()
        except OSError:
            return False
        if heard is None:
            return False
        seqpacket.close_all(heard[1])
        return heard[0].get("t") == "ready"

    async def start(self, job: Job, ends: Ends, environ: Mapping[str, str]) -> Child:
        """A new worker; forked if there is a zygote, else exec'd. Raises OSError."""
        self._wanted.set()
        await self._settled.wait()
        if self._ready and self._link is not None:
            with anyio.move_on_after(BIRTH_S):
                child = await self._fork(self._link, job, ends)
                if child is not None:
                    return child
        return self._family.adopt(_execute(job, ends, environ))

    async def _fork(self, link: Link, job: Job, ends: Ends) -> Child | None:
        ours, theirs = seqpacket.pair()
        with theirs:
            link.tell({"t": "fork"}, [theirs.fileno()])
        newborn = Link(ours)
        try:
            heard = await newborn.hear()
            if heard is None:
                return None
            seqpacket.close_all(heard[1])
            child = self._family.adopt(int(heard[0]["pid"]))
            child.inherited_bytes = usage.anonymous_bytes(child.pid) or 0
            work = {
                "t": "work",
                "name": job.name,
                "args": list(job.args),
                "env": dict(job.env),
                "state_dir": str(job.state_dir),
                "key": job.key,
                "heartbeat_ms": job.heartbeat_ms,
            }
            packets.send(ours, work, [ends.listener, ends.output, ends.pulse])
        except OSError:
            return None
        else:
            return child
        finally:
            newborn.close()


def _execute(job: Job, ends: Ends, environ: Mapping[str, str]) -> int:
    """Start a worker without a zygote; its key goes through a pipe."""
    read, write = os.pipe()
    try:
        os.write(write, job.key)
        numbers = ["--listen-fd", str(ends.listener), "--key-fd", str(read)]
        numbers += ["--pulse-fd", str(ends.pulse), "--heartbeat-ms", str(job.heartbeat_ms)]
        arguments = [job.name, *numbers, "--state", str(job.state_dir), "--", *job.args]
        return spawn.spawn_tied_module(
            "omnimind.servers",
            arguments,
            inherit=[ends.listener, ends.pulse, read],
            output=ends.output,
            environ=environ,
            env=job.env,
        )
    finally:
        os.close(read)
        os.close(write)
