"""What is notable about the machine now, each finding with the value, the threshold and where to look.

Pure: it judges facts that others have read. A fact that could not be read is named as not checked, never taken
for good.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal

from omnimind.servers.system_info.machine import Facts, is_missing

Level = Literal["warning", "critical"]


@dataclass(frozen=True, slots=True)
class Rule:
    """From which value on something is notable. `below` turns the comparison round."""

    name: str
    unit: str
    warning: float
    critical: float | None
    advice: str
    below: bool = False

    def level(self, value: float) -> Level | None:
        """How bad a value is."""
        if self.critical is not None and self._reaches(value, self.critical):
            return "critical"
        return "warning" if self._reaches(value, self.warning) else None

    def _reaches(self, value: float, threshold: float) -> bool:
        return value <= threshold if self.below else value >= threshold


RULES: Final = {
    rule.name: rule
    for rule in (
        Rule(
            "memory available", "percent of total", 10, 5, "see memory_info and fleet_processes", below=True
        ),
        Rule("swap used", "percent", 60, 90, "memory is short; see memory_info and pressure_info"),
        Rule(
            "group memory used",
            "percent of its limit",
            90,
            97,
            "see cgroup_info; at the limit the kernel kills",
        ),
        Rule(
            "group kills for memory", "processes", 1, None, "the group's limit was reached; see cgroup_info"
        ),
        Rule("disk used", "percent", 90, 97, "free space there; see disk_usage"),
        Rule("inodes used", "percent", 90, 97, "remove many small files there; see disk_usage"),
        Rule("load per processor", "tasks, mean of 5 min", 2, 5, "see cpu_usage and fleet_processes"),
        Rule("processor pressure", "percent of 60 s in which a task waited", 40, 80, "see cpu_usage"),
        Rule("memory pressure", "percent of 60 s in which a task waited", 10, 40, "see memory_info"),
        Rule("disk pressure", "percent of 60 s in which a task waited", 40, 80, "see disk_io"),
        Rule("temperature", "degrees Celsius where the sensor names no limit", 85, 95, "see sensor_readings"),
        Rule("temperature to limit", "degrees Celsius left", 5, 0, "see sensor_readings", below=True),
        Rule("battery", "percent while discharging", 15, 5, "see sensor_readings", below=True),
    )
}


@dataclass
class Verdict:
    """What was found so far."""

    notable: list[Facts] = field(default_factory=list)
    checked: list[str] = field(default_factory=list)
    not_checked: list[Facts] = field(default_factory=list)

    def judge(self, name: str, value: Any, where: str | None = None) -> None:
        """Hold one value against its rule."""
        what = name if where is None else f"{name}: {where}"
        if is_missing(value):
            self.not_checked.append({"what": what, "why": value["why"]})
            return
        self.checked.append(what)
        rule = RULES[name]
        level = rule.level(value)
        if level is not None:
            threshold = rule.critical if level == "critical" else rule.warning
            self.notable.append(
                {
                    "what": what,
                    "level": level,
                    "value": round(value, 1),
                    "threshold": threshold,
                    "unit": rule.unit,
                    "advice": rule.advice,
                }
            )

    def result(self) -> Facts:
        """The summary; the worst finding decides."""
        levels = {finding["level"] for finding in self.notable}
        status = next((level for level in ("critical", "warning") if level in levels), "ok")
        self.notable.sort(key=lambda finding: finding["level"] != "critical")
        return {
            "status": status,
            "notable": self.notable,
            "checked": self.checked,
            "not_checked": self.not_checked,
            "thresholds": [
                {
                    "what": rule.name,
                    "warning": rule.warning,
                    "critical": rule.critical,
                    "when": "at or below" if rule.below else "at or above",
                    "unit": rule.unit,
                }
                for rule in RULES.values()
            ],
        }


def judge_memory(verdict: Verdict, memory: Facts) -> None:
    """Memory and swap of the machine."""
    found, swap = memory["memory"], memory["swap"]
    available = found if is_missing(found) else found["available_bytes"]
    if not is_missing(available):
        available = 100 * available / max(1, found["total_bytes"])
    verdict.judge("memory available", available)
    verdict.judge("swap used", swap if is_missing(swap) else swap["used_percent"])


def judge_group(verdict: Verdict, group: Facts) -> None:
    """Memory of our control group."""
    memory: Any = group.get("memory", group["layout"])
    if is_missing(memory):
        verdict.judge("group memory used", memory)
        return
    used, limit = memory["used_bytes"], memory["limit_bytes"]
    if limit is None:
        used = {"available": False, "why": "no group limits the memory of this server"}
    verdict.judge("group memory used", used if is_missing(used) else 100 * used / max(1, limit))
    verdict.judge("group kills for memory", memory["oom_kills"])


def judge_disks(verdict: Verdict, disks: list[Facts] | Facts) -> None:
    """Every file system; one that is read-only is as full as it will ever be."""
    if isinstance(disks, dict):
        verdict.judge("disk used", disks)
        return
    for disk in disks:
        if disk["read_only"]:
            continue
        usage = disk["usage"]
        lacks = is_missing(usage)
        verdict.judge("disk used", usage if lacks else usage["used_percent"], disk["mount"])
        if not lacks:
            verdict.judge("inodes used", usage["inodes_used_percent"], disk["mount"])


def judge_load(verdict: Verdict, load: Facts, processors: Any, pressure: Facts) -> None:
    """Load against processors, and pressure."""
    lack = next((one for one in (load, processors) if is_missing(one)), None)
    verdict.judge("load per processor", lack or load["5_min"] / max(1, processors))
    for name, resource in (("processor", "cpu"), ("memory", "memory"), ("disk", "io")):
        found = pressure["machine"][resource]
        verdict.judge(f"{name} pressure", found if is_missing(found) else found["some"]["avg60_percent"])


def judge_sensors(verdict: Verdict, sensors: Facts) -> None:
    """Temperatures against the limit that their sensor names, else against ours; batteries."""
    found = sensors["temperatures"]
    if is_missing(found):
        verdict.judge("temperature", found)
    else:
        for one in found:
            _judge_temperature(verdict, one)
    batteries = sensors["batteries"]
    if is_missing(batteries):
        verdict.judge("battery", batteries)
        return
    for battery in batteries:
        if battery["status"] == "Discharging":
            verdict.judge("battery", battery["percent"], battery["name"])


def _judge_temperature(verdict: Verdict, one: Facts) -> None:
    where, now, limit = f"{one['chip']} {one['label']}", one["celsius"], one["crit_celsius"]
    if is_missing(now) or is_missing(limit) or limit <= 0:
        verdict.judge("temperature", now, where)
    else:
        verdict.judge("temperature to limit", limit - now, where)
