"""Which limits are left to rlimits, and what they become."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from omnimind.linux import rlimits, usage
from omnimind.orchestrator import resources
from omnimind.orchestrator.resources import Rooms
from omnimind.settings.model import ResourceSettings
from tests.fleet import wait_until

WANTED = ResourceSettings(memory_mb=100, open_files=64, processes=10, cpu_weight=200)
MIB = 1024 * 1024


def test_without_groups_everything_is_left_to_rlimits_and_the_watch() -> None:
    room = Rooms().room("any", WANTED)
    assert room.group is None
    assert room.watched
    assert room.limits.data_bytes == 100 * MIB + rlimits.SLACK_BYTES
    assert room.limits.open_files == 64
    assert room.limits.processes is not None
    assert room.limits.processes > 10
    assert room.limits.nice == -3


def test_what_a_group_holds_is_not_held_twice() -> None:
    held = frozenset({"memory", "pids", "cpu"})
    assert resources.limits(WANTED, held) == rlimits.Limits(open_files=64)


def test_without_settings_nothing_is_limited() -> None:
    room = Rooms().room("any", ResourceSettings())
    assert not room.limits.any
    assert not room.watched


@pytest.mark.parametrize(("weight", "nice"), [(100, 0), (10_000, -20), (1, 19), (80, 1), (125, -1)])
def test_a_weight_becomes_the_nearest_nice_value(weight: int, nice: int) -> None:
    assert rlimits.nice_of(weight) == nice


def test_a_limit_above_what_we_may_give_becomes_what_we_may() -> None:
    script = (
        "import resource\n"
        "from omnimind.linux import rlimits\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (50, 50))\n"
        "rlimits.apply(rlimits.Limits(open_files=40))\n"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE))\n"
        "rlimits.apply(rlimits.Limits(open_files=45))\n"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["(40, 40)", "(40, 40)"]


def test_memory_is_that_of_the_whole_tree(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    hog = f"x = b'x' * (60 << 20); open({str(ready)!r}, 'w').close(); import time; time.sleep(60)"
    shell = subprocess.Popen(
        ["/bin/sh", "-c", '"$0" -S -c "$1" & wait', sys.executable, hog], start_new_session=True
    )
    try:
        wait_until(ready.exists, 20, "the memory is taken")
        used_mb = resources.memory_mb(shell.pid, None)
        assert used_mb is not None
        assert 60 <= used_mb < 200
    finally:
        os.killpg(shell.pid, 9)
        shell.wait()
    assert usage.private_bytes(shell.pid) is None


def test_pages_of_the_parent_are_not_a_forked_process_s_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "_exact_bytes", lambda _: None)  # as for one that hides its memory
    script = (
        "import os, sys, time\n"
        "shared = bytearray(b'x') * (80 << 20)\n"
        "if not os.fork():\n"
        "    print(os.getpid(), flush=True); sys.stdin.readline()\n"
        "    own = b'x' * (40 << 20)\n"
        "    print('grown', flush=True); sys.stdin.readline(); os._exit(0)\n"
        "os.wait()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-S", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        inherited_bytes = usage.anonymous_bytes(child)
        assert inherited_bytes is not None
        assert inherited_bytes > 80 * MIB
        before_mb = resources.memory_mb(child, None, inherited_bytes)
        parent.stdin.write("\n")
        parent.stdin.flush()
        parent.stdout.readline()
        after_mb = resources.memory_mb(child, None, inherited_bytes)
        parent.stdin.write("\n")
        parent.stdin.flush()
    assert before_mb is not None
    assert before_mb < 5
    assert after_mb is not None
    assert 38 <= after_mb < 60
