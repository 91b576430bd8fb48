"""Killed and back: OmniMind beside supervisord and circus, keeping the same small server alive.

    python -m benches.supervisors [--kills 30] [--json FILE]

All three run at once and are killed from in turns, so that what else the machine does falls on all alike. The
server is `tests/fixtures/tally.py`: a program that supervisord starts and that binds its port itself, one that
circus starts on a socket that circus holds, and a stdio child behind our gateway; our built-in server, forked
from the zygote, is measured beside them. After each kill -9 a new connection is tried every few milliseconds:
those that are refused are counted, and the time to the first answer of another process is taken. In the end
each supervisor itself is killed, and what it left running is counted. The peers come from the package index
into `.tools/`, pinned by hash in `requirements/contract-supervisors.txt`.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from tests.fleet import FIXTURES, ROOT, Fleet, fixture_entry

PROBE_S = 0.005
BACK_S = 30.0
STEADY_S = 1.2
"""Between two kills: supervisord calls a program running after a second, and an earlier death a failed start."""
LEFT_AFTER_S = 3.0
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


@dataclass
class Contender:
    """One supervised server: where it answers, and how its process is found."""

    name: str
    address: tuple[str, int]
    path: str
    supervisor: int
    worker: str = ""
    took_s: list[float] = field(default_factory=list)
    refused: int = 0

    def pid(self) -> int | None:
        """The process that serves, by its own word; a built-in's is found below the supervisor."""
        if self.worker:
            return next((p.pid for p in below(self.supervisor) if p.name() == self.worker), None)
        answer = self._ask("resources/read", {"uri": "tally://self"})
        return None if answer is None else int(json.loads(answer["result"]["contents"][0]["text"])["pid"])

    def _ask(
        self, method: str, params: dict[str, object]
    ) -> dict[str, dict[str, list[dict[str, str]]]] | None:
        """One call on a connection of its own; None if it was not answered."""
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": META}}
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": "2026-07-28",
            "Mcp-Method": method,
            "Mcp-Name": str(params.get("uri", "")),
        }
        connection = HTTPConnection(*self.address, timeout=BACK_S)
        try:
            connection.request("POST", self.path, json.dumps(message), headers)
            answer = json.loads(connection.getresponse().read())
        except ConnectionRefusedError:
            self.refused += 1
            return None
        except (OSError, HTTPException, ValueError):
            return None
        finally:
            connection.close()
        return answer if "result" in answer else None

    def kill_once(self) -> None:
        """Kill -9, and wait for the first answer of another process."""
        pid = self.pid()
        if pid is None:
            raise RuntimeError(f"{self.name} does not answer")
        began_s = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        while time.monotonic() < began_s + BACK_S:
            if self._ask("tools/list", {}) is not None:
                self.took_s.append(time.monotonic() - began_s)
                return
            time.sleep(PROBE_S)
        raise RuntimeError(f"{self.name} did not come back")

    def left(self) -> int:
        """Kill -9 of the supervisor; how many of its processes run on. They are ended."""
        family = below(self.supervisor)
        os.kill(self.supervisor, signal.SIGKILL)
        _, alive = psutil.wait_procs(family, timeout=LEFT_AFTER_S)
        running = [p for p in alive if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
        for process in running:
            process.kill()
        return len(running)

    def row(self, left: int) -> dict[str, object]:
        ordered = sorted(self.took_s)
        return {
            "name": self.name,
            "kills": len(ordered),
            "p50_ms": round(1000 * statistics.median(ordered), 1),
            "p99_ms": round(1000 * ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))], 1),
            "refused_per_kill": round(self.refused / len(ordered), 1),
            "left_after_kill_of_supervisor": left,
        }


def below(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def tally(folder: Path, *arguments: str) -> list[str]:
    return [sys.executable, str(FIXTURES / "tally.py"), "--file", str(folder / "tally"), *arguments]


@contextmanager
def supervisord(folder: Path, script: Path) -> Iterator[list[Contender]]:
    """Its own defaults; the program binds its port."""
    port = free_port()
    command = " ".join(tally(folder, "--http", str(port)))
    configuration = folder / "supervisord.conf"
    configuration.write_text(
        f"[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile={folder}/supervisord.pid\n"
        f"[program:tally]\ncommand={command}\nautorestart=true\nredirect_stderr=true\nstdout_logfile=NONE\n"
    )
    with running([str(script), "-n", "-c", str(configuration)]) as pid:
        yield [Contender("supervisord 4.3.0", ("127.0.0.1", port), "/mcp", pid)]


@contextmanager
def circus(folder: Path, script: Path) -> Iterator[list[Contender]]:
    """It holds the socket, as it can; it looks for dead processes every second instead of every five."""
    port = free_port()
    command = " ".join(tally(folder, "--http-fd", "$(circus.sockets.web)"))
    configuration = folder / "circus.ini"
    configuration.write_text(
        f"[circus]\ncheck_delay = 1\nendpoint = ipc://{folder}/circus.ctl\npubsub_endpoint = ipc://{folder}/circus.pub\n"
        f"[socket:web]\nhost = 127.0.0.1\nport = {port}\n"
        f"[watcher:tally]\ncmd = {command}\nuse_sockets = True\ncopy_env = True\n"
    )
    with running([str(script), str(configuration)]) as pid:
        yield [Contender("circus 0.19.0", ("127.0.0.1", port), "/mcp", pid)]


@contextmanager
def ours(folder: Path) -> Iterator[list[Contender]]:
    restart = {"max_attempts": 1000, "backoff_min_ms": 0, "backoff_max_ms": 0}
    servers = {
        "tally": fixture_entry("tally", "--file", str(folder / "tally"), restart=restart),
        "thinking": {"port": 0, "restart": restart},
    }
    with Fleet(servers) as fleet:
        url = urlsplit(fleet.base)
        address = (url.hostname or "", url.port or 0)
        yield [
            Contender("OmniMind, stdio child", address, "/servers/tally/mcp", fleet.pid),
            Contender("OmniMind, built-in", address, "/servers/thinking/mcp", fleet.pid, worker="thinking"),
        ]


@contextmanager
def running(command: list[str]) -> Iterator[int]:
    """A supervisor in the foreground; ended with all below it."""
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        yield process.pid
    finally:
        family = below(process.pid)
        process.kill()
        process.wait()
        for child in family:
            if child.is_running():
                child.kill()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def until_up(contender: Contender) -> None:
    until_s = time.monotonic() + BACK_S
    while contender.pid() is None:
        if time.monotonic() > until_s:
            raise RuntimeError(f"{contender.name} did not start")
        time.sleep(0.05)
    contender.refused = 0


def measure(kills: int) -> list[dict[str, object]]:
    """The rows of the table."""
    scripts = peers()
    with ExitStack() as stack:
        names = ("supervisord", "circus", "ours")
        folders = {
            name: Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="oms-"))) for name in names
        }
        contenders = [
            *stack.enter_context(supervisord(folders["supervisord"], scripts / "supervisord")),
            *stack.enter_context(circus(folders["circus"], scripts / "circusd")),
            *stack.enter_context(ours(folders["ours"])),
        ]
        for contender in contenders:
            until_up(contender)
        time.sleep(STEADY_S)
        for _ in range(kills):
            for contender in contenders:
                contender.kill_once()
            time.sleep(STEADY_S)
        left = {contender.supervisor: contender.left() for contender in contenders[:3]}
        return [contender.row(left[contender.supervisor]) for contender in contenders]


def peers() -> Path:
    """The folder of the peers' scripts, made if it is missing."""
    spec = importlib.util.spec_from_file_location("toolbox", ROOT / "tests" / "contract" / "toolbox.py")
    assert spec is not None
    assert spec.loader is not None
    toolbox = importlib.util.module_from_spec(spec)
    sys.modules["toolbox"] = toolbox
    spec.loader.exec_module(toolbox)
    script: Path = toolbox.prepare(("supervisors",), npm=False).script("supervisors", "supervisord")
    return script.parent


def table(rows: list[dict[str, object]]) -> str:
    heads = {
        "kills": "kills",
        "p50_ms": "p50 ms",
        "p99_ms": "p99 ms",
        "refused_per_kill": "refused a kill",
        "left_after_kill_of_supervisor": "left after its own kill",
    }
    lines = [" " * 24 + "".join(f"{head:>{len(head) + 4}}" for head in heads.values())]
    for row in rows:
        cells = (f"{row[key]!s:>{len(head) + 4}}" for key, head in heads.items())
        lines.append(f"{row['name']:<24}{''.join(cells)}")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benches.supervisors", description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = measure(options.kills)
    print(table(rows))
    if options.json:
        options.json.parent.mkdir(exist_ok=True)
        options.json.write_text(
            json.dumps({"date": time.strftime("%Y-%m-%d"), "rows": rows}, indent=2) + "\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
