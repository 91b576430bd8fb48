"""Renewals that meet a crash, a stop, another renewal: a supervised server over a source of doubles."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import anyio
import pytest

from omnimind.linux.pulse import Beat
from omnimind.orchestrator.exits import Cause
from omnimind.orchestrator.instances import Instance, StartFailed
from omnimind.orchestrator.lifecycle import Event, Phase, Policy
from omnimind.orchestrator.logs.files import LogFile
from omnimind.orchestrator.processes import Child
from omnimind.orchestrator.supervise import Server
from omnimind.settings import ServerSettings

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Double:
    """A process that lives until it is told otherwise."""

    def __init__(self, number: int) -> None:
        self.child = Child(number, 0, None)
        self.number = number

    @property
    def lives(self) -> bool:
        return self.child.status is None

    def die(self) -> None:
        if self.lives:
            self.child.status = 9
            self.child.exited.set()

    async def check(self) -> None: ...

    async def gone(self) -> Cause:
        await self.child.exited.wait()
        return Cause("killed by SIGKILL")

    async def end(self, grace_s: float) -> None:
        self.die()

    def beat(self) -> Beat | None:
        return None

    def requests(self) -> int | None:
        return None

    def memory_mb(self) -> int | None:
        return None


class Doubles:
    """A source whose starts and farewells wait for the test."""

    def __init__(self) -> None:
        self.born: list[Double] = []
        self.start = anyio.Event()
        self.start.set()
        self.farewell = anyio.Event()
        self.farewell.set()
        self.broken = False

    async def launch(self) -> Instance:
        double = Double(len(self.born) + 1)
        self.born.append(double)
        try:
            await self.start.wait()
            if self.broken:
                raise StartFailed(Cause("it does not like its new configuration"))
        except BaseException:
            double.die()
            raise
        return cast("Instance", double)

    async def retire(self, old: Instance, patience_s: float) -> None:
        await self.farewell.wait()
        cast("Double", old).die()

    @property
    def living(self) -> list[int]:
        return [double.number for double in self.born if double.lives]


@asynccontextmanager
async def kept(tmp_path: Path, source: Doubles) -> AsyncIterator[Server]:
    """A server that serves."""
    server = Server(
        ServerSettings(name="x", kind="worker"),
        LogFile(tmp_path, "x", 10**6, 1),
        Policy(backoff_min_s=0, backoff_max_s=0),
        cast("Any", source),
        lambda _: None,
        start_timeout_s=5,
        stop_timeout_s=5,
    )
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(server.run)
            server.post(Event.START)
            while server.phase is not Phase.READY:
                await server.moved()
            yield server
            group.cancel_scope.cancel()


async def until(condition: Any) -> None:
    while not condition():  # noqa: ASYNC110
        await anyio.sleep(0.005)


async def test_the_successor_serves_before_the_old_one_is_let_go(tmp_path: Path) -> None:
    source = Doubles()
    source.farewell = anyio.Event()
    async with kept(tmp_path, source) as server:
        assert await server.renew()
        assert (server.pid, source.living) == (2, [1, 2])
        source.farewell.set()
        await until(lambda: source.living == [2])
        assert server.phase is Phase.READY


async def test_a_successor_that_does_not_come_up_leaves_everything_as_it_was(tmp_path: Path) -> None:
    source = Doubles()
    async with kept(tmp_path, source) as server:
        source.broken = True
        assert not await server.renew()
        assert (server.phase, server.pid, source.living) == (Phase.READY, 1, [1])
        assert "does not like" in (server.note or "")


async def test_a_crash_while_the_successor_starts_is_a_crash_and_the_server_comes_back(
    tmp_path: Path,
) -> None:
    source = Doubles()
    async with kept(tmp_path, source) as server:
        source.start = anyio.Event()
        server.post(Event.RENEW)
        await until(lambda: len(source.born) == 2)
        source.born[0].die()
        await until(lambda: len(source.born) == 3)
        source.start.set()
        await until(lambda: server.phase is Phase.READY)
        assert (server.pid, source.living) == (3, [3])


async def test_a_stop_during_a_renewal_ends_both(tmp_path: Path) -> None:
    source = Doubles()
    async with kept(tmp_path, source) as server:
        source.start = anyio.Event()
        server.post(Event.RENEW)
        await until(lambda: len(source.born) == 2)
        server.post(Event.STOP)
        await until(lambda: server.phase is Phase.STOPPED)
        await until(lambda: source.living == [])


async def test_a_successor_that_crashes_does_not_cut_the_farewell_of_the_old_one_short(
    tmp_path: Path,
) -> None:
    source = Doubles()
    source.farewell = anyio.Event()
    async with kept(tmp_path, source) as server:
        assert await server.renew()
        source.born[1].die()
        await until(lambda: server.pid == 3)
        assert source.living == [1, 3]
        source.farewell.set()
        await until(lambda: source.living == [3])


async def test_a_stop_ends_what_is_still_being_let_go(tmp_path: Path) -> None:
    source = Doubles()
    async with kept(tmp_path, source) as server:
        source.farewell = anyio.Event()
        assert await server.renew()
        source.farewell, waiting = anyio.Event(), source.farewell
        source.farewell.set()
        server.post(Event.STOP)
        await until(lambda: source.living == [])
        assert not waiting.is_set()


async def test_many_renewals_in_a_row_leave_one_process(tmp_path: Path) -> None:
    source = Doubles()
    async with kept(tmp_path, source) as server:
        for _ in range(50):
            assert await server.renew()
        await until(lambda: source.living == [51])
        assert server.state.restarts == 50
