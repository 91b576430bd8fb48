"""Machines of all kinds, told from the files that they would have."""

from __future__ import annotations

from pathlib import Path

import pytest

from omnimind.bench import machine
from omnimind.bench.machine import Used

PID = 7


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def unit(quota: str = "150000 100000") -> dict[str, str]:
    """A unit below a slice, under version 2 of control groups."""
    return {
        "proc/self/mounts": "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n",
        f"proc/{PID}/cgroup": "0::/user.slice/a.service\n",
        "sys/fs/cgroup/user.slice/cpu.max": "max 100000\n",
        "sys/fs/cgroup/user.slice/cpu.stat": "usage_usec 9\nnr_periods 10\nnr_throttled 2\nthrottled_usec 5\n",
        "sys/fs/cgroup/user.slice/a.service/cpu.max": f"{quota}\n",
        "sys/fs/cgroup/user.slice/a.service/cpu.stat": "usage_usec 9\nnr_periods 10\nnr_throttled 5\n",
        "sys/fs/cgroup/cpu.stat": "usage_usec 9\n",
        "proc/stat": "cpu  100 10 50 800 40 0 0 5 0 0\ncpu0 1 1 1 1\n",
    }


def old() -> dict[str, str]:
    """A container under version 1, where controllers are apart."""
    return {
        "proc/self/mounts": (
            "cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0\n"
            "cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n"
            "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n"
        ),
        f"proc/{PID}/cgroup": "4:memory:/box\n3:cpu,cpuacct:/box\n0::/\n",
        "sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_quota_us": "50000\n",
        "sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_period_us": "100000\n",
        "sys/fs/cgroup/cpu,cpuacct/box/cpu.stat": "nr_periods 4\nnr_throttled 3\nthrottled_time 1\n",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
    }


def test_the_limits_of_a_group_and_of_those_above_it(tmp_path: Path) -> None:
    assert machine.describe(PID, tree(tmp_path / "new", unit()), {}).cpu_limit == 1.5
    assert machine.describe(PID, tree(tmp_path / "free", unit("max 100000")), {}).cpu_limit is None
    assert machine.describe(PID, tree(tmp_path / "old", old()), {}).cpu_limit == 0.5
    assert machine.describe(PID, tree(tmp_path / "bare", {}), {}).cpu_limit is None


def test_how_often_it_stood_still_and_how_busy_the_machine_was(tmp_path: Path) -> None:
    root = tree(tmp_path, unit())
    before = machine.used(PID, root)
    assert before == Used(busy=160, stolen=5, all=1005, throttled=7)
    tree(root, {"proc/stat": "cpu  190 10 50 805 45 0 0 5 0 0\n"})
    tree(root, {"sys/fs/cgroup/user.slice/a.service/cpu.stat": "nr_throttled 9\n"})
    busy, stolen, throttled = machine.used(PID, root).since(before)
    assert (busy, stolen, throttled) == (pytest.approx(0.9), 0.0, 4)
    assert machine.used(PID, tree(tmp_path / "old", old())).throttled == 3


def test_what_is_not_told_is_not_known(tmp_path: Path) -> None:
    nothing = machine.used(PID, tmp_path)
    assert nothing.since(nothing) == (None, None, None)


@pytest.mark.parametrize(
    ("files", "environ", "kind"),
    [
        ({}, {}, None),
        ({".dockerenv": ""}, {}, "docker"),
        ({"run/.containerenv": ""}, {}, "podman"),
        ({"run/systemd/container": "lxc\n"}, {}, "lxc"),
        ({}, {"container": "systemd-nspawn"}, "systemd-nspawn"),
        ({".dockerenv": ""}, {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "kubernetes"),
        ({"proc/1/cgroup": "0::/kubepods/pod1/x\n"}, {}, "kubernetes"),
        ({"proc/1/cgroup": "1:cpu:/docker/8f3\n"}, {}, "docker"),
        ({"proc/1/cgroup": "0::/init.scope\n"}, {}, None),
    ],
)
def test_the_kind_of_container(
    files: dict[str, str], environ: dict[str, str], kind: str | None, tmp_path: Path
) -> None:
    assert machine.container(tree(tmp_path, files), environ) == kind


@pytest.mark.parametrize(("there", "bridged"), [("12", True), ("3", False)])
def test_a_bridge_is_an_interface_whose_other_end_is_elsewhere(
    there: str, bridged: bool, tmp_path: Path
) -> None:
    interface = {"sys/class/net/eth0/ifindex": "3\n", "sys/class/net/eth0/iflink": f"{there}\n"}
    loop = {"sys/class/net/lo/ifindex": "1\n", "sys/class/net/lo/iflink": "2\n"}
    root = tree(tmp_path, {".dockerenv": "", **interface, **loop})
    assert machine.describe(PID, root, {}).bridged == bridged
    (root / ".dockerenv").unlink()
    assert not machine.describe(PID, root, {}).bridged


def test_this_machine_can_be_told_about() -> None:
    found = machine.describe(1)
    assert found.cpus >= 1
    assert found.memory_bytes > 1 << 28
    assert found.kernel.startswith("Linux ")
    assert found.model
