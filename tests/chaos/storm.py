"""The storm: kill -9 of workers, children, gateway, zygote and orchestrator under an open-loop mixed load.

Calls are sent by the clock, whether or not earlier ones were answered, so that a stop of the fleet shows in
full. Every call is accounted for; what counts is compared with the disk afterwards. A lost idempotent call is
tried once more, as a client would.

`python -m tests.chaos.storm --kills 900 --seed 1 --seed 2` runs it (`make chaos`) and writes the figures.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

from tests.chaos import mix
from tests.chaos.account import Account
from tests.chaos.caller import Caller, Client, Fate, open_session
from tests.chaos.killing import Killer
from tests.chaos.ledger import Ledger
from tests.chaos.mix import Kind
from tests.fleet import Fleet

PRINCIPALS = ("ann", "bob", "cho")
RATE_PER_S = 200.0
PAUSE_S = (0.05, 0.5)
CALM_S = 1.0
"""Of load before the first kill and after the last."""


@dataclass(frozen=True, slots=True)
class Storm:
    """What a run is to do."""

    kills: int
    seed: int
    rate_per_s: float = RATE_PER_S

    def run(self) -> Account:
        """Carry it out on a fleet of its own."""
        node = mix.node_command()
        with tempfile.TemporaryDirectory(prefix="omk-") as name:
            folder = Path(name)
            with Fleet(mix.servers(folder, node), auth=True) as fleet:
                ledger = asyncio.run(self._on(fleet, node is not None))
                carried_out = mix.carried_out(folder, fleet.state)
        return Account.of(ledger, carried_out, self.seed, self.rate_per_s)

    async def _on(self, fleet: Fleet, with_node: bool) -> Ledger:
        async def kill(load: Load) -> None:
            chance = Random(self.seed + 1)
            killer = Killer(fleet, load.client, load.callers, chance, load.ledger.kills, with_node)
            for number in range(self.kills):
                await killer.kill(killer.choose())
                await killer.whole()
                await load.nobody_tries_again()
                await asyncio.sleep(killer.pause_s(PAUSE_S))
                _say(number + 1, self.kills, load.ledger)

        return await under_load(fleet, kill, self.seed, self.rate_per_s, with_node)


async def under_load(
    fleet: Fleet, work: Callable[[Load], Awaitable[None]], seed: int, rate_per_s: float, with_node: bool
) -> Ledger:
    """Do something while calls come by the clock; what became of them."""
    url = urlsplit(fleet.base)
    client = Client(url.hostname or "", url.port or 0)
    tokens = {name: await asyncio.to_thread(add_principal, fleet, name) for name in PRINCIPALS}
    callers = [Caller(name, token) for name, token in tokens.items()]
    sessions = await _prepare(client, callers)
    load = Load(client, mix.kinds(with_node, sessions), callers, Random(seed), rate_per_s)
    await load.open_sessions()
    sending = asyncio.create_task(load.send())
    try:
        await asyncio.sleep(CALM_S)
        await work(load)
        await asyncio.sleep(CALM_S)
    finally:
        load.stop()
        await sending
        client.close()
    return load.ledger


class Load:
    """Calls by the clock."""

    def __init__(
        self, client: Client, kinds: list[Kind], callers: list[Caller], chance: Random, rate_per_s: float
    ) -> None:
        self.ledger = Ledger()
        self.client = client
        self.callers = callers
        self._kinds = kinds
        self._weights = [kind.weight for kind in kinds]
        self._legacy: dict[tuple[str, str], Caller] = {}
        self._chance = chance
        self._rate_per_s = rate_per_s
        self._stopped = False
        self._second_tries = 0
        self._settled = asyncio.Event()

    async def open_sessions(self) -> None:
        """A legacy session of every principal on every endpoint."""
        for path in {kind.path for kind in self._kinds}:
            for caller in self.callers:
                opened = await open_session(self.client, caller.name, caller.token, path)
                self._legacy[caller.name, path] = opened

    def stop(self) -> None:
        self._stopped = True

    async def nobody_tries_again(self) -> None:
        """Wait for second tries: the next kill must not take the answer to those as well."""
        if self._second_tries:
            self._settled = asyncio.Event()
            await self._settled.wait()

    async def send(self) -> None:
        """Send until told to stop, then wait for what is in flight."""
        due_s = time.monotonic()
        async with asyncio.TaskGroup() as group:
            while not self._stopped:
                due_s += self._chance.expovariate(self._rate_per_s)
                if (left_s := due_s - time.monotonic()) > 0:
                    await asyncio.sleep(left_s)
                self.ledger.lags_s.append(time.monotonic() - due_s)
                group.create_task(self._one())

    async def _one(self) -> None:
        ledger = self.ledger
        ledger.calls += 1
        kind = self._chance.choices(self._kinds, self._weights)[0]
        caller = self._chance.choice(self.callers)
        if self._chance.random() < 0.4:
            caller = self._legacy[caller.name, kind.path]
        nonce = f"c{ledger.calls}"
        fresh = self._chance.random() < 0.2
        params = kind.params(nonce, self._chance, caller.name)
        if not kind.idempotent and kind.server != mix.NODE:
            ledger.counted[nonce] = False
        attempt = await self.client.call(caller, kind.path, kind.method, params, fresh=fresh)
        had = ledger.book(kind, nonce, caller.name, attempt, again=False)
        if had and nonce in ledger.counted:
            ledger.counted[nonce] = True
        if not had and kind.idempotent:
            self._second_tries += 1
            attempt = await self.client.call(caller, kind.path, kind.method, params, fresh=True)
            self._second_tries -= 1
            if not self._second_tries:
                self._settled.set()
            ledger.book(kind, nonce, caller.name, attempt, again=True)


async def _prepare(client: Client, callers: list[Caller]) -> dict[str, str]:
    """Write what will be read; the thinking session of each principal."""
    sessions = {}
    for caller in callers:
        for server, params in mix.preparations(caller):
            attempt = await client.call(caller, f"/servers/{server}/mcp", "tools/call", params)
            if attempt.fate is not Fate.ANSWERED or attempt.result.get("isError"):
                raise RuntimeError(f"{server} could not be prepared: {attempt}")
        sessions[caller.name] = _session_id(attempt.result)
    return sessions


def _session_id(result: Mapping[str, Any]) -> str:
    structured = result.get("structuredContent") or json.loads(result["content"][0]["text"])
    found: str = structured.get("sessionId") or structured["id"]
    return found


def add_principal(fleet: Fleet, name: str) -> str:
    """A new principal's token."""
    done = subprocess.run(
        [sys.executable, "-m", "omnimind", "token", "add", name, "--json"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMNIMIND_STATE": str(fleet.state)},
    )
    token: str = json.loads(done.stdout)["token"]
    return token


def _say(number: int, kills: int, ledger: Ledger) -> None:
    if (number % 10 == 0 and sys.stderr.isatty()) or number % 50 == 0:
        lost = len(ledger.unexcused(idempotent=True))
        print(f"  {number} of {kills} kills, {ledger.calls} calls, {lost} lost", file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.storm", description=__doc__)
    parser.add_argument("--kills", type=int, default=900, help="of all seeds together")
    parser.add_argument(
        "--seed", type=int, action="append", help="of load and kills; may be given several times"
    )
    parser.add_argument("--rate", type=float, default=RATE_PER_S, help="calls a second")
    parser.add_argument("--json", type=Path, help="where the figures go")
    options = parser.parse_args()
    seeds = options.seed or [1, 2, 3]
    accounts = [Storm(options.kills // len(seeds), seed, options.rate).run() for seed in seeds]
    whole = Account.sum(accounts)
    print(whole.table())
    if options.json:
        options.json.parent.mkdir(exist_ok=True)
        options.json.write_text(json.dumps(whole.as_json(), indent=2) + "\n")
        options.json.with_suffix(".txt").write_text(whole.table() + "\n")
    return 1 if whole.broken() else 0


if __name__ == "__main__":
    sys.exit(main())
