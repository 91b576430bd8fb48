"""What is notable, and that nothing unread is taken for good."""

from __future__ import annotations

from typing import Any

from omnimind.servers.system_info.health import (
    RULES,
    Verdict,
    judge_disks,
    judge_group,
    judge_memory,
    judge_sensors,
)
from omnimind.servers.system_info.machine import missing


def levels(verdict: Verdict) -> dict[str, str]:
    return {finding["what"]: finding["level"] for finding in verdict.result()["notable"]}


def test_each_threshold_counts_from_its_value_on() -> None:
    for rule in RULES.values():
        step = 0.1 if rule.below else -0.1
        assert rule.level(rule.warning) is not None, rule.name
        assert rule.level(rule.warning + step) is None, rule.name
        if rule.critical is not None:
            assert rule.level(rule.critical) == "critical", rule.name
            assert rule.level(rule.critical + step) == "warning", rule.name


def test_the_worst_finding_decides_and_stands_first() -> None:
    verdict = Verdict()
    verdict.judge("swap used", 70.0)
    assert verdict.result()["status"] == "warning"
    verdict.judge("disk used", 99.0, "/")
    result = verdict.result()
    assert (result["status"], result["notable"][0]["what"]) == ("critical", "disk used: /")
    assert result["notable"][0]["threshold"] == 97
    assert len(result["thresholds"]) == len(RULES)


def test_what_could_not_be_read_is_not_checked() -> None:
    verdict, lack = Verdict(), missing("gone")
    judge_memory(verdict, {"memory": lack, "swap": lack})
    judge_disks(verdict, lack)
    judge_sensors(verdict, {"temperatures": lack, "batteries": lack})
    judge_group(verdict, {"layout": lack})
    result = verdict.result()
    assert (result["status"], result["checked"]) == ("ok", [])
    assert [one["what"] for one in result["not_checked"]] == [
        "memory available", "swap used", "disk used", "temperature", "battery", "group memory used",
    ]  # fmt: skip


def test_a_sensor_is_held_against_its_own_limit() -> None:
    def judged(**values: Any) -> dict[str, str]:
        verdict = Verdict()
        one = {"chip": "c", "label": "l", "crit_celsius": missing("none"), **values}
        judge_sensors(verdict, {"temperatures": [one], "batteries": missing("none")})
        return levels(verdict)

    assert judged(celsius=90.0) == {"temperature: c l": "warning"}
    assert judged(celsius=90.0, crit_celsius=110.0) == {}
    assert judged(celsius=60.0, crit_celsius=60.0) == {"temperature to limit: c l": "critical"}
    assert judged(celsius=60.0, crit_celsius=0.0) == {}


def test_a_full_disk_and_a_group_at_its_limit_are_notable_and_a_cd_is_not() -> None:
    verdict = Verdict()
    full = {"used_percent": 100.0, "inodes_used_percent": 2.0}
    judge_disks(verdict, [{"mount": "/cd", "read_only": True, "usage": full},
                          {"mount": "/", "read_only": False, "usage": full}])  # fmt: skip
    judge_group(
        verdict,
        {"layout": "v2", "memory": {"used_bytes": 970, "limit_bytes": 1000, "oom_kills": 1}},
    )
    assert levels(verdict) == {
        "disk used: /": "critical", "group memory used": "critical", "group kills for memory": "warning",
    }  # fmt: skip


def test_a_battery_counts_only_while_it_is_drained() -> None:
    verdict = Verdict()
    for status in ("Charging", "Discharging"):
        battery = {"name": status, "status": status, "percent": 4}
        judge_sensors(verdict, {"temperatures": missing("none"), "batteries": [battery]})
    assert levels(verdict) == {"battery: Discharging": "critical"}
