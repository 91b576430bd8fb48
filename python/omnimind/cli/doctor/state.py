"""The state folder: whose it is, what others could read in it, what earlier runs left, how much is logged."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from omnimind import tokens
from omnimind.cli import leftovers
from omnimind.cli.doctor.finding import Finding, fail, ok, warn
from omnimind.errors import OmniMindError

_LARGE_BYTES: Final = 1 << 30
_SHOWN: Final = 5
_OURS: Final = ("run", "logs", "units")
"""Folders whose files nobody else has any business with; a server's data has modes of its own."""
CLEAR = "omnimind down --stale"


def examine(state: Path) -> Iterator[Finding]:
    """Every finding about the folder."""
    if not state.exists():
        yield ok("state folder", f"{state} is made at the first start")
        return
    try:
        tokens.open_state(state)
        names = [principal.name for principal in tokens.principals(state)]
        tokens.key_ring(state)
        if names:
            tokens.local_token(state)
    except OmniMindError as error:
        yield fail("state folder", str(error), error.help or f"make it yours alone: chmod -R go-rwx {state}")
        return
    yield ok("state folder", f"{state}: {len(names)} principals")
    if stat.S_IMODE(state.stat().st_mode) & 0o055:
        yield warn("state folder", "other users can look into it", f"chmod 700 {state}")
    yield from _modes(state)
    yield from _stale(state)
    yield _logs(state)


def _modes(state: Path) -> Iterator[Finding]:
    paths = [state / folder for folder in _OURS]
    paths += [path for folder in (state, *paths) if folder.is_dir() for path in folder.iterdir()]
    strange: list[Path] = []
    open_to_others: list[Path] = []
    for path in paths:
        try:
            found = path.lstat()
        except OSError:
            continue
        if found.st_uid != os.geteuid():
            strange.append(path)
        elif stat.S_IMODE(found.st_mode) & 0o077 and (not path.is_dir() or path.name in _OURS):
            open_to_others.append(path)
    if strange:
        fix = f"chown {os.geteuid()} {_named(strange)} (as root), or choose another folder: --state DIR"
        yield fail("owner", f"of another user: {_named(strange)}", fix)
    if open_to_others:
        names = _named(open_to_others)
        yield warn("modes", f"open to other users: {names}", f"chmod go-rwx {names}")
    if not strange and not open_to_others:
        yield ok("modes", "what the fleet writes is closed to others")


def _named(paths: list[Path]) -> str:
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return " ".join(map(str, paths[:_SHOWN])) + more


def _stale(state: Path) -> Iterator[Finding]:
    found = leftovers.look(state)
    for left in found.processes:
        yield warn("leftover", f"{left.name} (pid {left.pid}) of an earlier run still runs", CLEAR)
    for path in found.sockets:
        yield warn("stale socket", path, f"{CLEAR}; the next start reuses it too")
    if not found.processes and not found.sockets:
        yield ok("earlier runs", "left nothing")


def _logs(state: Path) -> Finding:
    sizes = [path.stat().st_size for path in (state / "logs").glob("*") if path.is_file()]
    detail = f"{sum(sizes) / 2**20:.1f} MiB in {len(sizes)} files"
    if sum(sizes) > _LARGE_BYTES:
        return warn("logs", detail, "empty them: omnimind logs --reset; keep less: orchestrator.log_bytes")
    return ok("logs", detail)
