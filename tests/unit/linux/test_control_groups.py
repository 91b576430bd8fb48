"""Control groups: found from what the kernel says, and used for real where this machine lets us."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from omnimind.linux import cgroup
from omnimind.linux.cgroup import Group
from tests.fleet import wait_until

NAME = f"omnimind-test-{os.getpid()}"


def mounts(point: str, root: str = "/", kind: str = "cgroup2") -> str:
    return f"20 1 0:1 / / rw - ext4 disk rw\n30 20 0:9 {root} {point} rw shared:4 - {kind} cgroup rw\n"


@pytest.mark.parametrize(
    ("table", "membership", "path"),
    [
        (mounts("/sys/fs/cgroup"), "0::/user.slice/a.service\n", "/sys/fs/cgroup/user.slice/a.service"),
        (mounts("/sys/fs/cgroup"), "0::/\n", "/sys/fs/cgroup"),
        (mounts("/mnt", "/user.slice"), "5:memory:/x\n0::/user.slice/b\n", "/mnt/b"),
        (mounts("/with\\040space"), "0::/c\n", "/with space/c"),
        (mounts("/sys/fs/cgroup"), f"0::/d/{cgroup.OWN_LEAF}\n", "/sys/fs/cgroup/d"),
    ],
)
def test_our_group_is_found(table: str, membership: str, path: str) -> None:
    assert cgroup.own(table, membership) == Group(Path(path))


@pytest.mark.parametrize(
    ("table", "membership"),
    [
        (mounts("/sys/fs/cgroup", kind="cgroup"), "0::/a\n"),
        (mounts("/sys/fs/cgroup"), "5:memory:/a\n"),
        (mounts("/mnt", "/elsewhere"), "0::/a\n"),
        (mounts("/sys/fs/cgroup"), "0::/../outside\n"),
        ("", "0::/a\n"),
    ],
)
def test_without_a_group_that_we_can_see_there_is_none(table: str, membership: str) -> None:
    assert cgroup.own(table, membership) is None


def test_a_folder_that_is_no_group_is_left_as_it_was(tmp_path: Path) -> None:
    assert cgroup.place(Group(tmp_path), NAME) is None
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def group() -> Group:
    own = cgroup.own()
    why = cgroup.refusal(own)
    if own is None or why is not None:
        pytest.skip(f"no control groups here: {why}")
    return own


def test_kill_ends_what_hides_from_every_other_search(group: Group, tmp_path: Path) -> None:
    made = cgroup.place(group, NAME)
    assert made is not None
    door = made.open_door()
    script = (
        "import os, sys, time, signal\n"
        "os.write(int(sys.argv[1]), b'0')\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "if os.fork(): os._exit(0)\n"
        "os.setsid()\n"
        "if os.fork(): os._exit(0)\n"
        "open(sys.argv[2], 'w').write(str(os.getpid()))\n"
        "time.sleep(600)\n"
    )
    file = tmp_path / "pid"
    command = [sys.executable, "-S", "-c", script, str(door), str(file)]
    subprocess.run(command, pass_fds=(door,), check=True, timeout=20)
    os.close(door)
    wait_until(lambda: file.exists() and file.read_text() != "", 10, "the hidden process runs")
    assert made.pids() == [int(file.read_text())]
    assert not made.remove()
    assert made.kill()
    wait_until(lambda: made.remove(), 10, "the group is empty and gone")


def test_processes_are_moved_out_of_the_way_only_where_the_group_was_given_to_us(group: Group) -> None:
    there = group.read("cgroup.controllers").split()
    made = cgroup.place(group, NAME)
    assert made is not None
    sleeper = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
    try:
        given = group.pass_on(there[:1], lambda _: False)
        if not given:
            pytest.skip("no controller that a group of ours could pass on")
        wanted = sorted(given)[:1]
        assert made.add(sleeper.pid)
        assert made.pass_on(wanted, lambda _: True) == frozenset()
        os.setxattr(made.path, "user.delegate", b"1")
        assert made.pass_on(wanted, lambda pids: pids != [sleeper.pid]) == frozenset()
        assert made.pass_on(wanted, lambda pids: pids == [sleeper.pid]) == frozenset(wanted)
        assert Group(made.path / cgroup.OWN_LEAF).pids() == [sleeper.pid]
    finally:
        sleeper.kill()
        sleeper.wait()
        wait_until(lambda: made.remove(), 10, "the group is gone")
        if there and there[0] in group.controllers() and made.path.parent == group.path:
            group.write("cgroup.subtree_control", f"-{there[0]}")
