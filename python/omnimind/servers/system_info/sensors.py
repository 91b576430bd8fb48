"""Temperatures, fans and batteries, from hwmon, thermal zones and power supplies.

Drivers are uneven: files that exist and cannot be read, numbers that no machine has. Each sensor stands for
itself: one that fails says so in its own place. Virtual machines usually have none.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from omnimind.servers.system_info.machine import Facts, Machine, Missing, missing, tried

COLDEST_C: Final = -60.0
HOTTEST_C: Final = 200.0


def facts(machine: Machine) -> Facts:
    """All that can be felt here."""
    return {
        "temperatures": temperatures(machine)
        or _none(machine, "temperature", "class/hwmon", "class/thermal"),
        "fans": _fans(machine) or _none(machine, "fan", "class/hwmon"),
        "batteries": batteries(machine) or _none(machine, "battery", "class/power_supply"),
    }


def temperatures(machine: Machine) -> list[Facts]:
    """Every sensor of hwmon, and the thermal zones whose sensors are not there."""
    found: list[Facts] = []
    chips: set[str] = set()
    for chip in machine.folders(machine.sys / "class/hwmon", "hwmon*"):
        name = _name(machine, chip / "name")
        chips.add(name)
        for reading in machine.folders(chip, "temp*_input"):
            at = str(reading).removesuffix("_input")
            row: Facts = {"chip": name, "label": _name(machine, Path(f"{at}_label"), reading.name[:-6])}
            row["celsius"] = tried(celsius, machine, reading)
            for limit in ("max", "crit"):
                row[f"{limit}_celsius"] = tried(celsius, machine, Path(f"{at}_{limit}"))
            found.append(row)
    for zone in machine.folders(machine.sys / "class/thermal", "thermal_zone*"):
        name = _name(machine, zone / "type")
        if name not in chips:
            row = {"chip": name, "label": zone.name}
            row["celsius"] = tried(celsius, machine, zone / "temp")
            row["max_celsius"] = missing("a thermal zone names no limit of its sensor")
            row["crit_celsius"] = tried(_critical, machine, zone)
            found.append(row)
    return found


def celsius(machine: Machine, path: Path) -> float:
    """A file of thousandths of a degree. Raises Missing, also for what cannot be true."""
    found = machine.number(path) / 1000
    if not COLDEST_C <= found <= HOTTEST_C:
        raise Missing(f"{path} says {found:g} degrees, which cannot be")
    return found


def _critical(machine: Machine, zone: Path) -> float:
    for kind in machine.folders(zone, "trip_point_*_type"):
        if machine.text(kind) == "critical":
            return celsius(machine, Path(str(kind).removesuffix("_type") + "_temp"))
    raise Missing("this zone has no critical trip point")


def _fans(machine: Machine) -> list[Facts]:
    return [
        {
            "chip": _name(machine, chip / "name"),
            "label": _name(machine, Path(str(reading).removesuffix("_input") + "_label"), reading.name[:-6]),
            "rpm": tried(machine.number, reading),
        }
        for chip in machine.folders(machine.sys / "class/hwmon", "hwmon*")
        for reading in machine.folders(chip, "fan*_input")
    ]


def batteries(machine: Machine) -> list[Facts]:
    """Every battery of this machine, without those of mice and headsets."""
    found: list[Facts] = []
    for supply in machine.folders(machine.sys / "class/power_supply"):
        if _name(machine, supply / "type") != "Battery" or _name(machine, supply / "scope", "") == "Device":
            continue
        found.append(
            {
                "name": supply.name,
                "percent": tried(machine.number, supply / "capacity"),
                "status": tried(machine.word, supply / "status"),
                "minutes_left": tried(_minutes_left, machine, supply),
            }
        )
    return found


def _minutes_left(machine: Machine, supply: Path) -> int:
    status = machine.word(supply / "status")
    if status != "Discharging":
        raise Missing(f"the battery is not discharging, it says {status!r}")
    for left, flow in (("energy_now", "power_now"), ("charge_now", "current_now")):
        if (supply / left).exists() and (supply / flow).exists():
            drawn = abs(machine.number(supply / flow))
            if drawn:
                return round(60 * machine.number(supply / left) / drawn)
    raise Missing("the battery does not say how much it is drained")


def _name(machine: Machine, path: Path, otherwise: str = "unnamed") -> str:
    try:
        return machine.word(path)
    except Missing:
        return otherwise


def _none(machine: Machine, what: str, *where: str) -> Facts:
    places = " and ".join(str(machine.sys / part) for part in where)
    return missing(f"there is no {what} under {places}, as in most virtual machines")
