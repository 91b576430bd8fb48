"""Keeps one throw-away fleet: `python -m omnimind.bench.nine_keeper`, started by `bench.nine` and by nobody else.

It reads one line of JSON (what fleet is wanted), makes the folder and the fleet, answers with one line (where they
are), and then waits for the end of its input. Whoever started it may be killed in any way: the input ends, and the
fleet and the folder go. It runs in a session of its own, so that Ctrl-C reaches its master only. Should it be killed
itself, the kernel ends the fleet (the orchestrator's parent-death signal), and its master removes the folder.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from omnimind import catalog, tokens
from omnimind.bench import nine_world

_START_S: Final = 60.0
_STOP_S: Final = 20.0
_POLL_S: Final = 0.02
_TAIL_BYTES: Final = 3_000
_TRAMPOLINE: Final = (
    "import os, signal, sys; from omnimind.linux import process; parent = int(sys.argv[1]);"
    "process.die_with_parent(parent, signal.SIGTERM) or sys.exit(1);"
    "os.execv(sys.executable, [sys.executable, '-P', '-m', 'omnimind.orchestrator', *sys.argv[2:]])"
)
"""The orchestrator hears of the keeper's death from the kernel; the signal is the thread's, and survives exec."""


class _LeftError(Exception):
    """The master is gone, or wants no fleet any more."""


def main() -> int:
    """Keep the fleet that the first line of the input wants, until the input ends."""
    signal.signal(signal.SIGTERM, _leave)
    wanted = json.loads(sys.stdin.buffer.readline() or b"{}")
    if not wanted:
        return 1
    folder = Path(tempfile.mkdtemp(prefix="omnimind-nine-")).resolve()
    process: subprocess.Popen[bytes] | None = None
    try:
        agents = _prepare(folder, wanted)
        process = _launch(folder)
        record = _ready(process, folder)
        _say({"folder": str(folder), "guard": process.pid, "agents": agents, **record})
        while not _has_left(1.0):
            if process.poll() is not None:
                return 1  # the master sees it by asking
    except _LeftError:
        return 0
    except OSError as error:
        _say({"error": f"{error.strerror or error}", "said": _said(folder)})
        return 1
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if process is not None:
            _end(process)
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def _leave(*_: object) -> None:
    raise _LeftError


def _prepare(folder: Path, wanted: dict[str, Any]) -> list[dict[str, str]]:
    """Everything but the fleet itself; the agents with their tokens."""
    nine_world.write(folder, wanted["seed"])
    state = folder / "state"
    agents = [f"agent-{number}" for number in range(1, wanted["agents"] + 1)]
    found = [{"name": name, "token": tokens.add(state, name)} for name in agents]
    (folder / "mcp_servers.json").write_text(json.dumps(_document(folder, wanted), indent=1))
    return found


def _document(folder: Path, wanted: dict[str, Any]) -> dict[str, Any]:
    """The nine as they are shipped, but for free ports, and for what they are given to work on."""
    files = folder / "files"
    arguments = {
        "filesystem": [str(files)],
        "git": ["--repository", str(files)],
        "sqlite": ["--db-path", str(folder / "shop.db")],
    }
    servers: dict[str, dict[str, Any]] = {
        builtin.name: {"port": 0, "args": arguments.get(builtin.name, [])} for builtin in catalog.BUILTINS
    }
    for server, tools in wanted["compress"].items():
        servers[server]["compress"] = {"tools": dict.fromkeys(tools, True)}
    gateway = {"port": 0} if wanted["cache"] else {"port": 0, "cache": False}
    return {"mcpServers": servers, "gateway": gateway}


def _launch(folder: Path) -> subprocess.Popen[bytes]:
    options = ["--config", str(folder / "mcp_servers.json"), "--state", str(folder / "state")]
    with (folder / "orchestrator.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-P", "-c", _TRAMPOLINE, str(os.getpid()), *options],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
        )


def _ready(process: subprocess.Popen[bytes], folder: Path) -> dict[str, Any]:
    """What `run.json` says. Raises TimeoutError or ChildProcessError if the fleet does not come up."""
    end_s = time.monotonic() + _START_S
    file = folder / "state" / "run.json"
    while time.monotonic() < end_s:
        if process.poll() is not None:
            raise ChildProcessError(f"the orchestrator ended with {process.returncode}")
        try:
            record = json.loads(file.read_bytes())
        except (FileNotFoundError, json.JSONDecodeError):
            record = None
        if record is not None:
            return {
                "url": record["endpoints"]["gateway"],
                "start_time": record["start_time"],
                "token": tokens.local_token(folder / "state"),
            }
        if _has_left(_POLL_S):
            raise _LeftError
    raise TimeoutError(f"the fleet was not ready after {_START_S:g} s")


def _has_left(wait_s: float) -> bool:
    """Whether the input has ended; nothing else ever comes."""
    return bool(select.select([sys.stdin.buffer], [], [], wait_s)[0])


def _say(what: dict[str, Any]) -> None:
    try:
        print(json.dumps(what), flush=True)  # noqa: T201 - the answer
    except BrokenPipeError:
        raise _LeftError from None


def _said(folder: Path) -> str:
    try:
        return (folder / "orchestrator.log").read_bytes()[-_TAIL_BYTES:].decode(errors="replace")
    except OSError:
        return ""


def _end(process: subprocess.Popen[bytes]) -> None:
    """In order; kill -9 of what does not hear. The guard's death ends its tree."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


if __name__ == "__main__":
    sys.exit(main())
