"""What earlier runs of a state folder left, and who holds the fleet's ports: looked at, or cleared away.

Only what is proven to be ours is ended (see `orchestrator.stale`), and only while no fleet could be starting:
the folder's lock is held, or the running fleet's own is spared. Whoever else holds a port is named, no more.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from omnimind import catalog
from omnimind.cli import fleet
from omnimind.errors import FleetError
from omnimind.linux import proc
from omnimind.orchestrator import holders, sockets, stale
from omnimind.orchestrator.ledger import Life
from omnimind.orchestrator.stale import Leftover

PORTS: Final = range(catalog.GATEWAY_PORT, catalog.GATEWAY_PORT + 11)


@dataclass(frozen=True, slots=True)
class Stranger:
    """Somebody who is not of this fleet and listens on one of its usual ports; None where that is hidden."""

    port: int
    pid: int | None
    name: str | None


@dataclass(frozen=True, slots=True)
class Survey:
    """What there is. `left` withstood; `fleet_pid` is the guard of a fleet that runs here and is spared."""

    fleet_pid: int | None
    processes: tuple[Leftover, ...]
    left: tuple[Leftover, ...]
    sockets: tuple[str, ...]
    strangers: tuple[Stranger, ...]


def look(state_dir: Path) -> Survey:
    """What `clear` would do; changes nothing."""
    guard = fleet.holder(state_dir)
    found = stale.find(_earlier(state_dir, guard), _roots(guard))
    paths = () if guard else tuple(path for path in _socket_paths(state_dir) if _is_stale(path))
    return Survey(guard[0] if guard else None, tuple(found), (), paths, _strangers(guard))


def clear(state_dir: Path) -> Survey:
    """End what earlier runs left and remove stale socket files."""
    with _locked(state_dir) as ours:
        guard = None if ours else fleet.holder(state_dir)
        if ours is False and guard is None:
            raise FleetError(
                "OM0204", "a fleet is just starting or stopping here", help="try again in a moment"
            )
        lives = _earlier(state_dir, guard)
        ended = stale.end_all(lives, _roots(guard))
        removed: list[str] = []
        if ours:
            for path in _socket_paths(state_dir):
                with contextlib.suppress(OSError):
                    if sockets.remove_if_stale(path):
                        removed.append(path)
            if not ended.left:
                stale.forget(state_dir, lives)
    guard = guard or fleet.holder(state_dir)
    return Survey(guard[0] if guard else None, ended.gone, ended.left, tuple(removed), _strangers(guard))


@contextlib.contextmanager
def _locked(state_dir: Path) -> Iterator[bool | None]:
    """True while this process holds the folder's lock; False if a fleet does, None if there is no folder."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(state_dir / fleet.LOCK_FILE, flags, 0o600)
    except OSError:
        yield None
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        yield False
        return
    try:
        yield True
    finally:
        os.close(descriptor)


def _earlier(state_dir: Path, guard: tuple[int, int] | None) -> list[Life]:
    """The runs on record but that of the fleet which runs now."""
    return [life for life in stale.earlier(state_dir) if guard is None or guard not in life.processes]


def _roots(guard: tuple[int, int] | None) -> list[int]:
    """Whose trees are spared: this process's, and that of the fleet which runs."""
    return [os.getpid()] if guard is None else [os.getpid(), guard[0]]


def _socket_paths(state_dir: Path) -> Iterator[str]:
    for folder in (state_dir, state_dir / "run"):
        for path in sorted(folder.glob("*.sock")):
            yield os.fspath(path)


def _is_stale(path: str) -> bool:
    try:
        return sockets.is_stale(path)
    except OSError:
        return False


def _strangers(guard: tuple[int, int] | None) -> tuple[Stranger, ...]:
    family = set() if guard is None else {guard[0], *(p.pid for p in proc.descendants(guard[0], proc.scan()))}
    found: list[Stranger] = []
    for port in PORTS:
        holder = holders.of_port(port)
        if holder is not None and holder.pid not in family:
            found.append(Stranger(port, holder.pid, holder.name))
    return tuple(found)
