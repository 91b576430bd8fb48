"""One look at everything that `health` judges."""

from __future__ import annotations

from omnimind.servers.system_info import cgroups, cpu, disks, health, memory, pressure, sensors
from omnimind.servers.system_info.machine import Facts, Machine, tried


def health_of(machine: Machine) -> Facts:
    """The machine's state, with the thresholds that were used."""
    verdict = health.Verdict()
    health.judge_memory(verdict, memory.facts(machine))
    health.judge_group(verdict, cgroups.facts(machine))
    health.judge_disks(verdict, tried(disks.file_systems, machine, False, False))
    health.judge_load(verdict, tried(cpu.load, machine), tried(cpu.logical, machine), pressure.facts(machine))
    health.judge_sensors(verdict, sensors.facts(machine))
    return verdict.result()
