"""Where a unit and the gateway meet: one key whoever comes first, and a lock that tells who serves."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from omnimind.errors import FleetError, StateError
from omnimind.systemd import rendezvous

HOLD = """
import sys
from pathlib import Path
from omnimind.systemd import rendezvous
held = rendezvous.hold(Path(sys.argv[1]), "memory")
print(held.run, flush=True)
sys.stdin.read()
"""


class Other:
    """Another process that holds the lock until it is told to end."""

    def __init__(self, state: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(state)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.run = int(self.process.stdout.readline())

    def end(self) -> None:
        self.process.communicate()


def test_all_who_come_at_once_get_the_same_key_and_nobody_else_can_read_it(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        keys = set(pool.map(lambda _: rendezvous.key(tmp_path, "memory"), range(64)))
    assert len(keys) == 1
    assert len(keys.pop()) == rendezvous.KEY_BYTES
    assert (tmp_path / "units/memory.key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "units").stat().st_mode & 0o777 == 0o700
    assert os.listdir(tmp_path / "units") == ["memory.key"]


@pytest.mark.parametrize("content", ["", "0" * 63, "z" * 64, "0" * 66])
def test_a_damaged_key_is_refused(tmp_path: Path, content: str) -> None:
    rendezvous.key(tmp_path, "memory")
    (tmp_path / "units/memory.key").write_text(content)
    with pytest.raises(StateError, match="damaged"):
        rendezvous.key(tmp_path, "memory")


def test_a_key_that_others_may_read_or_that_is_a_link_is_refused(tmp_path: Path) -> None:
    rendezvous.key(tmp_path, "memory")
    file = tmp_path / "units/memory.key"
    file.chmod(0o644)
    with pytest.raises(StateError, match="open to other users"):
        rendezvous.key(tmp_path, "memory")
    file.chmod(0o600)
    (tmp_path / "units/git.key").symlink_to(file)
    with pytest.raises(StateError, match="cannot be used"):
        rendezvous.key(tmp_path, "git")


def test_the_lock_tells_who_serves_and_counts_the_runs(tmp_path: Path) -> None:
    assert rendezvous.holder(tmp_path, "memory") is None
    first = Other(tmp_path)
    assert rendezvous.holder(tmp_path, "memory") == first.process.pid
    with pytest.raises(FleetError, match=f"pid {first.process.pid}"):
        rendezvous.hold(tmp_path, "memory")
    first.end()
    assert rendezvous.holder(tmp_path, "memory") is None
    second = Other(tmp_path)
    assert (first.run, second.run) == (1, 2)
    second.process.kill()
    second.process.communicate()
    assert rendezvous.holder(tmp_path, "memory") is None


def test_looking_never_takes_the_lock(tmp_path: Path) -> None:
    other = Other(tmp_path)
    other.end()
    with ThreadPoolExecutor(4) as pool:
        looks = [pool.submit(rendezvous.holder, tmp_path, "memory") for _ in range(200)]
        again = Other(tmp_path)  # would fail, had a look held it
        again.end()
        assert {look.result() for look in looks} <= {None, again.process.pid}


def test_the_socket_lies_in_the_runtime_folder_or_else_beside_the_key(tmp_path: Path) -> None:
    assert rendezvous.socket_path("memory", tmp_path, "/run/user/7") == Path(
        "/run/user/7/omnimind/memory.sock"
    )
    assert rendezvous.socket_path("memory", tmp_path, None) == tmp_path / "units/memory.sock"
