"""When silence means a hang, and when it does not."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager

import anyio
import pytest

from omnimind.linux import pulse, usage
from omnimind.linux.pulse import Beat
from omnimind.orchestrator.heartbeat import MISSED, Heartbeat

INTERVAL_MS = 40
PATIENCE_S = MISSED * INTERVAL_MS / 1000


@contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    read, write = os.pipe()
    os.set_blocking(write, False)
    try:
        yield read, write
    finally:
        os.close(write)


def judged(read: int, write: int, beats: int = 0) -> tuple[float, Heartbeat]:
    """How long a process that beats so often and then no more was listened to, in silence."""
    heartbeat = Heartbeat(read, INTERVAL_MS)

    async def main() -> float:
        async def beat() -> None:
            for number in range(beats):
                pulse.send(write, Beat(number, 1, 7))
                await anyio.sleep(INTERVAL_MS / 1000)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(beat)
            silent_s = await heartbeat.hangs(os.getpid())
        heartbeat.close()
        return silent_s

    return anyio.run(main), heartbeat


def test_three_missing_beats_are_a_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "times", lambda _: usage.Times(1.0, 0.0))
    with pipe() as (read, write):
        silent_s, heartbeat = judged(read, write, beats=3)
    assert PATIENCE_S <= silent_s < 10 * PATIENCE_S
    assert heartbeat.last == Beat(2, 1, 7)
    assert heartbeat.requests() == 2


def test_a_process_that_gets_no_processor_is_given_twice_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    waited = itertools.count()
    monkeypatch.setattr(usage, "times", lambda _: usage.Times(1.0, float(next(waited))))
    with pipe() as (read, write):
        silent_s, _ = judged(read, write)
    assert silent_s >= 2 * PATIENCE_S


def test_a_full_pipe_loses_records_and_not_the_writer() -> None:
    with pipe() as (read, write):
        os.set_blocking(read, False)
        assert all(pulse.send(write, Beat(number, 0, 0)) for number in range(100_000))
        assert pulse.latest(read) is not None
        os.close(read)
        assert not pulse.send(write, Beat(0, 0, 0))


def test_numbers_too_large_for_a_record_are_its_largest() -> None:
    with pipe() as (read, write):
        os.set_blocking(read, False)
        pulse.send(write, Beat(2**40, 1, 2**33))
        assert pulse.latest(read) == Beat(2**32 - 1, 1, 2**32 - 1)
        os.close(read)
