"""Nobody is ever answered with what was made for another, and nobody with what a later write made old.

Fifty principals ask the same questions with the same ids, over both eras, the aggregate and the pass-through; every
answer carries a mark of whom it was made for. Meanwhile the gateway is reconfigured, replaced and killed, tokens
change hands, and what it remembers moves from memory to packed memory to disk. `omnimind-load isolation` asks and
looks; `omnimind-load vault` is the servers; this test holds the gateway in between, as the orchestrator does.

    OMNIMIND_FULL=1 OMNIMIND_CALLS=1000000 OMNIMIND_SEED=7 pytest -s tests/system/test_cache_isolation.py
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import pytest

from benches.load import BINARY
from omnimind import tokens
from tests.fleet import wait_until
from tests.system.gateway_process import KEY, GatewayProcess, address, listening

FULL = bool(os.environ.get("OMNIMIND_FULL"))
CALLS = int(os.environ.get("OMNIMIND_CALLS", "1000000" if FULL else "20000"))
SEED = int(os.environ.get("OMNIMIND_SEED", "1"))
STRETCH = 8_000 if FULL else 1_200
"""Answers between two events."""
PRINCIPALS = 50
ROAMING = 40
ALIKE = ["ann", "ann1", "Ann", "ANN", "an", "ann@x", "ann.x"]
FORMS = ["jos\u00e9", "jose\u0301"]
"""Equal to the eye; no command makes such names, but the gateway must keep them apart all the same."""
TENANT = ("op-of-one-tenant", "user-of-one-tenant")

ROOMY = {"enabled": True, "max_bytes": 64 << 20, "compressed_bytes": 32 << 20, "predict": True}
TIGHT = {**ROOMY, "max_bytes": 192 << 10, "compressed_bytes": 96 << 10}
CALM = {"writes": 1, "hot": 82}
BUSY = {"writes": 60, "hot": 40}
# Much is remembered when the gateway is replaced; then much changes while the old one still has connections.
WARM = {"writes": 2, "hot": 92}
QUIET = {"writes": 0, "hot": 0, "quiet": True}
STORMY = {"writes": 800, "hot": 80}
KNOWN_ERRORS = {
    "connect",  # the gateway was killed
    "closed",
    "reset",
    "session_ended",  # a token's principal changed, or its calls were in flight when the gateway was killed
    "no_session",
    "rpc_-32602",  # a cursor of a server that has been replaced
    "rpc_-1051",  # a cursor of whom a caller was before it became another
    "rpc_50300",  # the upstream was just replaced
}


class Principals:
    """The state folder with its tokens.json, and the two that only a snapshot can name."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._extra = {name: f"{index:064x}" for index, name in enumerate(FORMS, 1)}
        self.token: dict[str, str] = dict(self._extra)
        self.operators = {TENANT[0]}
        tokens.ensure(state)
        self.add(TENANT[0], role="operator", tenant="one")
        self.add(TENANT[1], tenant="one")
        for name in [*ALIKE, *(f"p{number}" for number in range(PRINCIPALS - len(ALIKE) - len(FORMS) - 2))]:
            self.add(name)

    def add(self, name: str, **how: Any) -> None:
        self.token[name] = tokens.add(self._state, name, **how)

    def renew(self, name: str) -> None:
        self.token[name] = tokens.renew(self._state, name)

    def remove(self, name: str) -> None:
        tokens.remove(self._state, name)

    def hand_over(self, name: str, heir: str) -> None:
        """The very same token is another principal's from now on."""
        path = self._state / tokens.TOKENS_FILE
        text = path.read_text()
        path.write_text(text.replace(f'"name": "{name}"', f'"name": "{heir}"'))
        self.token[heir] = self.token.pop(name)
        assert heir in {principal.name for principal in tokens.principals(self._state)}

    def promote(self, name: str) -> None:
        """A user becomes an operator: what it was answered as a user is none of its answers any more."""
        path = self._state / tokens.TOKENS_FILE
        rows = json.loads(path.read_text())
        for row in rows["tokens"]:
            if row["name"] == name:
                row["role"] = "operator"
        path.write_text(json.dumps(rows, indent=1))
        self.operators.add(name)

    def slot(self, name: str) -> dict[str, Any]:
        return {"who": [[name, name in self.operators]], "token": self.token[name], "door": "open"}

    def specs(self) -> list[dict[str, Any]]:
        listed = [principal.as_json() for principal in tokens.principals(self._state)]
        listed += [
            {"name": name, "sha256": sha256(token.encode()).hexdigest(), "tenant": "forms"}
            for name, token in self._extra.items()
        ]
        return listed


class Scene:
    """Vaults, a gateway that comes and goes, and what is configured now."""

    def __init__(self, folder: Path, held: socket.socket, living: ExitStack) -> None:
        self.folder, self._held, self._living = folder, held, living
        self.principals = Principals(folder / "state")
        self.cache = ROOMY | {"disk_bytes": 64 << 20}
        self.third = "third-1"
        self.timeout_ms = 60_000
        self._epoch = 0
        self._asked = 0
        self.gateway = self.next_gateway()

    def instance(self, name: str, **keys: Any) -> dict[str, Any]:
        return {"name": name, "socket": f"{self.folder}/{name}", "data": f"{self.folder}/{name}.data", **keys}

    def instances(self) -> list[dict[str, Any]]:
        return [
            self.instance("ours-1", key=KEY),
            self.instance("third-1"),
            self.instance("third-2"),
            self.instance("liar-1", lies=True),
        ]

    def snapshot(self) -> dict[str, Any]:
        ours = {"name": "ours", "kind": "worker", "first_party": True, "sessions": "shared"}
        third = {"name": "third", "kind": "unix", "path": f"{self.folder}/{self.third}"}
        liar = {"name": "liar", "kind": "unix", "path": f"{self.folder}/liar-1"}
        kept = {"ttl_ms": 60_000, "predict": ["look", "pure", "slow"]}
        return {
            "version": "0.0.0",
            "state_dir": str(self.folder / "state"),
            "keys": [KEY],
            "auth": {"required": True, "tokens": self.principals.specs()},
            "cache": self.cache,
            "servers": [
                {**ours, "tier": "high", "trust": ["annotations", "public"], "timeout_ms": self.timeout_ms},
                {**third, "tier": "high", "trust": ["annotations", "public"], "cache": kept},
                {**liar, "tier": "high", "trust": ["annotations"], "cache": kept},
            ],
        }

    def next_gateway(self, *, beside: bool = False) -> GatewayProcess:
        self._epoch += 1
        process = GatewayProcess(self._epoch, self.snapshot(), [self._held], beside=beside)
        worker = {"name": "ours", "state": "ready", "path": f"{self.folder}/ours-1", "key": KEY}
        process.tell({"t": "server", **worker})
        return self._living.enter_context(process)

    def reload(self) -> None:
        """Returns when the new configuration is in force."""
        self.gateway.tell({"t": "apply", "snapshot": self.snapshot()})
        self.cache_stats()

    def cache_stats(self) -> dict[str, Any]:
        self._asked += 1
        number = self._asked
        self.gateway.tell({"t": "cache", "request": number, "op": "stats"})
        wait_until(lambda: any(said["request"] == number for said in self.gateway.said("cache")), 20, "stats")
        (said,) = (said for said in self.gateway.said("cache") if said["request"] == number)
        answer: dict[str, Any] = said["answer"]
        return answer

    def await_disk(self) -> None:
        wait_until(lambda: "off" not in self.cache_stats()["levels"]["disk"], 20, "the disk level is on")

    def kill(self) -> None:
        self.gateway.process.kill()
        self.gateway.process.wait()
        self.gateway = self.next_gateway()

    def replace(self, meanwhile: Callable[[], object]) -> None:
        """A successor on the same sockets; the old one finishes what it has. As `gatewaying.renew` does it."""
        self.gateway.tell({"t": "beside"})
        self.cache_stats()
        old, self.gateway = self.gateway, self.next_gateway(beside=True)
        old.tell({"t": "drain", "timeout_ms": 20_000})
        meanwhile()
        assert old.wait_for_end() == 0
        self.gateway.tell({"t": "alone"})


class Crowd:
    """The generator, told step by step; `counts` is what it had found after the last one."""

    def __init__(self, script: dict[str, Any], folder: Path) -> None:
        file = folder / "script.json"
        file.write_text(json.dumps(script))
        self._process = subprocess.Popen(
            [BINARY, "isolation", str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.counts: dict[str, Any] = {}

    def tell(self, step: Any) -> dict[str, Any]:
        """Counts of what happened since the last step."""
        before = self.counts
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(step) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the generator ended with {self._process.wait(5)}"
        self.counts = json.loads(line)
        assert not self.counts["samples"], self.faults()
        since = {key: self.counts[key] - before.get(key, 0) for key in ("answers", "reports", "survived")}
        hits: dict[str, int] = self.counts["hits"]
        return since | {
            "hits": {level: n - before.get("hits", {}).get(level, 0) for level, n in hits.items()}
        }

    def faults(self) -> str:
        counts = self.counts
        head = f"{counts['crossings']} crossings, {counts['stale']} stale in {counts['answers']} answers"
        return "\n".join([head, *counts["samples"]])

    def stop(self) -> dict[str, Any]:
        self.tell("stop")
        assert self._process.wait(30) == 0, self.faults()
        return self.counts

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


class Run:
    """The events, and the stretches between them."""

    def __init__(self, scene: Scene, crowd: Crowd, names: list[str], chance: Random) -> None:
        self.scene, self.crowd, self._names, self._chance = scene, crowd, names, chance
        self.hits: dict[str, int] = {}
        self._heirs = 0

    def stretch(self, answers: int = STRETCH) -> dict[str, Any]:
        since = self.crowd.tell({"answers": answers})
        for level, count in since["hits"].items():
            self.hits[level] = self.hits.get(level, 0) + count
        return since

    def budgets(self, cache: dict[str, Any]) -> None:
        self.scene.cache = cache | {"disk_bytes": 64 << 20}
        self.scene.reload()
        self.scene.await_disk()

    def specs(self) -> None:
        """Another vault answers for one server; another server's settings change under its feet."""
        old = self.scene.third
        new = self.scene.third = "third-2" if old == "third-1" else "third-1"
        self.scene.timeout_ms += 1_000
        self.crowd.tell({"server": ["third", [old, new]]})
        self.scene.reload()
        self.crowd.tell({"server": ["third", [new]]})

    def people(self) -> None:
        """One token is renewed, one handed to another principal, one removed, one principal promoted."""
        ready = [
            name
            for name in self._names
            if name.startswith("p") and name not in self.scene.principals.operators
        ]
        renewed, inherited, removed, promoted = self._chance.sample(ready, 4)
        self._heirs += 1
        heir = f"p-heir{self._heirs}"
        principals = self.scene.principals
        old = {name: principals.slot(name) for name in (renewed, inherited, removed, promoted)}
        for name, slot in old.items():
            who = slot["who"] + ([[heir, False]] if name == inherited else [])
            who += [[name, True]] if name == promoted else []
            self._slot(name, slot | {"who": who, "door": "moving"})
        principals.renew(renewed)
        principals.hand_over(inherited, heir)
        principals.remove(removed)
        principals.promote(promoted)
        self.scene.reload()
        self._slot(renewed, old[renewed] | {"door": "shut"})
        self._slot(inherited, principals.slot(heir))
        self._slot(removed, old[removed] | {"door": "shut"})
        self._slot(promoted, principals.slot(promoted))
        self.stretch(200)
        self._slot(renewed, principals.slot(renewed))
        self._names[self._names.index(inherited)] = heir
        # Somebody new takes the place, under the name of the one who was removed.
        self.scene.principals.add(removed)
        self.scene.reload()
        self._slot(removed, principals.slot(removed))

    def restart(self) -> None:
        self.crowd.tell({"knobs": WARM})
        self.stretch(STRETCH * 2)
        self.scene.replace(lambda: self.crowd.tell({"knobs": STORMY}))
        self.crowd.tell("restarted")
        self.scene.await_disk()

    def kill(self, *, while_quiet: bool = False) -> None:
        """While it is quiet, no call reaches the next gateway before it knows the worker: such a call counts as a
        change, and what is on disk would not be good any more."""
        if while_quiet:
            self.crowd.tell({"knobs": QUIET})
            time.sleep(0.1)
        self.crowd.tell("restarted")
        self.scene.kill()
        self.scene.await_disk()
        self.crowd.tell({"knobs": CALM})

    def _slot(self, name: str, slot: dict[str, Any]) -> None:
        self.crowd.tell({"slot": [self._names.index(name), slot]})


@contextmanager
def scene(folder: Path) -> Iterator[Run]:
    (folder / "state").mkdir(mode=0o700)
    with listening() as held, ExitStack() as living:
        scene = Scene(folder, held, living)
        file = folder / "vaults.json"
        file.write_text(json.dumps(scene.instances()))
        vaults = subprocess.Popen([BINARY, "vault", str(file)], stdout=subprocess.PIPE, text=True)
        living.callback(vaults.communicate)
        living.callback(vaults.kill)
        assert vaults.stdout is not None
        assert vaults.stdout.readline()
        names = [*scene.principals.token]
        script = {
            "authority": address(held),
            "slots": [scene.principals.slot(name) for name in names],
            "roaming": ROAMING,
            "servers": {"ours": ["ours-1"], "third": ["third-1"], "liar": ["liar-1"]},
            "knobs": CALM,
            "seed": SEED,
        }
        assert len(names) == PRINCIPALS
        scene.await_disk()
        crowd = Crowd(script, folder)
        living.callback(crowd.close)
        yield Run(scene, crowd, names, Random(SEED))


@pytest.mark.alone
@pytest.mark.bar
@pytest.mark.timeout(1500 if FULL else 120)
def test_no_answer_crosses_from_one_principal_to_another_and_none_is_old(tmp_path: Path) -> None:
    began = time.monotonic()
    with scene(tmp_path) as run:
        warm = run.stretch(STRETCH * 5)
        share = sum(warm["hits"].get(level, 0) for level in ("ram", "compressed", "disk")) / warm["reports"]
        survived = []
        rounds = 0
        while run.crowd.counts["answers"] < CALLS:
            rounds += 1
            run.budgets(TIGHT)
            run.crowd.tell({"knobs": CALM})
            run.stretch(STRETCH * 3)
            run.kill(while_quiet=True)
            survived.append(run.stretch()["survived"])
            run.kill()
            run.stretch()
            run.crowd.tell({"knobs": BUSY})
            run.specs()
            run.stretch()
            run.people()
            run.stretch()
            run.restart()
            run.stretch()
            if FULL:
                run.budgets(ROOMY)
                run.stretch(STRETCH * 2)
        predicted = run.scene.cache_stats()["levels"]["predictive"]
        counts = run.crowd.stop()
    took = time.monotonic() - began
    print(
        f"\n{counts['answers']} answers to {PRINCIPALS} principals in {took:.0f} s, {rounds} rounds, seed {SEED}"
    )
    print(
        f"hits, warm {share:.0%}; of {counts['reports']} that said: {run.hits}; outlived a kill: {survived}"
    )
    print(
        f"{counts['writes']} writes, {counts['shut_out']} shut out, {counts['stood_in']} stood in,"
        f" other errors {counts['errors']}"
    )
    print(f"asked ahead, in the last process: {predicted['issued']} after {predicted['observed']} seen")
    assert counts["crossings"] == 0
    assert counts["stale"] == 0
    assert counts["stood_in"] <= counts["answers"] / 10_000, (
        "lists of the aggregate are old though nothing is slow"
    )
    assert share > 0.5
    assert all(run.hits.get(level, 0) > 0 for level in ("ram", "compressed", "disk", "shared")), run.hits
    assert sum(survived) > 0
    assert counts["writes"] > 20
    assert counts["shut_out"] > 0
    assert predicted["observed"] > 0, predicted
    assert counts["errors"].keys() <= KNOWN_ERRORS, counts["errors"]
    assert sum(counts["errors"].values()) < counts["answers"] / 10
