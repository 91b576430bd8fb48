"""A worker whose one tool gets stuck in a way that the caller names, kept by the orchestrator's own code.

`python stuck_worker.py keep HOW STATE` starts the worker as the orchestrator does, calls its tool and prints
what became of it as one JSON object. `python stuck_worker.py work …` is the worker; it is exec'd in place of
`omnimind.servers`.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import anyio

HEARTBEAT_MS = 200
ENOUGH_S = 1.5


def stick_busy() -> None:
    while True:
        pass


def stick_blocked() -> None:
    time.sleep(3600)


def work(listener: int, beats: int, key: int, state: Path) -> None:
    from mcp.server import MCPServer

    from omnimind.servers import __main__ as command
    from omnimind.servers import worker
    from omnimind.servers.pulse import Pulse

    server = MCPServer("stuck")

    @server.tool()
    async def stick(how: str) -> str:
        if how == "slow":
            await anyio.to_thread.run_sync(time.sleep, ENOUGH_S)
        else:
            {"busy": stick_busy, "blocked": stick_blocked}[how]()
        return "done"

    worker.build = lambda _: server
    held = socket.socket(fileno=listener)
    worker.run("thinking", held, command.read_key(key), state, [], Pulse(beats, HEARTBEAT_MS))


async def keep(how: str, state: Path) -> None:
    from omnimind.orchestrator import instances
    from omnimind.orchestrator.forks import Ends, Job
    from omnimind.orchestrator.instances import House
    from omnimind.orchestrator.logs import files
    from omnimind.orchestrator.processes import Child, Family
    from omnimind.settings import ServerSettings

    family = Family()

    class Exec:
        """Stands for the zygote: the same descriptors to the same kind of process."""

        async def start(self, job: Job, ends: Ends, environ: Mapping[str, str], *_: object) -> Child:
            read, write = os.pipe()
            os.write(write, job.key)
            os.close(write)
            numbers = [str(number) for number in (ends.listener, ends.pulse, read)]
            started = subprocess.Popen(  # noqa: ASYNC220
                [sys.executable, __file__, "work", *numbers, str(state)],
                stderr=ends.output,
                pass_fds=(ends.listener, ends.pulse, read),
                start_new_session=True,
            )
            started.returncode = 0
            os.close(read)
            return family.adopt(started.pid)

    async def reap() -> None:
        with anyio.open_signal_receiver(signal.SIGCHLD) as signals:
            async for _ in signals:
                family.reap()

    path = str(state / "stuck.sock")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(reap)
        house = House(family, Exec(), tasks, state, os.environ, "0", HEARTBEAT_MS)  # type: ignore[arg-type]
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen()
            log = files.LogFile(state, "stuck", 1_000_000, 0)
            settings = ServerSettings(name="stuck", kind="worker", builtin="thinking")
            running = await instances.launch_worker(house, settings, log, listener.fileno(), path)
            pid, called_s = running.child.pid, time.monotonic()
            with anyio.move_on_after(4 * ENOUGH_S):
                async with anyio.create_task_group() as calls:
                    calls.start_soon(call, running, how)
                    cause = await running.gone()
                    print(
                        json.dumps(
                            {
                                "reason": cause.reason,
                                "after_s": time.monotonic() - called_s,
                                "gone": not os.path.lexists(f"/proc/{pid}"),  # noqa: ASYNC240
                                "log": "\n".join(file.read_text() for file in state.glob("*.log")),  # noqa: ASYNC240
                                "requests": running.requests(),
                            }
                        )
                    )
                    calls.cancel_scope.cancel()
            await running.end(0.0)
        tasks.cancel_scope.cancel()


async def call(running: object, how: str) -> None:
    """One call; a server that answers it is killed, which is a cause of its own."""
    from omnimind.orchestrator.instances import Worker

    assert isinstance(running, Worker)
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    params = {"name": "stick", "arguments": {"how": how}, "_meta": meta}
    request = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}
    async with await anyio.connect_unix(running.path) as stream:
        await stream.send(running.key.hex().encode() + b"\n" + json.dumps(request).encode() + b"\n")
        answer = b""
        while b"\n" not in answer:
            try:
                answer += await stream.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return
        # Its readiness and this one, once a heartbeat has said so.
        while running.requests() != 2:  # noqa: ASYNC110
            await anyio.sleep(0.01)
    running.child.signal(signal.SIGKILL)


if __name__ == "__main__":
    if sys.argv[1] == "work":
        listener, beats, key = (int(number) for number in sys.argv[2:5])
        work(listener, beats, key, Path(sys.argv[5]))
    else:
        anyio.run(keep, sys.argv[2], Path(sys.argv[3]))
