"""`run.json`: where the fleet is, for commands and tests. Written when it is ready, removed when it stops.

It names the guard, which lives as long as the fleet, by pid, start time and boot, so that a record left by a
crash is recognised as stale. 0600 and written in one step.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from omnimind.orchestrator.identity import Identity

FILE = "run.json"


def write(
    state_dir: Path,
    guard: Identity,
    version: str,
    gateway: str,
    servers: Mapping[str, str],
    token_file: Path | None,
) -> None:
    """Write the record."""
    record = {
        "pid": guard.pid,
        "start_time": guard.start_time,
        "boot_id": guard.boot_id,
        "version": version,
        "endpoints": {"gateway": gateway, "servers": dict(servers)},
        "token_file": str(token_file) if token_file else None,
    }
    fresh = state_dir / f".{FILE}.{os.getpid()}"
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        json.dump(record, file, indent=2)
        file.write("\n")
    os.replace(fresh, state_dir / FILE)


def remove(state_dir: Path) -> None:
    """Remove the record, if there is one."""
    with contextlib.suppress(OSError):
        (state_dir / FILE).unlink()
