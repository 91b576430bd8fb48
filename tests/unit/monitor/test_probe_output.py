"""What real bpftrace said, recorded (buckets without calls left out): 12 calls, three of them of 60 ms."""

from __future__ import annotations

from pathlib import Path

import pytest

from omnimind.monitor import program
from omnimind.monitor.histogram import Histogram
from omnimind.monitor.kernel import Maps, histogram, take
from omnimind.monitor.readings import Names, units

RECORDED = Path(__file__).parent / "recorded"


def replay(version: str) -> tuple[list[str], Maps, Maps]:
    """What was printed for us, the maps of the first reading, and those at the end."""
    said, maps, first = [], {}, None
    for line in (RECORDED / f"bpftrace-{version}.jsonl").read_bytes().splitlines():
        word = take(line, maps)
        said += [word] if word else []
        if word == program.END_OF_READING and maps and first is None:
            first = {name: dict(value) for name, value in maps.items()}
    return said, first or {}, maps


@pytest.mark.parametrize("version", ["0.17.0", "0.23.2", "0.27.0"])
def test_readings_of_every_version(version: str) -> None:
    said, first, last = replay(version)
    assert said[:3] == ["ready", program.READING, program.END_OF_READING] or said[:2] == [
        "ready",
        program.READING,
    ]
    names = Names({4321: "memory"}, lambda pid: None)
    (early,) = names.reading(first).places.values()
    place = names.reading(last).places["memory:4321"]
    assert early.total.calls <= place.total.calls == 12
    assert place.service.calls == place.wait.calls == 12
    assert place.high == 3
    assert place.service.at_least(32_768) == 3
    service_p99 = place.service.percentile_us(99)
    assert service_p99 is not None
    assert 50_000 < service_p99 < 66_000


def test_buckets_are_half_open_and_may_lack_an_end() -> None:
    rows = [{"max": -1, "count": 1}, {"min": 0, "max": 0, "count": 2}, {"min": 4, "max": 7, "count": 3}]
    assert histogram([*rows, {"min": 8, "count": 4}, {"min": 16, "max": 31, "count": 0}]) == Histogram(
        {(0, 1): 3, (4, 8): 3, (8, None): 4}
    )


@pytest.mark.parametrize(
    "line", [b"", b"Attaching 6 probes...", b"[]", b'{"type": "lost_events"}', b'{"type":"map","data":3}']
)
def test_other_lines_are_no_reading(line: bytes) -> None:
    maps: Maps = {}
    assert take(line, maps) is None
    assert maps == {}


def test_names_of_processes_stay_and_units_are_found_by_their_groups_number(tmp_path: Path) -> None:
    unit = tmp_path / "app.slice" / "omnimind-mcp@thinking.service"
    unit.mkdir(parents=True)
    assert units(tmp_path) == {unit.stat().st_ino: "omnimind-mcp@thinking.service"}
    alive = {7: "github"}
    names = Names({}, alive.get)
    maps: Maps = {"stdio": {"7": [{"min": 1, "max": 1, "count": 2}], "8": [{"min": 1, "max": 1, "count": 1}]}}
    assert set(names.reading(maps).places) == {"github:7", "pid:8"}
    alive.clear()
    assert set(names.reading(maps).places) == {"github:7", "pid:8"}
