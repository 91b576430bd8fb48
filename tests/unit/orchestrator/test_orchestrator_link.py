"""A link that is closed while somebody listens on it leaves nothing behind for whoever gets its number next."""

from __future__ import annotations

import os

import anyio

from omnimind.linux import packets, seqpacket
from omnimind.orchestrator.heartbeat import Heartbeat
from omnimind.orchestrator.link import Link


def test_a_link_that_is_opened_while_another_closes_hears() -> None:
    async def main() -> object:
        answer: object = None
        ours, theirs = seqpacket.pair()
        old, number = Link(ours), ours.fileno()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(old.hear)
            await anyio.wait_all_tasks_blocked()
            old.close()
            theirs.close()
            tasks.cancel_scope.cancel()
            ours, theirs = seqpacket.pair()
            if theirs.fileno() == number:
                ours, theirs = theirs, ours
            new = Link(ours)
            packets.send(theirs, {"t": "ready"})
            with anyio.CancelScope(shield=True), anyio.move_on_after(5):
                answer = await new.hear()
        new.close()
        theirs.close()
        return answer

    assert anyio.run(main) == ({"t": "ready"}, [])


def test_who_listens_on_a_link_that_is_closed_hears_its_end() -> None:
    async def main() -> object:
        ours, theirs = seqpacket.pair()
        link, heard = Link(ours), list[object]()

        async def listen() -> None:
            heard.append(await link.hear())

        with theirs, anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(listen)
                await anyio.wait_all_tasks_blocked()
                link.close()
        return heard

    assert anyio.run(main) == [None]


def test_a_heartbeat_that_is_closed_while_it_is_watched_condemns_nobody() -> None:
    async def main() -> bool:
        read, write = os.pipe()
        heartbeat = Heartbeat(read, 20)
        judged: list[float] = []

        async def watch() -> None:
            judged.append(await heartbeat.hangs(os.getpid()))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            await anyio.wait_all_tasks_blocked()
            heartbeat.close()
            with anyio.move_on_after(0.15):
                await anyio.sleep_forever()
            tasks.cancel_scope.cancel()
        os.close(write)
        return bool(judged)

    assert not anyio.run(main)
