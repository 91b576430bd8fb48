"""Finding what to kill, killing it by pid, and waiting until it answers again.

The pid of a worker, the gateway, the zygote and the orchestrator is what the fleet's status says; that of a
child is what the child says of itself. What came back is known by an answer that only it can give.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from random import Random
from typing import Any

from omnimind.cli.fleet import ask
from omnimind.errors import OmniMindError
from omnimind.linux import proc
from tests.chaos.caller import Attempt, Caller, Client, Fate
from tests.chaos.ledger import Kill
from tests.chaos.mix import NODE, TALLIES
from tests.fleet import Fleet

WEIGHTS = {"worker": 32, "child": 32, "gateway": 16, "zygote": 10, "orchestrator": 10}
WORKERS = ("thinking", "memory")
BACK_S = 30.0
ZYGOTE_IMPORTS_S = 2.0
"""A zygote younger than this may still be importing: a worker that is killed now starts cold."""


class Killer:
    """Kills one thing after another."""

    def __init__(
        self,
        fleet: Fleet,
        client: Client,
        callers: list[Caller],
        chance: Random,
        kills: list[Kill],
        with_node: bool,
    ) -> None:
        self._fleet = fleet
        self._client = client
        self._callers = callers
        self._chance = chance
        self._kills = kills
        self._first = chance.sample(list(WEIGHTS), len(WEIGHTS))
        self._children = [*TALLIES, *([NODE] if with_node else [])]

    def choose(self) -> str:
        """What to kill next: each once in an order of its own, then by weight."""
        if self._first:
            return self._first.pop()
        targets, weights = zip(*WEIGHTS.items(), strict=True)
        return str(self._chance.choices(targets, weights)[0])

    def pause_s(self, between: tuple[float, float]) -> float:
        """How long to leave the fleet alone."""
        return self._chance.uniform(*between)

    async def kill(self, target: str) -> Kill:
        """Kill -9 of one process; returns when it is back."""
        match target:
            case "worker":
                return await self._kill_worker(self._chance.choice(WORKERS))
            case "child":
                return await self._kill_child(
                    self._chance.choice(self._children), self._chance.choice(self._callers)
                )
            case _:
                return await self._kill_ours(target)

    async def _kill_worker(self, name: str) -> Kill:
        status = await self._status()
        pid = _row(status, name)["pid"]
        kill = self._strike("worker", name, pid)
        kill.warm = _age_s(status["zygote"]["pid"]) > ZYGOTE_IMPORTS_S
        await self._answers(kill, self._callers[0], name, "tools/list", {})
        return kill

    async def _kill_child(self, name: str, caller: Caller) -> Kill:
        if name == NODE:
            kill = self._strike("child", name, _row(await self._status(), name)["pid"])
            await self._answers(kill, caller, name, "tools/list", {})
            return kill
        about = await self._ask_child(name, caller)
        kill = self._strike("child", f"{name} of {caller.name}", about["pid"])
        attempt = await self._answers(kill, caller, name, "resources/read", {"uri": "tally://self"})
        if attempt is not None:
            kill.own_start_s = json.loads(attempt.result["contents"][0]["text"])["start_ms"] / 1000
        return kill

    async def _kill_ours(self, target: str) -> Kill:
        status = await self._status()
        before = status[target]["pid"]
        if target == "zygote":
            kill = self._strike(target, target, before)
            await self._other_pid(kill, before)
            return kill
        gateway = os.pidfd_open(status["gateway"]["pid"])
        try:
            kill = self._strike(target, target, before)
            await _readable(gateway)
        finally:
            os.close(gateway)
        kill.died_s = time.monotonic()
        kill.in_flight = self._client.in_flight_since(kill.at_s)
        await self._answers(kill, self._callers[0], "thinking", "tools/list", {})
        return kill

    def _strike(self, target: str, what: str, pid: int) -> Kill:
        kill = Kill(target, what, pid, time.monotonic())
        self._kills.append(kill)
        os.kill(pid, signal.SIGKILL)
        return kill

    async def _answers(
        self, kill: Kill, caller: Caller, server: str, method: str, params: dict[str, Any]
    ) -> Attempt | None:
        """Ask until what was killed answers; a dead process gives no answer, so any is the new one's."""
        while time.monotonic() < kill.at_s + BACK_S:
            attempt = await self._client.call(caller, f"/servers/{server}/mcp", method, params, fresh=True)
            if attempt.fate is Fate.ANSWERED:
                kill.recovered_s = attempt.ended_s - kill.at_s
                return attempt
            await asyncio.sleep(0.01)
        return None

    async def _ask_child(self, name: str, caller: Caller) -> dict[str, Any]:
        path, uri = f"/servers/{name}/mcp", {"uri": "tally://self"}
        attempt = await self._client.call(caller, path, "resources/read", uri)
        if attempt.fate is not Fate.ANSWERED:
            raise RuntimeError(f"{name} of {caller.name} did not answer before it was killed: {attempt}")
        about: dict[str, Any] = json.loads(attempt.result["contents"][0]["text"])
        return about

    async def _other_pid(self, kill: Kill, before: int) -> None:
        while time.monotonic() < kill.at_s + BACK_S:
            now = (await self._status())["zygote"]["pid"]
            if now not in (None, before):
                kill.recovered_s = time.monotonic() - kill.at_s
                return
            await asyncio.sleep(0.02)

    async def whole(self) -> None:
        """Wait until every part of the fleet runs and every server is ready. Raises RuntimeError."""
        until_s = time.monotonic() + BACK_S
        while time.monotonic() < until_s:
            try:
                if _is_whole(await self._status(), self._kills[-1].pid):
                    self._kills[-1].whole_s = time.monotonic()
                    return
            except OmniMindError:
                pass  # the orchestrator is the one that was killed
            await asyncio.sleep(0.03)
        raise RuntimeError(f"the fleet is not whole after {BACK_S:g} s: {await self._status()}")

    async def _status(self) -> dict[str, Any]:
        return await asyncio.to_thread(ask, self._fleet.state, {"cmd": "status"})


async def _readable(descriptor: int) -> None:
    """Wait for the end of all threads of a process, by its pidfd."""
    done, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_reader(descriptor, done.set)
    try:
        async with asyncio.timeout(BACK_S):
            await done.wait()
    finally:
        loop.remove_reader(descriptor)


def _is_whole(status: dict[str, Any], killed: int) -> bool:
    """True if everything runs; a status that still names the killed process is older than its death."""
    ours = all(status[part]["pid"] for part in ("gateway", "zygote", "orchestrator"))
    ready = all(row["state"] == "ready" and row["pid"] != killed for row in status["servers"])
    return ours and status["gateway"]["state"] == "ready" and ready


def _row(status: dict[str, Any], name: str) -> dict[str, Any]:
    row: dict[str, Any] = next(row for row in status["servers"] if row["name"] == name)
    return row


def _age_s(pid: int | None) -> float:
    found = proc.read(pid) if pid else None
    if found is None:
        return 0.0
    return time.clock_gettime(time.CLOCK_BOOTTIME) - found.start_time / os.sysconf("SC_CLK_TCK")
