"""Each enabled server started once, alone, in a state folder that is thrown away: how long until it answers.

The same code starts it as in a fleet, so what fails here fails there, and for the same reason. A built-in is
exec'd, not forked from a preloaded process: the time is that of a cold start. A server reached over the
network or over a socket of somebody else's is asked, not started.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import anyio
from anyio.abc import TaskGroup

import omnimind
from omnimind.cli.doctor import remote
from omnimind.cli.doctor.finding import Finding, fail, ok, warn
from omnimind.linux import process
from omnimind.orchestrator import instances
from omnimind.orchestrator.forks import Zygote
from omnimind.orchestrator.instances import House, Instance, StartFailed
from omnimind.orchestrator.logs import files
from omnimind.orchestrator.negotiate import Mode
from omnimind.orchestrator.processes import Family
from omnimind.orchestrator.sockets import HeldSockets
from omnimind.settings import ServerSettings, Settings

GRACE_S: Final = 0.5
MOST_S: Final = 30.0
SLOW_S: Final = 10.0


class _NoZygote(Zygote):
    """Every worker is exec'd."""

    def __init__(self, family: Family, log: files.LogFile) -> None:
        super().__init__(family, log, None)
        self._settled.set()


def examine(found: Settings, say: Callable[[str], None]) -> list[Finding]:
    """One finding a server, in the order of the file; says what it is doing."""
    servers = [server for server in found.servers if server.enabled]
    if not servers:
        return []
    folder = Path(tempfile.mkdtemp(prefix="omnimind-doctor-"))
    try:
        process.become_subreaper()
        return anyio.run(_Trial(found, folder, say).run, servers)
    finally:
        process.become_subreaper(False)
        shutil.rmtree(folder, ignore_errors=True)


class _Trial:
    def __init__(self, found: Settings, folder: Path, say: Callable[[str], None]) -> None:
        self._settings = found
        self._folder = folder
        self._say = say
        self._family = Family()
        self._sockets = HeldSockets()
        self._logs = files.Logs(folder / "logs", found.orchestrator)
        for name in ("run", "logs"):
            (folder / name).mkdir(mode=0o700)

    async def run(self, servers: list[ServerSettings]) -> list[Finding]:
        findings: list[Finding] = []
        async with anyio.create_task_group() as tasks:
            await tasks.start(self._reap)
            for number, server in enumerate(servers, 1):
                self._say(f"starting {server.name} ({number} of {len(servers)})")
                findings.append(await self._try(server, tasks))
            tasks.cancel_scope.cancel()
        self._family.reap()
        return findings

    async def _reap(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        with anyio.open_signal_receiver(signal.SIGCHLD) as signals:
            task_status.started()
            self._family.reap()
            async for _ in signals:
                self._family.reap()

    async def _try(self, server: ServerSettings, tasks: TaskGroup) -> Finding:
        check = f"start {server.name}"
        patience_s = min(MOST_S, self._settings.orchestrator.start_timeout_ms / 1000)
        if server.kind in ("http", "unix"):
            return await remote.ask(server, patience_s)
        began_s = time.monotonic()
        fix = f"see what it prints: {server.command} {' '.join(server.args)}".rstrip()
        if server.kind == "worker":
            fix = f"see its errors: omnimind serve {server.builtin or server.name} --port 0"
        try:
            with anyio.fail_after(patience_s):
                instance = await self._launch(server, tasks)
        except StartFailed as failed:
            return fail(check, failed.cause.reason, failed.cause.fix or fix)
        except TimeoutError:
            return fail(check, f"did not answer within {patience_s:g} s", fix)
        took_s = time.monotonic() - began_s
        with anyio.CancelScope(shield=True):
            await instance.end(GRACE_S)
            with anyio.move_on_after(GRACE_S):
                await instance.child.wait()
        detail = f"answered after {took_s:.2f} s{_era(instance)}"
        if took_s > SLOW_S:
            slow = "start it by hand to see what takes so long; more time: orchestrator.start_timeout_ms"
            return warn(check, detail, slow)
        return ok(check, detail)

    async def _launch(self, server: ServerSettings, tasks: TaskGroup) -> Instance:
        log = self._logs.of_server(server)
        beat_ms = self._settings.orchestrator.heartbeat_ms
        zygote = _NoZygote(self._family, log)
        house = House(self._family, zygote, tasks, self._folder, os.environ, omnimind.__version__, beat_ms)
        if server.kind == "worker":
            path = str(self._folder / "run" / f"{server.name}.sock")
            held = self._sockets.listen(server.name, path)
            try:
                return await instances.launch_worker(house, server, log, held.fileno(), path)
            finally:
                self._sockets.release(server.name)
        try:
            return await instances.launch_child(house, server, log, Mode.ANY)
        except StartFailed as failed:
            if failed.how is instances.Failing.REFUSED:
                raise
            # It died of server/discover, or kept silent on it: an older one knows initialize alone.
            return await instances.launch_child(house, server, log, Mode.LEGACY)


def _era(instance: Instance) -> str:
    agreed = getattr(instance, "negotiated", None)
    return "" if agreed is None else f", speaks {agreed.version}"
