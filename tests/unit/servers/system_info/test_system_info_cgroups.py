"""Control groups of both versions and of both at once, and limits that stand higher up."""

from __future__ import annotations

from collections.abc import Callable

from omnimind.servers.system_info import cgroups, pressure
from omnimind.servers.system_info.machine import Machine, is_missing

Lay = Callable[[dict[str, str]], Machine]

V2 = {
    "proc/self/cgroup": "0::/shop/till\n",
    "proc/self/mountinfo": "1 0 0:9 / {root}/cg rw - cgroup2 cgroup2 rw,nsdelegate\n",
    "cg/cgroup.controllers": "cpu memory pids cpuset",
    "cg/shop/memory.max": "1000000",
    "cg/shop/cpu.max": "max 100000",
    "cg/shop/till/cgroup.controllers": "cpu memory pids cpuset\n",
    "cg/shop/till/memory.max": "max\n",
    "cg/shop/till/memory.current": "970000\n",
    "cg/shop/till/memory.events": "low 0\noom 3\noom_kill 2\n",
    "cg/shop/till/memory.swap.current": "4096",
    "cg/shop/till/cpu.max": "150000 100000\n",
    "cg/shop/till/cpu.stat": "usage_usec 2500000\nnr_periods 10\nnr_throttled 4\n",
    "cg/shop/till/cpuset.cpus.effective": "0-3\n",
    "cg/shop/pids.max": "50",
    "cg/shop/till/pids.max": "100",
    "cg/shop/till/pids.current": "7",
    "cg/shop/till/cpu.pressure": "some avg10=9.00 avg60=0.00 avg300=0.00 total=1",
}

V1 = {
    "proc/self/cgroup": "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n",
    "proc/self/mountinfo": (
        "1 0 0:1 /docker/abc {root}/cg/memory rw - cgroup cgroup rw,memory\n"
        "2 0 0:2 /docker/abc {root}/cg/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
        "3 0 0:3 /docker/abc {root}/cg/systemd rw - cgroup cgroup rw,name=systemd\n"
    ),
    "cg/memory/memory.limit_in_bytes": "9223372036854771712\n",
    "cg/memory/memory.usage_in_bytes": "5000\n",
    "cg/memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\n",
    "cg/cpu,cpuacct/cpu.cfs_quota_us": "50000",
    "cg/cpu,cpuacct/cpu.cfs_period_us": "100000",
    "cg/cpu,cpuacct/cpuacct.usage": "1500000000",
    "cg/cpu,cpuacct/cpu.stat": "nr_periods 0\nnr_throttled 0\n",
}


def test_version_2_counts_the_tightest_limit_on_the_way_up(lay: Lay) -> None:
    found = cgroups.facts(lay(V2))
    assert (found["layout"], found["group"]) == ("v2", "/shop/till")
    memory = found["memory"]
    assert (memory["limit_bytes"], memory["limited_by"], memory["used_bytes"]) == (
        1_000_000,
        "/shop",
        970_000,
    )
    assert (memory["oom_kills"], memory["swap_bytes"]) == (2, 4096)
    assert "does not exist" in memory["peak_bytes"]["why"]
    cpu = found["cpu"]
    assert (cpu["limit_cpus"], cpu["limited_by"], cpu["throttled_periods"]) == (1.5, "/shop/till", 4)
    assert (cpu["used_s"], cpu["cpuset"]) == (2.5, "0-3")
    assert found["pids"] == {"version": 2, "limit": 50, "limited_by": "/shop", "used": 7}


def test_pressure_of_the_own_group_is_read(lay: Lay) -> None:
    group = pressure.facts(lay(V2))["group"]
    assert group["cpu"]["some"]["avg10_percent"] == 9.0
    assert is_missing(group["memory"])


def test_version_1_is_read_where_each_controller_is_mounted(lay: Lay) -> None:
    found = cgroups.facts(lay(V1))
    assert (found["layout"], found["group"]) == ("v1", "/")
    memory, cpu = found["memory"], found["cpu"]
    assert (memory["limit_bytes"], memory["limited_by"], memory["used_bytes"]) == (None, None, 5000)
    assert "does not count" in memory["oom_kills"]["why"]
    assert (cpu["limit_cpus"], cpu["used_s"]) == (0.5, 1.5)
    assert "no group controls pids" in found["pids"]["why"]


def test_both_versions_at_once_are_told_apart(lay: Lay) -> None:
    machine = lay(
        {
            **V1,
            "proc/self/cgroup": V1["proc/self/cgroup"] + "0::/\n",
            "proc/self/mountinfo": V1["proc/self/mountinfo"]
            + "4 0 0:4 / {root}/cg/unified rw - cgroup2 c rw\n",
            "cg/unified/cgroup.controllers": "pids\n",
            "cg/unified/pids.current": "3",
        }
    )
    found = cgroups.facts(machine)
    assert found["layout"] == "hybrid"
    assert found["memory"]["version"] == 1
    assert (found["pids"]["version"], found["pids"]["used"]) == (2, 3)


def test_a_group_that_the_mounts_do_not_show_is_nobodys(lay: Lay) -> None:
    hidden = {**V2, "proc/self/cgroup": "0::/../elsewhere\n"}
    assert is_missing(cgroups.facts(lay({**hidden, "proc/self/mountinfo": ""}))["layout"])


def test_names_of_groups_can_be_left_out(lay: Lay) -> None:
    bare = cgroups.without_names(cgroups.facts(lay(V2)))
    assert "group" not in bare
    assert "/shop" not in str(bare)
    assert bare["memory"]["limit_bytes"] == 1_000_000
