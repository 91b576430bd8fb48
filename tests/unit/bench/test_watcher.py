"""The kernel's clock in a process of its own, with a program in place of bpftrace that prints as it does."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import psutil
import pytest

from omnimind.bench.watcher import Watcher
from omnimind.monitor.kernel import MonitorError
from omnimind.monitor.needs import Kernel

PROGRAM = """\
#!{python}
import json, sys, time
def say(kind, data): print(json.dumps({{"type": kind, "data": data}}), flush=True)
say("printf", "ready\\n")
for _ in range({readings}):
    say("printf", "reading\\n")
    began = time.monotonic_ns()
    time.sleep(0.1)
    say("map", {{"@began": began}})
    say("printf", "end of reading\\n")
sys.exit("it is over")
"""


def kernel(folder: Path, readings: int) -> Kernel:
    program = folder / "bpftrace"
    program.write_text(PROGRAM.format(python="/usr/bin/env python3", readings=readings))
    program.chmod(0o755)
    return Kernel(str(program), (0, 23, 0), "tracepoints")


@pytest.mark.roomy
def test_a_reading_begins_after_it_was_asked_for(tmp_path: Path) -> None:
    """However many lie in the queue: they would lack what happened since."""
    with Watcher(kernel(tmp_path, 200)) as watcher:
        watcher.watch([4320])
        time.sleep(0.35)
        for _ in range(3):
            asked_ns = time.monotonic_ns()
            assert watcher.reading()["began"][""] > asked_ns


def test_nothing_is_left_of_it(tmp_path: Path) -> None:
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    with Watcher(kernel(tmp_path, 200)) as watcher:
        watcher.watch([4320])
        fresh = [one for one in psutil.Process().children(recursive=True) if one.pid not in before]
        assert len(fresh) == 2
    assert not [one for one in fresh if one.is_running()]
    watcher.close()


def test_what_goes_wrong_is_told_with_what_bpftrace_said(tmp_path: Path) -> None:
    with Watcher(kernel(tmp_path, 0)) as watcher:
        watcher.watch([4320])
        with pytest.raises(MonitorError) as error:
            watcher.reading()
    assert error.value.what == "bpftrace ended by itself"
    assert error.value.why == "it is over"


def test_it_cannot_begin_without_the_program(tmp_path: Path) -> None:
    missing = Kernel(str(tmp_path / "none"), (0, 23, 0), "tracepoints")
    with Watcher(missing) as watcher, pytest.raises(MonitorError, match="gone"):
        watcher.watch([4320])


def test_it_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    """The link ends, and that is all that it needs."""
    told, tell = os.pipe()
    parent = os.fork()
    if parent == 0:
        watcher = Watcher(kernel(tmp_path, 200))
        watcher.watch([4320])
        os.write(tell, json.dumps([one.pid for one in psutil.Process().children(recursive=True)]).encode())
        os.kill(os.getpid(), 9)
    pids = json.loads(os.read(told, 1000))
    os.waitpid(parent, 0)
    assert len(pids) == 2
    _, alive = psutil.wait_procs([psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)], timeout=20)
    assert not alive
