"""The hosts of the fast tier when more principals call than there may be hosts; interpreters are stood in for."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import anyio
import pytest

from omnimind.servers.python import subset
from omnimind.servers.python.fast_tier import HOSTS, FastTier
from omnimind.servers.python.jail import Limits

WORK_S, DEATH_S = 0.3, 0.1


class Inmate:
    """Answers after a moment; says if it was ended while it had work."""

    def __init__(self) -> None:
        self.works = self.ended = self.was_cut = False

    async def ask(self, _: Any) -> None:
        assert not self.ended
        self.works = True

    async def answer(self, *_: Any) -> dict[str, str]:
        await anyio.sleep(WORK_S)
        self.works = False
        return {"stdout": "", "stderr": "", "value": "1"}

    async def kill(self) -> None:
        self.ended = True
        self.was_cut |= self.works
        await anyio.sleep(DEATH_S)
        self.was_cut |= self.works

    def close(self) -> None:
        pass


class Jail:
    def __init__(self) -> None:
        self.inmates: list[Inmate] = []

    async def admit(self, *_: Any, **__: Any) -> Inmate:
        self.inmates.append(Inmate())
        return self.inmates[-1]

    def mend(self) -> None:
        raise AssertionError("a host was lost")


class Folders:
    def new(self, *_: str) -> Path:
        return Path("scratch")

    def discard(self, _: Path) -> None:
        pass


@pytest.fixture
def jail(monkeypatch: pytest.MonkeyPatch) -> Jail:
    monkeypatch.setattr(subset, "monty", lambda: "monty")
    return Jail()


def tier(jail: Jail) -> FastTier:
    return FastTier(jail, Folders(), 600.0)  # type: ignore[arg-type]


def test_a_host_that_got_work_while_another_was_ended_is_let_be(jail: Jail) -> None:
    async def go() -> None:
        found = tier(jail)
        for number in range(HOSTS):
            await found.run(f"p{number}", "1", Limits())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(found.run, "one", "1", Limits())  # ends the host of p0, which takes a moment
            await anyio.sleep(0.001)
            tasks.start_soon(found.run, "other", "1", Limits())  # has its place
            tasks.start_soon(found.run, "p1", "1", Limits())

    anyio.run(go)
    assert len(jail.inmates) == HOSTS + 2
    assert not any(inmate.was_cut for inmate in jail.inmates)


def test_hosts_in_use_make_no_room_for_what_is_only_begun(jail: Jail) -> None:
    async def go() -> None:
        found = tier(jail)
        for number in itertools.chain(range(2 * HOSTS), range(2 * HOSTS)):
            await found.begin(f"p{number}")
        assert [found.idle(f"p{number}") for number in range(2 * HOSTS)] == [True] * HOSTS + [False] * HOSTS
        await found.run("another", "1", Limits())  # who asks for this tier gets a host

    anyio.run(go)
    assert sum(inmate.ended for inmate in jail.inmates) == 1
