"""From options to a running fleet and back: signals, the order of the start, the order of the stop.

One thread, one event loop. The loop's tasks end in a fixed order: the fleet is stopped while everything that
reaps and links still runs; only then is the rest cancelled.
"""

from __future__ import annotations

import os
import signal
import socket
import sys

import anyio

from omnimind import __version__ as version
from omnimind import settings as configuration
from omnimind import tokens
from omnimind.errors import Exit, FleetError, OmniMindError, SettingsError, StateError
from omnimind.linux import pidfd
from omnimind.orchestrator import ports, runrecord, units
from omnimind.orchestrator.control import ControlSocket
from omnimind.orchestrator.egg import Egg
from omnimind.orchestrator.fleet import Fleet
from omnimind.orchestrator.forks import Zygote
from omnimind.orchestrator.guardlink import GuardGone, GuardLink
from omnimind.orchestrator.identity import Identity
from omnimind.orchestrator.lifecycle import Phase
from omnimind.orchestrator.logs import files
from omnimind.orchestrator.operate import Operator
from omnimind.orchestrator.options import Options
from omnimind.orchestrator.processes import Family, end_everything
from omnimind.orchestrator.progress import Progress
from omnimind.orchestrator.recording import Recording
from omnimind.orchestrator.reload import Outcome, Reloader, in_words
from omnimind.orchestrator.service import Service
from omnimind.orchestrator.waiting import first_of
from omnimind.settings import Settings


def run(options: Options, guard: socket.socket, egg: Egg) -> int:
    """Run the fleet until it is stopped; the exit code for the guard."""
    code = 1
    link = GuardLink(guard)
    try:
        settings = _read(options)
        tokens.ensure(settings.state_dir)
        code = anyio.run(_Conductor(options, settings, link, egg).run)
    except OmniMindError as error:
        print(error.render(sys.stderr.isatty()), file=sys.stderr, flush=True)  # noqa: T201
        Service(link, options.watchdog_us).refused(error.what)
        code = _exit_code(error, options)
    except GuardGone:
        end_everything()
    link.say({"t": "exit", "code": code})
    return code


def _exit_code(error: OmniMindError, options: Options) -> int:
    """A unit is not started again after 78, because another try would find the same."""
    hopeless = options.systemd and isinstance(error, SettingsError | StateError)
    return int(Exit.CONFIG if hopeless else error.exit_code)


def _read(options: Options) -> Settings:
    return configuration.load(
        options.config,
        options.state,
        port=options.port,
        auth=options.auth,
        max_restart_attempts=options.max_restart_attempts,
        give_up=options.give_up,
    )


class _Conductor:
    def __init__(self, options: Options, settings: Settings, guard: GuardLink, egg: Egg) -> None:
        self._options = options
        self._settings = settings
        self._guard = guard
        self._egg = egg
        self._family = Family()
        self._logs = files.Logs(settings.state_dir / "logs", settings.orchestrator)
        self._progress = Progress(self._logs.of("orchestrator"))
        self._service = Service(guard, options.watchdog_us)
        self._fleet: Fleet | None = None
        self._stop = anyio.Event()
        self._reload_asked = anyio.Event()
        self._recording = Recording(
            self._family, settings.state_dir, guard, options.guard_pid, self._progress
        )

    async def run(self) -> int:
        fault: OmniMindError | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch_guard)
            tasks.start_soon(self._take_signals)
            tasks.start_soon(self._service.feed)
            try:
                await self._conduct()
            except OmniMindError as error:
                fault = error
            await _end_the_rest(self._family)
            self._recording.end()
            tasks.cancel_scope.cancel()
        if fault is not None:
            raise fault
        return 1 if self._fleet is not None and self._fleet.gave_up else 0

    # --- ties

    async def _watch_guard(self) -> None:
        await self._guard.run()
        end_everything()

    async def _take_signals(self) -> None:
        wanted = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        with anyio.open_signal_receiver(*wanted) as signals:
            self._family.reap()
            async for number in signals:
                if number == signal.SIGCHLD:
                    self._family.reap()
                elif os.getppid() != self._options.guard_pid:
                    end_everything()
                elif number == signal.SIGHUP:
                    self._reload_asked.set()
                else:
                    self._on_stop_signal()

    def _on_stop_signal(self) -> None:
        if self._stop.is_set() and self._fleet is not None:
            self._fleet.gateway.hurry()
            self._family.hurry()
        self._stop.set()

    # --- the fleet's life

    async def _conduct(self) -> None:
        await self._lock()
        state_dir = self._settings.state_dir
        (state_dir / "logs").mkdir(mode=0o700, exist_ok=True)
        self._recording.begin()
        bound = await ports.bind(self._guard, self._settings, self._options.systemd)
        for name, why in bound.refused.items():
            self._progress.say(f"  {name:<16} has no port of its own: {why}; it answers at {bound.url(name)}")
        async with anyio.create_task_group() as tasks:
            zygote = Zygote(self._family, self._logs.of("zygote"), self._egg)
            fleet = self._fleet = Fleet(
                self._settings,
                version,
                bound,
                self._guard,
                self._family,
                zygote,
                tasks,
                self._progress,
                self._options.gateway_module,
                self._options.guard_pid,
                self._logs,
                self._options.systemd,
            )
            tasks.start_soon(units.watch, fleet.units, fleet.servers)
            has_workers = any(server.settings.kind == "worker" for server in fleet.servers.values())
            tasks.start_soon(zygote.run, has_workers and not self._options.systemd)
            reloader = Reloader(fleet, lambda: _read(self._options))
            operator = Operator(fleet, reloader)
            tasks.start_soon(ControlSocket(bound.control.descriptor, operator.answer, operator.events).run)
            tasks.start_soon(self._reload_when_asked, reloader)
            if self._settings.orchestrator.watch and self._settings.config_path is not None:
                tasks.start_soon(reloader.watch, self._settings.config_path, self._report)
            tasks.start_soon(self._recording.run)
            tasks.start_soon(self._announce, fleet)
            self._guard.say({"t": "running"})
            await self._until_stopped(fleet)
            self._progress.say("stopping")
            self._service.stopping()
            runrecord.remove(state_dir)
            await fleet.stop()
            tasks.cancel_scope.cancel()
        self._progress.say("stopped")

    async def _lock(self) -> None:
        path = self._settings.state_dir / "lock"
        answer = await self._guard.lock(str(path))
        if answer["ok"] is True:
            return
        if "why" in answer:
            raise FleetError("OM0205", f"the state folder cannot be locked: {answer['why']}", where=str(path))
        raise FleetError(
            "OM0202",
            f"a fleet already runs in this state folder (pid {answer['pid']})",
            where=str(self._settings.state_dir),
            help="use it, stop it with `omnimind down`, or choose another folder with --state DIR",
        )

    async def _until_stopped(self, fleet: Fleet) -> None:
        await first_of(self._stop, fleet.stop_asked)
        fleet.stop_asked.set()
        self._stop.set()

    async def _reload_when_asked(self, reloader: Reloader) -> None:
        while True:
            await self._reload_asked.wait()
            self._reload_asked = anyio.Event()
            await reloader.tell(self._report)

    def _report(self, outcome: Outcome | OmniMindError) -> None:
        if isinstance(outcome, Outcome):
            self._progress.say(f"reloaded: {in_words(outcome)}")
            return
        self._progress.say("the configuration was not reloaded; the fleet goes on as before")
        for line in outcome.render(False).splitlines():
            self._progress.say(f"  {line}")

    async def _announce(self, fleet: Fleet) -> None:
        """Start all, then write the record and say where to connect."""
        await fleet.start()
        settings, bound = self._settings, fleet.ports
        guard = Identity.of(self._options.guard_pid)
        if guard is None or fleet.stop_asked.is_set():
            return
        token_file = settings.state_dir / tokens.TOKEN_FILE if settings.gateway.auth else None
        urls = {name: bound.url(name) for name in bound.servers}
        runrecord.write(settings.state_dir, guard, version, bound.url(), urls, token_file)
        ready = sum(server.phase is Phase.READY for server in fleet.servers.values())
        summary = f"{ready} of {len(fleet.servers)} servers ready, endpoint {bound.url()}"
        self._service.ready(summary)
        self._progress.say(summary)
        self._progress.say(f"token file {token_file}" if token_file else "no token is needed (--no-auth)")


async def _end_the_rest(family: Family) -> None:
    """Whatever still lives below us, the zygote first of all, ends here."""
    with anyio.move_on_after(2.0):
        while pidfd.kill_below(os.getpid()):  # noqa: ASYNC110
            await anyio.sleep(0.005)
    family.reap()
