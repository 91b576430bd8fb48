"""What processes cost, and killing them: real processes, and a fleet's status that only pretends."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from omnimind.stress.chaos import Chaos, kill_worker
from omnimind.stress.usage import Sampler

BUSY = (
    "import time; end = time.process_time() + {s}\nwhile time.process_time() < end: pass\nprint(flush=True)\n"
)
REST = "import sys; sys.stdin.read()"


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-S", "-c", REST], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.wait()
    assert process.stdin is not None
    process.stdin.close()


def worker(child: subprocess.Popen[bytes], name: str = "memory") -> dict[str, Any]:
    return {"name": name, "kind": "worker", "state": "ready", "pid": child.pid}


def test_cpu_since_the_first_look_is_counted_also_of_what_is_born_later_and_of_what_is_below() -> None:
    members = {"self": os.getpid()}
    sampler = Sampler(lambda: members)
    sampler.look()
    before_s = time.process_time()
    script = BUSY.format(s=0.2) + REST
    with subprocess.Popen(
        [sys.executable, "-S", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as born:
        assert born.stdout is not None
        born.stdout.readline()
        (below,) = sampler.uses()
        spent_s = time.process_time() - before_s
    assert 0.19 <= below.cpu_s <= 0.2 + spent_s + 0.2
    assert below.rss_peak_bytes >= below.rss_last_bytes > 5 << 20
    assert below.processes == 1, "what is below it is not counted as one of its own"
    assert below.pss_bytes is None or below.pss_bytes > 0


def test_only_a_child_of_the_orchestrator_is_killed(child: subprocess.Popen[bytes]) -> None:
    assert not kill_worker(child.pid, orchestrator=1)
    assert not kill_worker(os.getpid(), orchestrator=os.getpid())
    assert child.poll() is None
    assert kill_worker(child.pid, orchestrator=os.getpid())
    assert child.wait(10) == -9
    assert not kill_worker(child.pid, orchestrator=os.getpid())


def test_a_worker_is_killed_when_it_is_time_and_is_back_with_another_pid(
    child: subprocess.Popen[bytes],
) -> None:
    row = worker(child)
    chaos = Chaos(lambda: {"orchestrator": {"pid": os.getpid()}, "servers": [row]}, every_s=5.0)
    chaos.tick(4.9)
    assert chaos.kills == []
    chaos.tick(5.1)
    assert child.wait(10) == -9
    row["state"] = "starting"
    chaos.tick(5.3)
    assert chaos.kills[0].back_s is None
    row |= {"state": "ready", "pid": os.getpid()}
    chaos.tick(5.6)
    assert chaos.kills[0].back_s == pytest.approx(0.5)


def test_nobody_is_killed_so_often_that_it_would_be_parked() -> None:
    rows = [{"name": "memory", "kind": "worker", "state": "ready", "pid": 0}]
    chaos = Chaos(lambda: {"orchestrator": {"pid": os.getpid()}, "servers": rows}, every_s=1.0)
    for number in range(1, 6):
        process = subprocess.Popen([sys.executable, "-S", "-c", REST], stdin=subprocess.PIPE)
        rows[0]["pid"] = process.pid
        chaos.tick(float(number))
        process.kill()
        process.communicate()
    assert [kill.at_s for kill in chaos.kills] == [1.0, 2.0]


def test_what_is_no_worker_or_not_ready_is_left_alone(child: subprocess.Popen[bytes]) -> None:
    rows = [worker(child) | {"kind": "child"}, worker(child) | {"state": "parked"}]
    chaos = Chaos(lambda: {"orchestrator": {"pid": os.getpid()}, "servers": rows}, every_s=1.0)
    chaos.tick(2.0)
    assert chaos.kills == []
    assert child.poll() is None
