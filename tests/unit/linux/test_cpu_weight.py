"""A CPU weight must count between sessions too, where the scheduler groups tasks by session."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from omnimind.linux import rlimits
from omnimind.linux.rlimits import Limits

ENABLED = Path("/proc/sys/kernel/sched_autogroup_enabled")


@contextmanager
def sleeper(own_session: bool) -> Iterator[int]:
    with subprocess.Popen(["sleep", "60"], start_new_session=own_session) as process:
        try:
            yield process.pid
        finally:
            process.kill()


def group_of(pid: int) -> str:
    return Path(f"/proc/{pid}/autogroup").read_text().strip()


@pytest.mark.skipif(not ENABLED.exists(), reason="this kernel does not group tasks by session")
def test_the_session_of_a_limited_process_gets_its_weight_and_no_other_session_does() -> None:
    light = Limits(nice=rlimits.nice_of(10))
    assert light.nice == 10
    with sleeper(own_session=True) as own, sleeper(own_session=False) as ours:
        before = group_of(ours)
        rlimits.apply(light, own)
        rlimits.apply(light, ours)
        assert group_of(own).endswith("nice 10")
        assert group_of(ours) == before
