"""The MCP face of the system_info server: one tool a part of the machine, all of them read-only.

Everybody learns figures of the machine. What names the machine or people on it (host name, addresses, sources of
mounts, names of control groups) and the figures of the fleet's processes are for operators; others see of the
fleet the names and states of its servers. What is measured now is marked open-world: it changes by itself, so
nobody may answer for us from what was true a while ago.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import anyio
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.types import CallToolResult, ToolAnnotations
from pydantic import Field

from omnimind.servers import ServerContext
from omnimind.servers.depends import REQUEST
from omnimind.servers.system_info import (
    cgroups,
    cpu,
    disks,
    fleet,
    gpu,
    memory,
    network,
    overview,
    pressure,
    sensors,
    shapes,
    survey,
)
from omnimind.servers.system_info.machine import Facts, Machine, tried
from omnimind.servers.tools import READS, Toolbox, data_result, in_thread, new_server, role

LIVE: Final = ToolAnnotations(
    read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=True
)
LONGEST_MS: Final = 10_000
PAGE: Final = 200
_STEP_MS: Final = 100

T = TypeVar("T")
Interval = Annotated[
    int, Field(ge=0, le=LONGEST_MS, description="Measure rates over so long; 0 only reads the counters")
]
Offset = Annotated[int, Field(ge=0, description="Skip so many rows first")]


def build(context: ServerContext) -> MCPServer:
    """The system_info server. It takes no arguments."""
    if context.args:
        raise ValueError(f"the system_info server takes no arguments, not {context.args[0]!r}")
    return build_for(context, Machine(), gpu.connect())


def build_for(context: ServerContext, machine: Machine, nvml: gpu.Nvml | str) -> MCPServer:
    """The server of a machine."""
    box = Toolbox()
    _add_overview(box, machine)
    _add_processors(box, machine)
    _add_disks(box, machine)
    _add_devices(box, machine, nvml)
    _add_limits(box, machine)
    _add_fleet(box, machine, context.state_dir)
    return new_server(
        context,
        box,
        title="System information",
        instructions=(
            "Facts about this machine, read at the moment of the call. A value that cannot be had is "
            '{"available": false, "why": ...}. Begin with health_summary.'
        ),
    )


async def measured(ctx: Context, interval_ms: int, read: Callable[[], T]) -> tuple[T, T, float]:
    """Two looks and the seconds between them. Says how far it is; ends at once when the caller goes away."""
    before, began = await in_thread(read), time.monotonic()
    while (passed_ms := (time.monotonic() - began) * 1000) < interval_ms:
        await ctx.report_progress(passed_ms, interval_ms, "measuring")
        await anyio.sleep(min(_STEP_MS, interval_ms - passed_ms) / 1000)
    after = await in_thread(read)
    return before, after, max(0.001, time.monotonic() - began)


def paged(rows: Any, offset: int, name: str) -> Facts:
    """Some of the rows, and where to go on; what could not be had stays as it is."""
    if not isinstance(rows, list):
        return {name: rows}
    part: Facts = {name: rows[offset : offset + PAGE]}
    return {**part, "next_offset": offset + PAGE} if len(rows) > offset + PAGE else part


def _is_operator() -> bool:
    return role() == "operator"


def _add_overview(box: Toolbox, machine: Machine) -> None:
    @box.tool("System Overview", LIVE)
    async def system_overview() -> Annotated[CallToolResult, shapes.Overview]:
        """Operating system, kernel, uptime, time zone, virtualization, container and clock source."""
        return data_result(await in_thread(overview.facts, machine, _is_operator()))

    @box.tool("Health Summary", LIVE)
    async def health_summary() -> Annotated[CallToolResult, shapes.Health]:
        """What is notable about the machine now (memory, disks, load, pressure, temperatures, limits), with the
        thresholds used and what could not be checked. The best first call."""
        return data_result(await in_thread(survey.health_of, machine))


def _add_processors(box: Toolbox, machine: Machine) -> None:
    @box.tool("CPU Info", READS, REQUEST)
    async def cpu_info() -> Annotated[CallToolResult, shapes.Processors]:
        """What the processors are: counts, cores, sockets, models, range of frequencies."""
        return data_result(await in_thread(cpu.facts, machine))

    @box.tool("CPU Usage", LIVE)
    async def cpu_usage(
        ctx: Context,
        interval_ms: Annotated[int, Field(ge=100, le=LONGEST_MS, description="How long to measure")] = 500,
        each: Annotated[bool, Field(description="Also each processor by itself")] = False,
    ) -> Annotated[CallToolResult, shapes.ProcessorUse]:
        """What the processors do, measured over an interval, with load and frequencies now."""
        before, after, took_s = await measured(ctx, interval_ms, lambda: tried(cpu.ticks, machine))
        if "available" in after:
            return data_result(
                {"interval_ms": interval_ms, "percent": after, "load": after, "frequencies_mhz": after}
            )
        found = await in_thread(cpu.usage, machine, before, after, each)
        return data_result({"interval_ms": round(took_s * 1000), **found})

    @box.tool("Memory Info", LIVE)
    async def memory_info() -> Annotated[CallToolResult, shapes.Memory]:
        """Memory, swap and huge pages of the machine in bytes; cgroup_info tells what this server may use."""
        return data_result(await in_thread(memory.facts, machine))


def _add_disks(box: Toolbox, machine: Machine) -> None:
    @box.tool("Disk Usage", LIVE)
    async def disk_usage(
        in_memory: Annotated[bool, Field(description="Also file systems in memory (tmpfs)")] = False,
        offset: Offset = 0,
    ) -> Annotated[CallToolResult, shapes.Disks]:
        """How full each mounted file system is, in bytes and inodes. Network file systems are named, not asked."""
        rows = await in_thread(tried, disks.file_systems, machine, in_memory, _is_operator())
        return data_result(paged(rows, offset, "file_systems"))

    @box.tool("Disk I/O", LIVE)
    async def disk_io(ctx: Context, interval_ms: Interval = 0) -> Annotated[CallToolResult, shapes.DiskWork]:
        """Reads, writes and busy time of each disk since boot, and with an interval by the second."""
        before, after, took_s = await measured(ctx, interval_ms, lambda: tried(disks.counters, machine))
        if "available" in after:
            return data_result({"devices": after})
        found: Facts = {"devices": disks.totals(after)}
        if interval_ms:
            found["rates"] = disks.rates(before, after, took_s)
        return data_result(found)


def _add_devices(box: Toolbox, machine: Machine, nvml: gpu.Nvml | str) -> None:
    @box.tool("Sensors", LIVE)
    async def sensor_readings() -> Annotated[CallToolResult, shapes.Sensors]:
        """Temperatures, fans and batteries, where the machine has such sensors."""
        return data_result(await in_thread(sensors.facts, machine))

    @box.tool("Network Info", LIVE)
    async def network_info(
        ctx: Context, interval_ms: Interval = 0, offset: Offset = 0
    ) -> Annotated[CallToolResult, shapes.Network]:
        """Network interfaces: state, speed, counters, and with an interval rates. Addresses for operators only."""
        before, after, took_s = await measured(ctx, interval_ms, lambda: tried(network.counters, machine))
        if "available" in after:
            return data_result({"interfaces": after})
        operator = _is_operator()
        rows = await in_thread(network.interfaces, machine, after, operator)
        found = paged(rows, offset, "interfaces")
        if interval_ms:
            found["rates"] = network.rates(before, after, took_s)
        if not operator:
            found["addresses"] = "shown to operators only"
        elif unplaced := await in_thread(network.unplaced, machine):
            found["ipv4_without_interface"] = unplaced
        return data_result(found)

    @box.tool("GPU Info", LIVE)
    async def gpu_info() -> Annotated[CallToolResult, shapes.Gpus]:
        """Graphics processors: use, memory, temperature, power; NVIDIA's through NVML."""
        return data_result(await in_thread(gpu.facts, machine, nvml))


def _add_limits(box: Toolbox, machine: Machine) -> None:
    @box.tool("Pressure Info", LIVE)
    async def pressure_info() -> Annotated[CallToolResult, shapes.Pressure]:
        """Pressure stall information (PSI): the share of time in which work waited for processors, memory or
        disks, of the machine and of this server's control group."""
        found = await in_thread(pressure.facts, machine)
        group = found["group"] if _is_operator() else cgroups.without_names(found["group"])
        return data_result({**found, "group": group})

    @box.tool("Cgroup Info", LIVE)
    async def cgroup_info() -> Annotated[CallToolResult, shapes.Limits]:
        """Limits and use of memory, processors and processes of this server's control group, v1 or v2."""
        found = await in_thread(cgroups.facts, machine)
        return data_result(found if _is_operator() else cgroups.without_names(found))


def _add_fleet(box: Toolbox, machine: Machine, state_dir: Path) -> None:
    def look() -> list[fleet.Process] | Facts:
        return tried(fleet.processes, state_dir)

    @box.tool("Fleet Processes", LIVE)
    async def fleet_processes(
        ctx: Context, interval_ms: Interval = 0, offset: Offset = 0
    ) -> Annotated[CallToolResult, shapes.Processes]:
        """The processes of this OmniMind fleet: server, state, memory, processor time. Nobody else's."""
        if not _is_operator():
            found = await in_thread(look)
            rows = found if isinstance(found, dict) else fleet.names(found)
            return data_result({**paged(rows, offset, "processes"), "note": "figures are for operators only"})
        before, after, took_s = await measured(ctx, interval_ms, look)
        if isinstance(after, dict):
            return data_result({"processes": after})
        earlier = fleet.ran(before) if interval_ms and isinstance(before, list) else None
        rows = await in_thread(fleet.rows, after, earlier, took_s, machine)
        return data_result({**paged(rows, offset, "processes"), "note": fleet.NOTE})
