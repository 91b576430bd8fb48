"""The life of a serving process: open, ready, alive, stopped, as the service manager is told.

Rules. READY means that the server answered the worker protocol on its own socket and the plane answered over its
own port. WATCHDOG is said from the event loop that runs the tools, and only while the plane answers: a loop that
is blocked, or a plane that hangs, falls silent. SIGTERM: first the plane takes no more and finishes, then the
server behind it does, then the process ends with 0. SIGHUP, and a changed token file, let new tokens in.
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import anyio

from omnimind import __version__, tokens
from omnimind.errors import OmniMindError
from omnimind.linux import process
from omnimind.orchestrator import negotiate
from omnimind.servers.worker import Worker
from omnimind.serving.doors import Doors
from omnimind.serving.front import Front
from omnimind.settings import Settings
from omnimind.systemd.notify import Notifier

if TYPE_CHECKING:
    from mcp.server import MCPServer
    from mcp.server.lowlevel import Server

READY_S: Final = 20.0
ANSWER_S: Final = 5.0
TOKENS_S: Final = 1.0
_AGAIN_S: Final = 0.02

log = logging.getLogger("omnimind.serve")


@dataclass(frozen=True, slots=True)
class Job:
    """All that one life needs. `key` is None for a server that is not told who asks."""

    settings: Settings
    server: MCPServer | Server[Any]
    doors: Doors
    key: bytes | None
    run: int
    notifier: Notifier
    around: Callable[[], AbstractAsyncContextManager[None]] = nullcontext
    """Entered before anything is served, left after everything is."""

    @property
    def name(self) -> str:
        """The server's name."""
        return self.settings.servers[0].name


class NeverReady(Exception):
    """It did not answer in time."""


def live(job: Job, signals: Sequence[int] = (signal.SIGTERM, signal.SIGINT)) -> None:
    """Serve until one of the signals. Blocks; raises NeverReady if it does not come up."""
    faulthandler.enable()
    anyio.run(_Life(job).run, signals)


class _Life:
    def __init__(self, job: Job) -> None:
        self._job = job
        self._stop = asyncio.Event()
        self._inner_stop = asyncio.Event()
        self._fault: NeverReady | None = None

    async def run(self, signals: Sequence[int]) -> None:
        job = self._job
        loop = asyncio.get_running_loop()
        for number in signals:
            loop.add_signal_handler(number, self._stop_asked)
        async with job.around():
            await self._serve()
        if self._fault is not None:
            raise self._fault
        log.info("stopped")

    async def _serve(self) -> None:
        job = self._job
        front = Front(job.settings, job.doors, job.run)
        worker = Worker(job.server, job.key)
        self._take_hangups(front)
        async with anyio.create_task_group() as inside:
            inside.start_soon(worker.serve, job.doors.worker, None, self._inner_stop)
            try:
                async with anyio.create_task_group() as beside:
                    beside.start_soon(self._accompany, front)
                    await self._stop.wait()
                    beside.cancel_scope.cancel()
            finally:
                with anyio.CancelScope(shield=True):
                    job.notifier.say("STOPPING=1", "STATUS=finishing what is under way")
                    await front.drain()
                self._inner_stop.set()

    def _stop_asked(self) -> None:
        if self._stop.is_set():
            os._exit(130)  # asked twice: whatever is under way is given up
        log.info("stopping")
        self._stop.set()

    def _take_hangups(self, front: Front) -> None:
        """SIGHUP: of a closed terminal it is the end, of a service manager a reload, under nohup nothing."""
        if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
            return
        act = self._stop.set if process.has_terminal() else lambda: self._let_in(front)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, act)

    async def _accompany(self, front: Front) -> None:
        job = self._job
        front.introduce(job.doors.worker_path, job.key)
        try:
            await self._until_ready(front)
        except NeverReady as fault:
            self._fault = fault
            self._stop.set()
            return
        where = f"http://{job.doors.authority}/mcp"
        job.notifier.say("READY=1", f"STATUS={job.name} at {where}")
        log.info("serving %s at %s", job.name, where)
        async with anyio.create_task_group() as group:
            group.start_soon(self._watch_tokens, front)
            if job.notifier.watchdog_us:
                group.start_soon(self._feed, front)

    async def _until_ready(self, front: Front) -> None:
        try:
            with anyio.fail_after(READY_S):
                # A real question through our own socket, as the gateway asks it. An empty line is no key.
                await negotiate.with_worker(self._job.doors.worker_path, self._job.key or b"", __version__)
                while not await front.answers("/readyz", ANSWER_S):  # noqa: ASYNC110
                    await anyio.sleep(_AGAIN_S)
        except (negotiate.NotReady, OSError) as fault:
            reason = f"within {READY_S:g} s" if isinstance(fault, TimeoutError) else f"as it should: {fault}"
            raise NeverReady(f"{self._job.name} did not answer {reason}") from None

    async def _feed(self, front: Front) -> None:
        interval_s = self._job.notifier.watchdog_us / 3e6
        while True:
            if await front.answers("/healthz", interval_s):
                self._job.notifier.say("WATCHDOG=1")
            await anyio.sleep(interval_s)

    async def _watch_tokens(self, front: Front) -> None:
        """A removed token must stop working though nobody tells us."""
        file = self._job.settings.state_dir / tokens.TOKENS_FILE
        seen = _stamp(file)
        while True:
            await anyio.sleep(TOKENS_S)
            if (now := _stamp(file)) != seen:
                seen = now
                self._let_in(front)

    def _let_in(self, front: Front) -> None:
        try:
            front.reload_tokens()
        except OmniMindError as error:
            log.error("%s; the tokens known before stay", error)
        else:
            log.info("tokens read again")


def _stamp(file: Any) -> tuple[int, int] | None:
    try:
        status = os.stat(file)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino
