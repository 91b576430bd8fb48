"""Facts read from machines of every sort: what is there is read, what is not is said not to be there."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from omnimind.servers.system_info import cpu, disks, memory, network, overview, pressure, sensors
from omnimind.servers.system_info.machine import Machine, Missing, is_missing, tried

Lay = Callable[[dict[str, str]], Machine]

TOPOLOGY = {
    f"sys/devices/system/cpu/cpu{number}/topology/{file}": value
    for number, core in ((0, "0"), (1, "0"), (2, "1"), (3, "1"))
    for file, value in (("physical_package_id", "0"), ("core_id", core))
}


def test_an_empty_machine_says_of_everything_that_it_is_not_there(lay: Lay) -> None:
    machine = lay({})
    everything: list[Any] = [
        cpu.facts(machine), memory.facts(machine), sensors.facts(machine), pressure.facts(machine)["machine"],
        overview.facts(machine, True),
    ]  # fmt: skip
    lacking = [value for part in everything for value in part.values() if is_missing(value)]
    assert len(lacking) > 15
    assert all("does not exist here" in lack["why"] or "no " in lack["why"] for lack in lacking)
    for read in (disks.mounts, disks.counters, network.counters, cpu.ticks, cpu.load):
        with pytest.raises(Missing, match="does not exist here"):
            read(machine)


def test_threads_of_a_core_are_not_cores(lay: Lay) -> None:
    found = cpu.facts(lay({"sys/devices/system/cpu/online": "0-1,2-3\n", **TOPOLOGY}))
    assert (found["logical"], found["cores"], found["sockets"]) == (4, 2, 1)


def test_frequencies_come_from_cpufreq_and_else_from_cpuinfo(lay: Lay) -> None:
    slow = lay({"proc/cpuinfo": "model name : X\ncpu MHz : 1999.5\n\nmodel name : X\ncpu MHz : 2000\n"})
    assert cpu.frequencies(slow) == [1999.5, 2000.0]
    assert cpu.models(slow) == ["X"]
    assert is_missing(tried(cpu.frequency_range, slow))
    policy = "sys/devices/system/cpu/cpufreq/policy0/"
    steered = lay({policy + "scaling_cur_freq": "800000\n", policy + "cpuinfo_min_freq": "400000",
                   policy + "cpuinfo_max_freq": "4200000"})  # fmt: skip
    assert cpu.frequencies(steered) == [800.0]
    assert cpu.frequency_range(steered) == {"lowest": 400.0, "highest": 4200.0}


def test_shares_are_of_the_time_between_two_looks() -> None:
    before = {"cpu": (100, 0, 50, 800, 50, 0, 0, 0), "cpu0": (1,) * 8}
    after = {"cpu": (150, 0, 75, 875, 40, 0, 0, 0), "cpu0": (1,) * 8, "cpu1": (1,) * 8}
    found = cpu.shares(before, after)
    assert (found["user"], found["system"], found["idle"]) == (33.3, 16.7, 50.0)
    assert found["iowait"] == 0.0, "a counter that goes back is no negative share"
    assert found["busy"] == 50.0
    with pytest.raises(Missing, match="no tick"):
        cpu.shares(before, after, "cpu0")
    with pytest.raises(Missing, match="not online"):
        cpu.shares(before, after, "cpu1")


def test_an_old_kernel_does_not_say_what_memory_is_available(lay: Lay) -> None:
    found = memory.facts(lay({"proc/meminfo": "MemTotal: 1000 kB\nMemFree: 100 kB\nSwapTotal: 0 kB\n"}))
    assert found["memory"]["total_bytes"] == 1_024_000
    assert is_missing(found["memory"]["available_bytes"])
    assert is_missing(found["memory"]["used_percent"])
    assert found["swap"]["why"] == "this machine has no swap space"


def test_memory_is_counted_in_bytes(lay: Lay) -> None:
    text = "MemTotal: 1000 kB\nMemAvailable: 250 kB\nSwapTotal: 100 kB\nSwapFree: 90 kB\n"
    found = memory.facts(lay({"proc/meminfo": text}))
    assert (found["memory"]["used_bytes"], found["memory"]["used_percent"]) == (768_000, 75.0)
    assert (found["swap"]["used_bytes"], found["swap"]["used_percent"]) == (10_240, 10.0)


def test_each_file_system_is_one_row_and_a_remote_one_is_not_asked(
    lay: Lay, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = lay(
        {
            "proc/self/mountinfo": "\n".join(
                (
                    "1 0 8:1 / / rw - ext4 /dev/sda1 rw",
                    "2 1 8:1 /home /srv/a\\040b rw - ext4 /dev/sda1 rw",
                    "3 1 0:5 / /mnt/far rw - nfs4 far:/export rw",
                    "4 1 0:6 / /mnt/phone rw - fuse.sshfs ann@far:/ rw",
                    "5 1 0:7 / /proc rw - proc proc rw",
                    "6 1 0:8 / /tmp rw - tmpfs tmpfs rw",
                    "7 1 8:2 / /mnt/cd ro - iso9660 /dev/sr0 ro",
                    "a line of another kernel",
                )
            )
        }
    )
    asked: list[str] = []
    real = os.statvfs
    monkeypatch.setattr(os, "statvfs", lambda point: (asked.append(point), real("/"))[1])
    rows = disks.file_systems(machine, in_memory=False, with_sources=False)
    assert [(row["mount"], row["other_mounts"], row["read_only"]) for row in rows] == [
        ("/", 1, False), ("/mnt/far", 0, False), ("/mnt/phone", 0, False), ("/mnt/cd", 0, True),
    ]  # fmt: skip
    assert asked == ["/", "/mnt/cd"]
    assert "never comes" in rows[1]["usage"]["why"]
    assert not any("source" in row for row in rows)
    in_memory = disks.file_systems(machine, in_memory=True, with_sources=True)
    assert {row["mount"]: row["source"] for row in in_memory}["/tmp"] == "tmpfs"
    assert disks.mounts(machine)[1].point == "/srv/a b"


def test_disks_are_counted_without_their_partitions(lay: Lay) -> None:
    line = " ".join(str(number) for number in range(10, 21))
    machine = lay(
        {
            "proc/diskstats": f"8 0 sda {line}\n8 1 sda1 {line}\n7 0 loop0 {'0 ' * 11}\n1 2 odd x",
            "sys/class/block/sda1/partition": "1",
        }
    )
    counted = disks.counters(machine)
    assert list(counted) == ["sda"]
    assert disks.totals(counted)["sda"]["read_bytes"] == 12 * 512
    later = {"sda": tuple(number + 100 for number in counted["sda"]), "sdb": counted["sda"]}
    rates = disks.rates(counted, later, 2.0)
    assert set(rates) == {"sda"}
    assert rates["sda"]["reads_per_s"] == 50.0
    assert rates["sda"]["read_bytes_per_s"] == 25_600
    assert rates["sda"]["busy_percent"] == 5.0


def test_every_sensor_stands_for_itself(lay: Lay) -> None:
    chip, zone = "sys/class/hwmon/hwmon10/", "sys/class/thermal/thermal_zone0/"
    found = sensors.facts(
        lay(
            {
                "sys/class/hwmon/hwmon2/name": "empty",
                chip + "name": "coretemp\n", chip + "temp1_input": "45250\n", chip + "temp1_label": "Core 0\n",
                chip + "temp1_crit": "100000", chip + "temp2_input": "65261000", chip + "temp3_input": "hot",
                chip + "temp4_input": "-5500", chip + "temp10_input": "1000", chip + "fan1_input": "1200",
                zone + "type": "acpitz", zone + "temp": "30000", zone + "trip_point_0_type": "critical",
                zone + "trip_point_0_temp": "105000",
                "sys/class/thermal/thermal_zone1/type": "coretemp",
                "sys/class/thermal/thermal_zone1/temp": "1",
            }
        )
    )  # fmt: skip
    readings = found["temperatures"]
    assert [one["label"] for one in readings] == [
        "Core 0",
        "temp2",
        "temp3",
        "temp4",
        "temp10",
        "thermal_zone0",
    ]
    assert (readings[0]["celsius"], readings[0]["crit_celsius"]) == (45.25, 100.0)
    assert "cannot be" in readings[1]["celsius"]["why"]
    assert "no number" in readings[2]["celsius"]["why"]
    assert readings[3]["celsius"] == -5.5
    assert readings[5]["crit_celsius"] == 105.0
    assert found["fans"] == [{"chip": "coretemp", "label": "fan1", "rpm": 1200}]
    assert is_missing(found["batteries"])


def test_a_sensor_that_cannot_be_read_says_why(lay: Lay) -> None:
    chip = "sys/class/hwmon/hwmon0/"
    machine = lay({chip + "name": "nvme"})
    (machine.sys / "class/hwmon/hwmon0/temp1_input").mkdir()
    (reading,) = sensors.temperatures(machine)
    assert "Is a directory" in reading["celsius"]["why"]


def test_a_battery_of_the_machine_is_read_and_one_of_a_mouse_is_not(lay: Lay) -> None:
    battery, mouse = "sys/class/power_supply/BAT0/", "sys/class/power_supply/hid-0/"
    files = {battery + "type": "Battery", battery + "capacity": "50", battery + "status": "Discharging",
             battery + "energy_now": "30000000", battery + "power_now": "10000000",
             mouse + "type": "Battery", mouse + "scope": "Device"}  # fmt: skip
    assert sensors.batteries(lay(files)) == [
        {"name": "BAT0", "percent": 50, "status": "Discharging", "minutes_left": 180}
    ]
    (charging,) = sensors.batteries(lay({battery + "status": "Charging"}))
    assert "not discharging" in charging["minutes_left"]["why"]


def test_addresses_are_given_to_interfaces_only_where_that_is_certain(lay: Lay) -> None:
    machine = lay(
        {
            "proc/net/dev": "h1\nh2\n    lo: " + "1 " * 16 + "\n  eth0:" + "7 " * 16 + "\n",
            "proc/net/route": "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n"
            "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\n"
            "eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\n",
            "proc/net/fib_trie": "Local:\n |-- 127.0.0.1\n    /32 host LOCAL\n |-- 192.0.2.2\n    /32 host LOCAL\n"
            " |-- 192.0.2.255\n    /32 link BROADCAST\n |-- 198.51.100.7\n    /32 host LOCAL\n",
            "proc/net/if_inet6": "fe8000000000000000fc00fffe000001 04 40 20 80     eth0\n",
            "sys/class/net/eth0/operstate": "up\n", "sys/class/net/eth0/speed": "-1\n",
            "sys/class/net/eth0/address": "02:fc:00:00:00:01\n",
        }
    )  # fmt: skip
    lo, eth0 = network.interfaces(machine, network.counters(machine), with_addresses=True)
    assert (lo["ipv4"], lo["ipv6"]) == (["127.0.0.1"], [])
    assert (eth0["ipv4"], eth0["ipv6"]) == (["192.0.2.2"], ["fe80::fc:ff:fe00:1/64"])
    assert network.unplaced(machine) == ["198.51.100.7"]
    assert "says -1" in eth0["speed_mbit_per_s"]["why"]
    assert eth0["counters"]["sent_bytes"] == 7
    bare = network.interfaces(machine, network.counters(machine), with_addresses=False)
    assert not any({"mac", "ipv4", "ipv6"} & row.keys() for row in bare)


def test_pressure_that_a_kernel_does_not_have_is_said_not_to_be_there(lay: Lay) -> None:
    line = "some avg10=1.50 avg60=2.00 avg300=0.00 total=77\n"
    found = pressure.facts(lay({"proc/pressure/cpu": line, "proc/pressure/io": "odd"}))
    assert found["machine"]["cpu"] == {
        "some": {"avg10_percent": 1.5, "avg60_percent": 2.0, "avg300_percent": 0.0, "total_us": 77}
    }
    assert "not known" in found["machine"]["io"]["why"]
    assert "does not exist" in found["machine"]["memory"]["why"]
    assert is_missing(found["group"])


@pytest.mark.parametrize(
    ("files", "virtual", "kind"),
    [
        ({"proc/cpuinfo": "flags : fpu hypervisor"}, True, None),
        (
            {"proc/cpuinfo": "flags : fpu hypervisor", "sys/class/dmi/id/sys_vendor": "QEMU"},
            True,
            "kvm or qemu",
        ),
        (
            {"proc/cpuinfo": "flags : fpu", "sys/class/dmi/id/sys_vendor": "Microsoft Corporation"},
            False,
            None,
        ),
        ({"proc/cpuinfo": "Features : fp", "sys/class/dmi/id/sys_vendor": "Amazon EC2"}, True, "amazon ec2"),
        ({"proc/cpuinfo": "Features : fp", "sys/class/dmi/id/sys_vendor": "Google"}, None, None),
        ({"sys/hypervisor/type": "xen\n"}, True, "xen"),
    ],
)
def test_a_guest_is_known_by_its_marks(
    lay: Lay, files: dict[str, str], virtual: bool | None, kind: str | None
) -> None:
    found = overview.virtualization(lay(files))
    assert found.get("virtual") is virtual
    if kind is not None:
        assert found["kind"] == kind


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({".dockerenv": ""}, "docker"),
        ({"run/.containerenv": ""}, "podman"),
        ({"proc/self/cgroup": "0::/kubepods.slice/pod1"}, "kubernetes"),
        ({"run/systemd/container": "x"}, "a container"),
        ({"proc/self/cgroup": "0::/user.slice"}, None),
    ],
)
def test_a_container_is_known_by_its_marks(lay: Lay, files: dict[str, str], found: str | None) -> None:
    assert overview.container(lay(files))["found"] == found
