"""A changed configuration, taken over while everything runs.

Rules. Validated as a whole first: a file with a mistake changes nothing. Then only what differs is touched: a
server whose process would be another one is renewed (the successor answers before the old one is let go), one
whose settings concern only us or the gateway is not. What cannot change under a running fleet is named.
The file is looked at twice a second and taken when it has come to rest: that sees every way of replacing a
file, on every file system.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import anyio

from omnimind.errors import OmniMindError
from omnimind.orchestrator import order
from omnimind.orchestrator.fleet import Fleet
from omnimind.orchestrator.ports import GATEWAY
from omnimind.settings import GatewaySettings, ServerSettings, Settings

LOOK_S = 0.5

_PROCESS = ("builtin", "command", "args", "env", "cwd", "user", "resources")
"""Settings that make another process of a server."""
_NATURE = ("kind", "sessions")
"""Settings that make another server of it."""
_FIXED = ("host", "port")
_FIXED_HERE = ("start_timeout_ms", "drain_timeout_ms", "heartbeat_ms")


@dataclass(frozen=True, slots=True)
class Differences:
    """What a new configuration changes, by server name; `fixed` are keys that need a restart of the fleet.

    What is only `adjusted` runs on as it is, the gateway too: it is told the new settings.
    """

    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    renewed: list[str] = field(default_factory=list)
    adjusted: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    fixed: list[str] = field(default_factory=list)


def differences(old: Settings, new: Settings) -> Differences:
    """Compare two configurations."""
    before = {server.name: server for server in old.servers if server.enabled}
    after = {server.name: server for server in new.servers if server.enabled}
    found = Differences(
        added=[name for name in after if name not in before],
        removed=[name for name in before if name not in after],
        fixed=[
            *(f"gateway.{key}" for key in _FIXED if getattr(old.gateway, key) != getattr(new.gateway, key)),
            *(
                f"orchestrator.{key}"
                for key in _FIXED_HERE
                if getattr(old.orchestrator, key) != getattr(new.orchestrator, key)
            ),
        ],
    )
    for name in after:
        if name in before and before[name] != after[name]:
            changed = _changed(before[name], after[name])
            if changed & set(_NATURE):
                found.replaced.append(name)
                continue
            (found.renewed if changed & set(_PROCESS) else found.adjusted).append(name)
            if "port" in changed:
                found.moved.append(name)
    if _changed(old.gateway, new.gateway) - set(_FIXED):
        found.adjusted.append(GATEWAY)
    return found


def _changed(old: ServerSettings | GatewaySettings, new: ServerSettings | GatewaySettings) -> set[str]:
    return {key.name for key in fields(old) if getattr(old, key.name) != getattr(new, key.name)}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a reload did; `kept` says why a server still runs as before."""

    differences: Differences
    kept: dict[str, str]


class Reloader:
    """Takes a changed configuration over, one change at a time."""

    def __init__(self, fleet: Fleet, read: Callable[[], Settings]) -> None:
        self._fleet = fleet
        self._read = read
        self._turn = anyio.Lock()

    async def reload(self) -> Outcome:
        """Read the file again and act. Raises OmniMindError if it is not valid; nothing has changed then."""
        async with self._turn:
            fleet, new = self._fleet, self._read()
            found = differences(fleet.settings, new)
            await self._leave(found.removed + found.replaced)
            for name in found.moved:
                await fleet.unlisten(name)
            await self._arrive(found, new)
            kept = {}
            renewed = {server.name: server for server in new.servers if server.name in found.renewed}
            for wave in order.waves(renewed.values()):
                for name in wave:
                    server = fleet.servers[name]
                    if not await server.renew():
                        kept[name] = server.note or server.reason or f"it is {server.phase.value}"
            return Outcome(found, kept)

    async def _leave(self, names: list[str]) -> None:
        """End what is no longer there; the gateway hears of it first."""
        fleet = self._fleet
        if not names:
            return
        staying = tuple(s for s in fleet.settings.servers if s.name not in names)
        fleet.apply(replace(fleet.settings, servers=staying))
        for name in names:
            await fleet.unlisten(name)
        await fleet.gateway.caught_up()
        await fleet.stop_some(names)
        for name in names:
            await fleet.forget(name)

    async def _arrive(self, found: Differences, new: Settings) -> None:
        """Take the new settings over and start what is new."""
        fleet = self._fleet
        fleet.configure(new)
        fresh = [server for server in new.servers if server.name in found.added + found.replaced]
        for settings in fresh:
            fleet.supervise(settings)
        fleet.apply(new)
        for settings in new.servers:
            if settings in fresh or settings.name in found.moved:
                await fleet.listen(settings)
        for server in fresh:
            fleet.begin(server.name)
        for wave in order.waves(fresh):
            await fleet.start_some(wave)

    async def watch(self, path: Path, report: Callable[[Outcome | OmniMindError], None]) -> None:
        """Reload whenever the file has changed and come to rest."""
        taken = seen = _signature(path)
        while True:
            await anyio.sleep(LOOK_S)
            now = _signature(path)
            if now == seen != taken and now is not None:
                taken = now
                await self.tell(report)
            seen = now

    async def tell(self, report: Callable[[Outcome | OmniMindError], None]) -> None:
        """Reload and report what came of it, a mistake included."""
        try:
            report(await self.reload())
        except OmniMindError as mistake:
            report(mistake)


def in_words(outcome: Outcome) -> str:
    """One line about a reload."""
    found = outcome.differences
    parts = [
        f"{word} {', '.join(names)}"
        for word, names in (
            ("added", found.added),
            ("removed", found.removed),
            ("replaced", found.replaced),
            ("renewed", [name for name in found.renewed if name not in outcome.kept]),
            ("adjusted", found.adjusted),
        )
        if names
    ]
    parts += [f"{name} {why}" for name, why in outcome.kept.items()]
    if found.fixed:
        parts.append(f"takes effect at the next start of the fleet: {', '.join(found.fixed)}")
    return "; ".join(parts) or "nothing changed"


def _signature(path: Path) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
