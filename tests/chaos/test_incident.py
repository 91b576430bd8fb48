"""The incident that the project began with, as a test: nine servers, three of them hopeless, for four hours.

Then: 1,962 failures, a restart a minute and server for ever, 9.5 MB of log, no call answered. One server's port
was held, one could not import a module, one never answered. First with an injected clock (see
`virtual.py`): the real fleet, its servers, life cycle, logs and messages, with doubles only for processes and
gateway. Then in real time, shorter, with real processes.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import anyio
import pytest
from anyio.abc import TaskGroup

from omnimind import settings as configuration
from omnimind import tokens
from omnimind.orchestrator import exits
from omnimind.orchestrator.exits import Cause
from omnimind.orchestrator.fleet import Fleet as RealFleet
from omnimind.orchestrator.guardlink import Listener
from omnimind.orchestrator.instances import Instance, StartFailed
from omnimind.orchestrator.lifecycle import Phase
from omnimind.orchestrator.logs import files
from omnimind.orchestrator.ports import Ports
from omnimind.orchestrator.progress import Progress
from omnimind.orchestrator.supervise import Server, Source
from omnimind.settings import ServerSettings, Settings
from tests.chaos import virtual
from tests.chaos.neighbours import FULL, Load, ask, row
from tests.chaos.virtual import Clock
from tests.fleet import Fleet, fixture_entry

HOURS = 4
ATTEMPTS = 3
WINDOW_S = 60.0
LOG_BYTES = 1_000_000
CALL_EVERY_S = 1.0
WATCH_S = 40.0 if FULL else 6.0
PORT_HELD, IMPORT_ERROR, SILENT = "memory", "system_info", "python"
HOPELESS = (PORT_HELD, IMPORT_ERROR, SILENT)
HEALTHY = ("filesystem", "thinking", "context", "git", "sqlite", "logging")
SAYS = {
    PORT_HELD: [
        "Traceback (most recent call last):",
        '  File "/srv/mcp/memory/server.py", line 212, in <module>',
        '    uvicorn.run(app, host="127.0.0.1", port=4321)',
        '  File "/usr/lib/python3.11/asyncio/base_events.py", line 1525, in create_server',
        "    raise OSError(err.errno, msg) from None",
        "OSError: [Errno 98] error while attempting to bind on address ('127.0.0.1', 4321): address already in use",
    ],
    IMPORT_ERROR: [
        "Traceback (most recent call last):",
        '  File "/srv/mcp/system_info/server.py", line 3, in <module>',
        "    import psutil",
        "ModuleNotFoundError: No module named 'psutil'",
    ],
}


class Process:
    """A double of a running server."""

    def __init__(self, pid: int) -> None:
        self.child = SimpleNamespace(pid=pid, status=None, exited=anyio.Event())

    async def check(self) -> None:
        """It answers."""

    def beat(self) -> None:
        """It does not say how it is."""

    def requests(self) -> None:
        """It does not count."""

    def memory_mb(self) -> None:
        """It has none."""

    async def gone(self) -> Cause:
        await self.child.exited.wait()
        return Cause("ended")

    async def end(self, _grace_s: float) -> None:
        self.child.status = 0
        self.child.exited.set()


class Starts:
    """A double of where processes come from: says what the real ones said, and counts."""

    def __init__(self, name: str, log: files.LogFile, clock: Clock, at_s: list[float]) -> None:
        self._name, self._log, self._clock, self._at_s = name, log, clock, at_s

    async def launch(self) -> Instance:
        self._at_s.append(self._clock())
        pid = 10_000 + len(self._at_s)
        if self._name == SILENT:
            await anyio.sleep_forever()
        await anyio.sleep(0.3)
        if self._name in SAYS:
            intake = self._log.intake(pid)
            intake.feed("".join(f"{line}\n" for line in SAYS[self._name]).encode())
            intake.end()
            raise StartFailed(exits.classify(1 << 8, self._log.words_of(pid)))
        return cast(Instance, Process(pid))

    async def retire(self, old: Instance, patience_s: float) -> None:
        await old.end(patience_s)


class NoGateway:
    """A double of the gateway: up, and silent."""

    epoch, reason, state, pid = 1, None, "ready", 1

    def __init__(self) -> None:
        self.up = anyio.Event()
        self.up.set()
        self.told: Counter[str] = Counter()

    def tell(self, message: Mapping[str, Any], _descriptors: Sequence[int] = ()) -> None:
        self.told[str(message.get("state", message["t"]))] += 1

    tell_one = tell

    async def run(self) -> None:
        await anyio.sleep_forever()

    async def stats(self) -> None:
        """It counts nothing."""

    async def caught_up(self) -> None:
        """It is never behind."""

    async def drain(self) -> None:
        """It has nothing in flight."""


class IncidentFleet(RealFleet):
    """The real fleet, on the injected clock, with doubles where a process would be."""

    def __init__(self, settings: Settings, clock: Clock, tasks: TaskGroup) -> None:
        self.clock = clock
        self.starts: dict[str, list[float]] = {}
        nobody = cast(Any, None)
        address = ("127.0.0.1", 4320)
        ports = Ports(nobody, "127.0.0.1", Listener(-1, address), Listener(-1, "control"))
        began = files.wall_clock()
        kept = files.Logs(
            settings.state_dir / "logs",
            settings.orchestrator,
            wall=lambda: began + timedelta(seconds=clock()),
            tick_s=clock,
        )
        progress = Progress(kept.of("orchestrator"), tick_s=clock)
        super().__init__(
            settings, "test", ports, nobody, nobody, nobody, tasks, progress, "", os.getpid(), kept
        )
        self.gateway = cast(Any, NoGateway())

    def supervise(self, settings: ServerSettings) -> Server:
        server = super().supervise(settings)
        server._clock = self.clock
        return server

    def _source(self, settings: ServerSettings, log: files.LogFile) -> Source:
        return Starts(settings.name, log, self.clock, self.starts.setdefault(settings.name, []))


async def four_hours(clock: Clock, settings: Settings) -> tuple[IncidentFleet, Counter[str]]:
    """Every server is called every second, the hopeless ones too; the calls that failed, by server."""
    failed: Counter[str] = Counter()
    async with anyio.create_task_group() as tasks:
        fleet = IncidentFleet(settings, clock, tasks)
        await fleet.start()
        until_s = clock() + HOURS * 3600
        while clock() < until_s:
            for name, server in fleet.servers.items():
                if server.phase not in (Phase.READY, Phase.DEGRADED) or server.instance is None:
                    failed[name] += 1
                    await fleet.heard({"t": "wake", "server": name}, 1)
            await anyio.sleep(CALL_EVERY_S)
        await fleet.stop()
        tasks.cancel_scope.cancel()
    return fleet, failed


def most_in_a_window(starts_s: list[float], window_s: float) -> int:
    return max(sum(begin <= at_s < begin + window_s for at_s in starts_s) for begin in starts_s)


def bytes_of_logs(state: Path) -> int:
    return sum(file.stat().st_size for file in (state / "logs").rglob("*") if file.is_file())


@pytest.mark.roomy
@pytest.mark.timeout(300)
def test_four_hours_of_the_incident_cost_three_starts_a_window_no_call_and_a_megabyte_of_log(
    tmp_path: Path,
) -> None:
    state = tmp_path / "state"
    config = tmp_path / "mcp_servers.json"
    config.write_text(json.dumps({"mcpServers": {name: {"command": "x"} for name in HEALTHY + HOPELESS}}))
    settings = configuration.load(config, state, port=0, auth=False)
    tokens.ensure(settings.state_dir)
    (state / "logs").mkdir(mode=0o700, exist_ok=True)

    began_s = time.monotonic()
    fleet, failed = virtual.run(lambda clock: four_hours(clock, settings))
    took_s = time.monotonic() - began_s

    most = {name: most_in_a_window(starts_s, WINDOW_S) for name, starts_s in fleet.starts.items()}
    counts = {name: len(starts_s) for name, starts_s in fleet.starts.items()}
    print(
        f"{HOURS} h in {took_s:.1f} s; starts {counts}; most in a minute {most}; logs {bytes_of_logs(state)} bytes"
    )
    assert max(most.values()) <= ATTEMPTS
    assert all(counts[name] == 1 for name in HEALTHY)
    assert all(failed[name] == 0 for name in HEALTHY)
    # Parked is not dead: all of them were tried for four hours.
    assert all(counts[name] > HOURS * 50 for name in HOPELESS)
    assert bytes_of_logs(state) <= LOG_BYTES


def original_fleet(taken_port: int) -> dict[str, Any]:
    """The nine: the six built-in servers that serve, one of them without the port it wanted, and the three."""
    servers: dict[str, dict[str, Any]] = {name: {"port": 0} for name in HEALTHY}
    servers["filesystem"]["port"] = taken_port
    servers[PORT_HELD] = fixture_entry("hostile.port_lover", str(taken_port))
    servers[IMPORT_ERROR] = {"command": sys.executable, "args": ["-c", "import no_such_module_anywhere"]}
    servers[SILENT] = {"command": sys.executable, "args": ["-c", "import sys; list(sys.stdin)"]}
    return servers


@pytest.mark.alone
@pytest.mark.bar
@pytest.mark.timeout(180)
def test_the_incident_with_real_processes_touches_none_of_the_six() -> None:
    window_s = 10
    patience = {"restart": {"window_s": window_s}, "probe_ms": 4000, "start_timeout_ms": 3000}
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        with Fleet(original_fleet(port), orchestrator=patience) as fleet:
            load = Load(fleet, HEALTHY, rate_per_s=10)
            with load.running(), count_starts(fleet) as starts:
                load.spend("beside the incident", WATCH_S)
            most = {name: most_in_a_window(starts[name], window_s) for name in HOPELESS}
            size = bytes_of_logs(fleet.state)
            print(
                f"{sum(load.outcomes.values())} calls; most starts in {window_s} s {most}; logs {size} bytes"
            )
            assert load.errors() == {}
            assert max(most.values()) <= ATTEMPTS
            assert size <= LOG_BYTES
            rows = {name: row(fleet, name) for name in HEALTHY + HOPELESS}
        assert {rows[name]["state"] for name in HEALTHY} == {"ready"}
        assert {rows[name]["restarts"] for name in HEALTHY} == {0}, [rows[name] for name in HEALTHY]
        assert f"port {port} is held by" in rows["filesystem"]["reason"]
        assert f"pid {os.getpid()}" in rows["filesystem"]["reason"]
        assert "no_such_module_anywhere" in rows[IMPORT_ERROR]["reason"]
        assert str(rows[SILENT]["reason"])
        socket.create_connection(("127.0.0.1", port), timeout=1).close()


@contextmanager
def count_starts(fleet: Fleet) -> Iterator[dict[str, list[float]]]:
    """When each hopeless server was started, by the fleet's own count, looked at often."""
    starts: dict[str, list[float]] = {name: [] for name in HOPELESS}
    stop = threading.Event()

    def watch() -> None:
        known = {name: row(fleet, name)["restarts"] for name in HOPELESS}
        while not stop.wait(0.05):
            now = {server["name"]: server["restarts"] for server in ask(fleet, cmd="status")["servers"]}
            for name in HOPELESS:
                starts[name] += [time.monotonic()] * (now[name] - known[name])
                known[name] = now[name]

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield starts
    finally:
        stop.set()
        watching.join()
