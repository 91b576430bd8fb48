"""The results of the tools, for their schemas."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel


class NotHere(BaseModel):
    """In the place of a value that cannot be had."""

    available: Literal[False]
    why: str


Group = dict[str, Any] | NotHere
Rows = list[dict[str, Any]] | NotHere
Number = int | float | NotHere
Text = str | NotHere


class Overview(BaseModel):
    """The result of system_overview."""

    system: Group
    kernel: dict[str, str]
    architecture: str
    uptime_s: Number
    booted_at: Text
    now: str
    time_zone: str
    virtualization: Group
    container: Group
    clock: Group
    host_name: str | None = None


class Processors(BaseModel):
    """The result of cpu_info."""

    logical: Number
    usable_by_this_process: int
    cores: Number
    sockets: Number
    models: list[str] | NotHere
    architecture: str
    frequency_range_mhz: Group


class ProcessorUse(BaseModel):
    """The result of cpu_usage."""

    interval_ms: int
    percent: Group
    load: Group
    frequencies_mhz: list[float] | NotHere
    percent_each: dict[str, Group] | None = None


class Memory(BaseModel):
    """The result of memory_info."""

    memory: Group
    swap: Group
    huge_pages: Group


class Disks(BaseModel):
    """The result of disk_usage."""

    file_systems: Rows
    next_offset: int | None = None


class DiskWork(BaseModel):
    """The result of disk_io."""

    devices: dict[str, dict[str, Any]] | NotHere
    rates: dict[str, dict[str, Any]] | None = None


class Sensors(BaseModel):
    """The result of sensors."""

    temperatures: Rows
    fans: Rows
    batteries: Rows


class Network(BaseModel):
    """The result of network_info."""

    interfaces: Rows
    rates: dict[str, dict[str, Any]] | None = None
    addresses: str | None = None
    ipv4_without_interface: list[str] | None = None
    next_offset: int | None = None


class Gpus(BaseModel):
    """The result of gpu_info."""

    gpus: Rows
    nvml: dict[str, Any]


class Pressure(BaseModel):
    """The result of pressure_info."""

    machine: dict[str, Group]
    group: Group


class Limits(BaseModel):
    """The result of cgroup_info."""

    layout: Text
    memory: Group | None = None
    cpu: Group | None = None
    pids: Group | None = None


class Processes(BaseModel):
    """The result of fleet_processes."""

    processes: Rows
    next_offset: int | None = None
    note: str | None = None


class Health(BaseModel):
    """The result of health_summary."""

    status: Literal["ok", "warning", "critical"]
    notable: list[dict[str, Any]]
    checked: list[str]
    not_checked: list[dict[str, Any]]
    thresholds: list[dict[str, Any]]
