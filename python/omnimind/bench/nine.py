"""A throw-away fleet of the nine built-in servers, and the fixed mix of calls that is sent to it.

    with Nine(fleet.ask, Client) as nine:
        plan = Plan(url=nine.url, token=nine.token, mix=nine.mix(), ...)
        nine.status(), nine.metrics()

Rule: it touches nothing of the user's and leaves nothing behind. A folder of its own holds state and data, all ports
are free ones, and `nine_keeper` ends it whatever becomes of this process: the end of the block, an exception, Ctrl-C,
kill -9. How to ask a fleet (the control socket) and how to call a tool are passed in, as in `omnimind.stress`.
"""

from __future__ import annotations

import importlib.resources
import json
import shutil
import signal
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Protocol, Self

from omnimind import catalog
from omnimind.bench import nine_world
from omnimind.errors import FleetError
from omnimind.linux import pidfd
from omnimind.monitor import gateway
from omnimind.stress import mix
from omnimind.stress.mix import Mix, Principal
from omnimind.stress.running import Fleet

AGENTS: Final = 8
"""Principals that call, each with memories, contexts and records of its own."""
COMPRESSIBLE: Final = (
    "filesystem__read_text_file",
    "filesystem__search_files",
    "context__retrieve_context",
    "git__git_log",
    "git__git_show",
    "sqlite__export_rows",
    "logging__search_logs",
)
"""The tools of the mix whose long results can be told in fewer tokens."""
MIX_FILE: Final = "nine.json"
_STOP_S: Final = 40.0
_CALL_S: Final = 30.0


class Client(Protocol):
    """An MCP client of one endpoint, which it closes at the end of its block."""

    def request(self, method: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """The result of a request; an OmniMindError for everything else."""

    def tools(self) -> Sequence[Mapping[str, Any]]:
        """All tools."""


Ask = Callable[[Path, dict[str, Any]], Mapping[str, Any]]
"""One command to the fleet of a state folder."""
Connect = Callable[[str, str | None, float], AbstractContextManager[Client]]
"""A client of an endpoint, from its token and its patience in seconds."""


class Nine:
    """The fleet, which belongs to the user of this process.

    `url` is the endpoint of all servers (its port also has `/metrics`), `token` the operator's, `folder` holds
    everything, `state` in it is the state folder. With `cache=False` nothing is answered from memory; with
    `compress=True` the results of COMPRESSIBLE are told in a quarter of their tokens. Raises FleetError (OM0206).
    """

    def __init__(
        self,
        ask: Ask,
        connect: Connect,
        *,
        seed: int = 1,
        cache: bool = True,
        compress: bool = False,
    ) -> None:
        self._ask = ask
        self._connect = connect
        self._seed = seed
        self._wanted = {
            "seed": seed,
            "agents": AGENTS,
            "cache": cache,
            "compress": _by_server(COMPRESSIBLE) if compress else {},
        }
        self._keeper: subprocess.Popen[bytes] | None = None
        self._guard: tuple[int, int] | None = None
        self.url = self.token = ""
        self.folder = Path()
        self.agents: tuple[Principal, ...] = ()

    @property
    def state(self) -> Path:
        """The state folder."""
        return self.folder / "state"

    def status(self) -> Mapping[str, Any]:
        """What the orchestrator says of all processes. Raises OmniMindError."""
        return self._ask(self.state, {"cmd": "status"})

    def metrics(self) -> str:
        """`/metrics` of its gateway, as text. Raises GatewayError."""
        return gateway.fetch(self.url, self.token)

    def fleet(self) -> Fleet:
        """For `stress.running.run`: processes are measured, and workers killed if it is told to."""
        return Fleet(self.status)

    def mix(self) -> Mix:
        """The fixed mix, called by its agents in turn."""
        return Mix(calls().calls, self.agents)

    def repeatable(self) -> frozenset[str]:
        """The tools that may be called again when an answer is lost: marked as reading or as idempotent."""
        with self._connect(f"{self.url}?tools=whole", self.token, _CALL_S) as client:
            tools = client.tools()
        return frozenset(str(tool["name"]) for tool in tools if _is_repeatable(tool.get("annotations")))

    def client(self, *, agent: int = 0) -> AbstractContextManager[Client]:
        """A connection as one of the agents."""
        return self._connect(self.url, self.agents[agent].token, _CALL_S)

    def __enter__(self) -> Self:
        try:
            self._start()
            self._fill()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start(self) -> None:
        keeper = self._keeper = subprocess.Popen(
            [sys.executable, "-P", "-m", "omnimind.bench.nine_keeper"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd="/",
            start_new_session=True,
        )
        _pipe(keeper.stdin).write(json.dumps(self._wanted).encode() + b"\n")
        _pipe(keeper.stdin).flush()
        found = json.loads(_pipe(keeper.stdout).readline() or b'{"error": "its keeper ended"}')
        if "error" in found:
            raise FleetError(
                "OM0206",
                f"the fleet for the benchmark did not start: {found['error']}",
                why=found.get("said"),
                help="see what this machine lacks: omnimind doctor",
            )
        self.url, self.token, self.folder = found["url"], found["token"], Path(found["folder"])
        self._guard = found["guard"], found["start_time"]
        self.agents = tuple(Principal(agent["name"], agent["token"]) for agent in found["agents"])

    def _fill(self) -> None:
        """Every agent gets its belongings, all at the same time."""
        faults: list[Exception] = []
        threads = [
            threading.Thread(target=self._fill_one, args=(at, faults), daemon=True) for at in range(AGENTS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if faults:
            raise faults[0]

    def _fill_one(self, agent: int, faults: list[Exception]) -> None:
        try:
            with self.client(agent=agent) as client:
                for tool, arguments in nine_world.belongings(self._seed):
                    result = client.request("tools/call", {"name": tool, "arguments": arguments})
                    if result.get("isError"):
                        raise FleetError("OM0206", f"{tool} failed", why=str(result.get("content"))[:300])
        except Exception as error:
            faults.append(error)

    def stop(self) -> None:
        """End it and remove its folder; called by the end of the block. Harmless when there is nothing."""
        keeper, self._keeper = self._keeper, None
        if keeper is None:
            return
        _pipe(keeper.stdin).close()
        try:
            keeper.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            keeper.kill()
            keeper.wait()
        finally:
            _pipe(keeper.stdout).close()
            self._clear()

    def _clear(self) -> None:
        """What a keeper that was killed has left."""
        if self._guard is not None:
            pidfd.send(*self._guard, signal.SIGKILL)
        if self.folder != Path():
            shutil.rmtree(self.folder, ignore_errors=True)


def calls() -> Mix:
    """The fixed mix without its callers, as the file that ships with the package has it."""
    with importlib.resources.as_file(importlib.resources.files("omnimind.bench") / MIX_FILE) as file:
        return mix.read(file, [builtin.name for builtin in catalog.BUILTINS])


def _by_server(tools: Sequence[str]) -> dict[str, list[str]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for name in tools:
        server, _, tool = name.partition("__")
        found[server].append(tool)
    return found


def _is_repeatable(hints: Any) -> bool:
    return isinstance(hints, Mapping) and bool(hints.get("readOnlyHint") or hints.get("idempotentHint"))


def _pipe(end: IO[bytes] | None) -> IO[bytes]:
    if end is None:
        raise RuntimeError("the keeper was started with pipes")
    return end
