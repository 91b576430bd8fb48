"""The tools on this machine, against what other ways of asking say at the same moment."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import anyio
import psutil
import pytest
from mcp import Client
from server_session import Session

from omnimind.servers.system_info import fleet
from omnimind.servers.system_info.machine import is_missing

TOOLS = (
    "system_overview", "health_summary", "cpu_info", "cpu_usage", "memory_info", "disk_usage", "disk_io",
    "sensor_readings", "network_info", "gpu_info", "pressure_info", "cgroup_info", "fleet_processes",
)  # fmt: skip
SECRETS = (
    "cmdline",
    "environ",
    "maps",
    "mem",
    "fd",
    "cwd",
    "exe",
    "root",
    "auxv",
    "stack",
    "smaps",
    "syscall",
)


def near(value: float, other: float, part: float = 0.05) -> bool:
    return abs(value - other) <= part * max(abs(value), abs(other), 1)


def test_processors_are_those_that_python_counts(system_info: Session) -> None:
    found = system_info.data("cpu_info")
    assert found["logical"] == os.cpu_count()
    assert found["usable_by_this_process"] == len(os.sched_getaffinity(0))
    assert is_missing(found["cores"]) or found["cores"] == psutil.cpu_count(logical=False)


def test_memory_is_what_the_kernel_says(system_info: Session) -> None:
    found, other = system_info.data("memory_info"), psutil.virtual_memory()
    assert found["memory"]["total_bytes"] == other.total
    assert near(found["memory"]["available_bytes"], other.available)
    swap = psutil.swap_memory()
    assert is_missing(found["swap"]) if swap.total == 0 else found["swap"]["total_bytes"] == swap.total


def test_a_disk_is_as_full_as_python_says(system_info: Session) -> None:
    rows = system_info.data("disk_usage", in_memory=True)["file_systems"]
    assert rows
    for row in rows:
        if not is_missing(row["usage"]):
            other = shutil.disk_usage(row["mount"])
            assert row["usage"]["total_bytes"] == other.total
            assert near(row["usage"]["available_bytes"], other.free)


def test_a_busy_processor_is_seen_to_be_busy(system_info: Session) -> None:
    async def run(client: Client) -> tuple[Any, list[float]]:
        steps: list[float] = []

        async def progress(done: float, total: float | None, message: str | None) -> None:
            steps.append(done)

        def spin() -> None:
            end = time.monotonic() + 0.5
            while time.monotonic() < end:
                pass

        async with anyio.create_task_group() as group:
            group.start_soon(anyio.to_thread.run_sync, spin)
            arguments = {"interval_ms": 400, "each": True}
            result = await client.call_tool("cpu_usage", arguments, progress_callback=progress)
        return result.structured_content, steps

    found, steps = system_info.ask(run)
    assert found["interval_ms"] >= 400
    assert found["percent"]["busy"] > 50 / (os.cpu_count() or 1)
    assert len(found["percent_each"]) == os.cpu_count()
    assert near(found["load"]["1_min"], os.getloadavg()[0], 0.5)
    assert len(steps) >= 3
    assert steps == sorted(steps)


@pytest.mark.roomy
def test_a_measurement_ends_when_its_caller_goes_away(system_info: Session) -> None:
    async def run(client: Client) -> float:
        began = time.monotonic()
        with anyio.move_on_after(0.15):
            await client.call_tool("cpu_usage", {"interval_ms": 10_000})
        await client.call_tool("cpu_info", {})
        return time.monotonic() - began

    assert system_info.ask(run) < 5


def test_network_and_disk_counters_go_on_from_what_psutil_says(system_info: Session) -> None:
    before = psutil.net_io_counters(pernic=True)
    rows = {row["name"]: row for row in system_info.data("network_info")["interfaces"]}
    assert rows.keys() == before.keys()
    for name, row in rows.items():
        assert row["counters"]["received_bytes"] >= before[name].bytes_recv
    disks, found = psutil.disk_io_counters(perdisk=True), system_info.data("disk_io")["devices"]
    for name in found.keys() & disks.keys():
        assert found[name]["read_bytes"] >= disks[name].read_bytes


def test_addresses_are_those_that_the_sockets_know(system_info: Session) -> None:
    found = system_info.data("network_info")
    ours = {address for row in found["interfaces"] for address in row["ipv4"]}
    ours |= set(found.get("ipv4_without_interface", []))
    theirs = {
        one.address
        for addresses in psutil.net_if_addrs().values()
        for one in addresses
        if one.family.name == "AF_INET"
    }
    assert ours == theirs


def test_rates_are_given_for_an_interval_only(system_info: Session) -> None:
    for tool in ("disk_io", "network_info"):
        assert "rates" not in system_info.data(tool)
        assert "rates" in system_info.data(tool, interval_ms=100)


def test_the_overview_agrees_with_the_kernel(system_info: Session) -> None:
    found = system_info.data("system_overview")
    assert found["kernel"]["release"] == os.uname().release
    assert near(found["uptime_s"], time.clock_gettime(time.CLOCK_BOOTTIME), 0.01)
    assert found["host_name"] == os.uname().nodename


def test_a_summary_names_its_thresholds_and_what_it_checked(system_info: Session) -> None:
    found = system_info.data("health_summary")
    assert found["status"] in ("ok", "warning", "critical")
    assert "memory available" in found["checked"]
    assert all({"what", "warning", "when", "unit"} <= one.keys() for one in found["thresholds"])
    assert (found["status"] == "ok") == (found["notable"] == [])


def test_without_a_fleet_there_are_no_processes(system_info: Session) -> None:
    assert "no fleet" in system_info.data("fleet_processes")["processes"]["why"]


def test_long_lists_go_on_at_an_offset(system_info: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omnimind.servers.system_info.server.PAGE", 1)
    first = system_info.data("network_info")
    assert len(first["interfaces"]) == 1
    if "next_offset" in first:
        assert system_info.data("network_info", offset=1)["interfaces"][0] != first["interfaces"][0]


def test_no_tool_opens_a_file_that_holds_a_secret(system_info: Session) -> None:
    opened: list[str] = []
    watching = [True]

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if watching and event == "open" and isinstance(arguments[0], str | os.PathLike):
            opened.append(os.fspath(arguments[0]))

    sys.addaudithook(hook)
    for tool in TOOLS:
        system_info.data(tool)
    watching.clear()
    assert any(path.startswith("/proc/") for path in opened)
    assert not [path for path in opened if path.startswith("/proc/") and Path(path).name in SECRETS]
    private = {"product_serial", "product_uuid", "board_serial", "chassis_serial", "serial"}
    assert not [path for path in opened if Path(path).name in private]


def test_the_server_takes_no_arguments(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no arguments"):
        Session("system_info", tmp_path, ["--all"])


def test_a_record_of_another_boot_or_a_damaged_one_proves_nothing(tmp_path: Path) -> None:
    record = tmp_path / fleet.RECORD
    record.parent.mkdir()
    for text in ("", "{", '{"run":"m","boot":"another","uid":0}\n{"started":[1,1],"uid":0,"exe":null}'):
        record.write_text(text)
        system_info = Session("system_info", tmp_path, [])
        assert "has not run since" in system_info.data("fleet_processes")["processes"]["why"]
