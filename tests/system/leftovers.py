"""What tests of orphans share: every shape of offspring, and a fleet whose servers breed them."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from omnimind.linux import proc
from omnimind.orchestrator import ledger
from tests.fleet import Fleet, wait_until
from tests.system.double import doubled, status, tiny

SHAPES = ("session", "daemon", "bare", "shell")
"""How a server's grandchild may have been started; all of them ignore SIGTERM."""

Processes = set[tuple[int, int]]


def breeder(shape: str, file: Path) -> dict[str, Any]:
    """A server that ignores the end of stdin and SIGTERM, and has a grandchild of this shape."""
    return tiny("--stubborn", "--offspring", str(file), "--breed", shape)


def breeders(file: Path) -> dict[str, Any]:
    """One breeder a shape, one of them behind `sh -c` itself, and a worker."""
    servers = {shape: breeder(shape, file) for shape in SHAPES}
    wrapped = breeder("session", file)
    line = " ".join([wrapped["command"], *wrapped["args"]])
    servers["shelled"] = {"command": "sh", "args": ["-c", f"{line}; true"]}
    servers["filesystem"] = {"port": 0}
    return servers


def fleet_of_breeders(file: Path, **restart: Any) -> Fleet:
    """Not started yet."""
    return doubled(breeders(file), orchestrator={"restart": {"max_attempts": 1000, **restart}})


def recorded(fleet: Fleet) -> set[int]:
    """The pids on the fleet's record."""
    return {pid for life in ledger.read(fleet.state) for pid, _ in life.processes}


def kill_guard_and_orchestrator(fleet: Fleet) -> None:
    """Both at the same instant: neither sees the other die, because both are stopped before."""
    pids = (fleet.pid, int(status(fleet)["orchestrator"]["pid"]))
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in pids:
            os.kill(pid, number)
    wait_for_guard(fleet)


def wait_for_guard(fleet: Fleet) -> None:
    """Until the killed guard is gone."""
    process = fleet._process
    assert process is not None
    process.wait(10)


def end(processes: Processes) -> None:
    """Leave nothing behind, whatever the test showed."""
    for pid, start_time in processes:
        found = proc.read(pid)
        if found is not None and found.start_time == start_time:
            os.kill(pid, signal.SIGKILL)


def wait_for_record(fleet: Fleet, pids: set[int]) -> None:
    wait_until(lambda: pids <= recorded(fleet), 10, f"{pids} are on record")


def decoy_command() -> list[str]:
    """A stranger that does nothing."""
    return [sys.executable, "-S", "-c", "import time; print('up', flush=True); time.sleep(86400)"]
