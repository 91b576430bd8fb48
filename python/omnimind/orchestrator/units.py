"""Built-in servers that run as units of systemd: met at their sockets, watched, never started or ended by us.

Rules. There is one owner of restarts, and it is systemd. We connect when the fleet starts or a call asks, because
a connection starts a unit that systemd may start; a unit that went away is waited for without touching its socket
(its lock says when it runs again), so what the operator stopped stays stopped. It is ready while it answers the
worker protocol on a connection that is kept open, and gone when that closes or stays silent for three heartbeats.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import anyio

from omnimind.errors import OmniMindError
from omnimind.linux import proc, unixpath, usage
from omnimind.linux.pulse import Beat
from omnimind.orchestrator import negotiate
from omnimind.orchestrator.exits import Cause
from omnimind.orchestrator.heartbeat import MISSED
from omnimind.orchestrator.instances import House, Instance, StartFailed
from omnimind.orchestrator.lifecycle import Event, Phase, Policy
from omnimind.orchestrator.negotiate import Lines, NotReady
from omnimind.orchestrator.processes import Child
from omnimind.orchestrator.supervise import Server
from omnimind.settings import ServerSettings
from omnimind.systemd import rendezvous
from omnimind.systemd.units import instance

RETURN_S: Final = 5.0
"""How long calls wait for a unit that has just gone: systemd restarts one that crashed within that."""
LOOK_S: Final = 0.2
_LONGEST_PAUSE_S = 5.0


def policy(of_fleet: Policy) -> Policy:
    """A unit that fails is asked again for ever: that costs a connection, not a process."""
    return replace(
        of_fleet, max_attempts=1_000_000, backoff_max_s=min(of_fleet.backoff_max_s, _LONGEST_PAUSE_S)
    )


class Unit:
    """The source of one server's connections; there is nothing behind it that we could start."""

    def __init__(self, house: House, server: ServerSettings) -> None:
        self._house = house
        self._name = server.name
        runtime_dir = house.environ.get("XDG_RUNTIME_DIR")
        self.path = str(rendezvous.socket_path(server.name, house.state_dir, runtime_dir))
        self._asked_for = True
        self._sitting: Sitting | None = None
        self._met: int | None = None

    @property
    def help(self) -> str:
        """What the operator does instead of asking us."""
        return f"systemctl --user restart {instance(self._name)}"

    def configure(self, _: ServerSettings) -> None:
        """The unit reads the configuration itself, when it starts."""

    def demand(self) -> None:
        """A call wants it: the next look may have systemd start it."""
        self._asked_for = True

    def is_new(self) -> bool:
        """A process serves that we have not met."""
        pid = rendezvous.holder(self._house.state_dir, self._name)
        return pid is not None and pid != self._met

    async def launch(self) -> Instance:
        """A kept connection to the unit, which has answered. Raises StartFailed."""
        if self._sitting is not None:
            raise StartFailed(Cause(f"systemd keeps it; use {self.help}"))
        if not self._asked_for:
            await self._return()
        self._asked_for = False
        try:
            key = rendezvous.key(self._house.state_dir, self._name)
        except OmniMindError as fault:
            raise StartFailed(Cause(f"{fault.what} ({fault.where})", hopeless=True)) from None
        end = await self._connected()
        self._met = self._pid()
        try:
            self._sitting = await self._greeted(end, key)
        except BaseException:
            end.close()
            raise
        return self._sitting

    async def retire(self, old: Instance, patience_s: float) -> None:
        """Close our connection; the unit goes on."""
        await old.end(patience_s)

    async def leave(self) -> None:
        """Nothing is held for it."""

    # --- inside

    def _pid(self) -> int | None:
        return rendezvous.holder(self._house.state_dir, self._name)

    async def _return(self) -> None:
        """Wait until it runs again, without touching its socket."""
        with anyio.move_on_after(RETURN_S):
            while not self.is_new():  # noqa: ASYNC110
                await anyio.sleep(LOOK_S)
            return
        start = f"systemctl --user start {instance(self._name)}"
        reason = f"its unit does not run; why: omnimind systemd status; start it: {start}"
        raise StartFailed(Cause(reason, hopeless=True))

    async def _connected(self) -> socket.socket:
        """A connection. A unit that holds its lock but does not listen yet is about to."""
        while True:
            end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            end.setblocking(False)
            try:
                with unixpath.address(self.path) as short:
                    end.connect(short)
                return end
            except OSError as fault:
                end.close()
                if self._pid() is None:
                    reason = f"no unit answers at {self.path} ({os.strerror(fault.errno or 0)})"
                    install = f"omnimind systemd install --server {self._name}"
                    hint = f"why: omnimind systemd status; if it is not there: {install}"
                    raise StartFailed(Cause(f"{reason}; {hint}", hopeless=True)) from None
            await anyio.sleep(LOOK_S / 4)

    async def _greeted(self, end: socket.socket, key: bytes) -> Sitting:
        lines, unit = Lines(end.fileno(), end.fileno()), instance(self._name)
        try:
            await negotiate.greet_worker(lines, key, self._house.version)
        except (NotReady, OSError) as fault:
            if self._pid() is not None:
                raise StartFailed(Cause(str(fault))) from None
            reason = "it closed the connection: it could not start, or it runs with another state folder"
            raise StartFailed(
                Cause(f"{reason}; see: systemctl --user status {unit}", hopeless=True)
            ) from None
        pid = self._pid()
        self._met = pid
        return Sitting(self._name, _Watched.of(pid), self.path, key, end, lines, self._house, self._lost)

    def _lost(self, silent: bool) -> None:
        """One that is merely silent runs: asking it again starts nothing."""
        self._sitting, self._asked_for = None, self._asked_for or silent


class _Watched(Child):
    """A process that is not ours: no signal of ours ever reaches it."""

    @classmethod
    def of(cls, pid: int | None) -> _Watched:
        found = proc.read(pid) if pid is not None else None
        return cls(found.pid if found else 0, found.start_time if found else 0, None)

    def signal(self, number: int) -> bool:
        return False

    def signal_group(self, number: int) -> None:
        return None


@dataclass(slots=True)
class Sitting:
    """A unit that answers, over the connection that is kept to it."""

    name: str
    child: Child
    path: str
    key: bytes
    connection: socket.socket
    lines: Lines
    house: House
    lost: Callable[[bool], None]
    asked: int = 1
    silent: bool = False

    async def check(self) -> None:
        """Ask it over a new connection."""
        await negotiate.with_worker(self.path, self.key, self.house.version)

    async def gone(self) -> Cause:
        """Wait until the connection ends, or nothing comes for three heartbeats."""
        beat_s = self.house.heartbeat_ms / 1000
        try:
            while True:
                with anyio.move_on_after(beat_s):
                    await anyio.wait_readable(self.connection)
                self.asked += 1
                with anyio.fail_after(MISSED * beat_s):
                    await negotiate.ask_worker(self.lines, self.asked, self.house.version)
        except TimeoutError:
            self.silent = True
            return Cause(f"its unit does not answer for {MISSED * beat_s:g} s; systemd's watchdog judges it")
        except (OSError, NotReady):
            return Cause(f"its unit ended; see: journalctl --user -u {instance(self.name)}")

    async def end(self, grace_s: float) -> None:
        """Close the connection, and nothing else."""
        self.connection.close()
        self.lost(self.silent)

    def beat(self) -> Beat | None:
        """It says nothing of its calls."""
        return None

    def requests(self) -> int | None:
        """Not known here."""
        return None

    def memory_mb(self) -> int | None:
        """Memory that its process has for itself."""
        size = usage.private_bytes(self.child.pid) if self.child.pid else None
        return None if size is None else size // 2**20


async def watch(units: Mapping[str, Unit], servers: Mapping[str, Server]) -> None:
    """Look after parked servers whose unit runs again."""
    while True:
        for name, unit in list(units.items()):
            server = servers.get(name)
            if server is not None and server.phase is Phase.PARKED and unit.is_new():
                server.post(Event.WAKE)
        await anyio.sleep(LOOK_S)
