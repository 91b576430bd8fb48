"""The text of a benchmark: its frame, its width, and the same numbers as its JSON."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from benchmarks import benchmark, phase

from omnimind.bench import text
from omnimind.bench.report import Benchmark, Clock
from omnimind.pictures.columns import WIDTH
from omnimind.stress.text import time

GOLDEN = Path(__file__).with_name("golden_bench.txt")


def test_the_frame_of_the_report() -> None:
    """`OMNIMIND_GOLDEN=1` writes it anew."""
    shown = text.render(benchmark())
    if os.environ.get("OMNIMIND_GOLDEN"):
        GOLDEN.write_text(shown)
    assert shown == GOLDEN.read_text()
    assert max(map(len, shown.splitlines())) <= WIDTH


def test_the_originals_block_is_of_the_kernel_and_all_phases() -> None:
    found = benchmark()
    whole = found.whole("kernel")
    assert whole is not None
    block = "\n".join(whole.block())
    assert f"all phases, by the kernel's clock\n{block}\n" in text.render(found)
    assert "Total calls: 4000" in block
    assert "(last 60s)" in block
    without = benchmark(phases=tuple(phase(one.name, kernel=False) for one in found.phases))
    assert "all phases, by the gateway's clock\n==========" in text.render(without)


def rows(shown: str) -> dict[tuple[str, str], list[str]]:
    """The cells of every clock by phase and clock; wait and service belong to the kernel."""
    found: dict[tuple[str, str], list[str]] = {}
    name = ""
    for line in shown.splitlines():
        if head := re.match(r"(closed|open \d+ %): ", line):
            name = head[1]
        elif cells := re.match(r"(client|gateway|kernel, total|  wait|  service)  +(.*)", line):
            if name:
                found[name, cells[1].strip()] = cells[2].split()
        elif not line:
            name = ""
    return found


def test_every_number_of_every_clock_is_that_of_the_json() -> None:
    found = benchmark()
    told = json.loads(json.dumps(found.as_json()))
    shown = rows(text.render(found))
    for one in told["phases"]:
        for name, clock in one["clocks"].items():
            assert shown[one["name"], "kernel, total" if name == "kernel" else name] == _cells(Clock(**clock))
        kernel = one["clocks"]["kernel"]
        for part in ("wait", "service"):
            assert shown[one["name"], part] == [time(kernel[f"{part}_p50"]), time(kernel[f"{part}_p99"])]
    assert len(shown) == 4 * 5


def _cells(clock: Clock) -> list[str]:
    times = (clock.p50, clock.p90, clock.p99, clock.p999)
    high = "-" if clock.high is None else f"{clock.high:,}"
    return [f"{clock.calls:,}", high, *("-" if ms is None else time(ms) for ms in times)]


def test_a_run_that_did_not_come_far() -> None:
    for found in (
        benchmark(phases=(), health=None, interrupted=True),
        benchmark(phases=(phase("closed", names=()),), interrupted=True),
        benchmark(phases=(phase("closed", right=0, sent=0, kernel=False),)),
    ):
        shown = text.render(found)
        assert "verdict         none: the run did not come so far" in shown
        assert ("ended early     by Ctrl-C" in shown) == found.interrupted
        assert max(map(len, shown.splitlines())) <= WIDTH
    assert "nothing was measured" in text.render(benchmark(phases=()))


def test_a_name_that_is_too_long_is_cut() -> None:
    long = "a_server_with_quite_a_long_name_of_its_own"
    shown = text.render(benchmark(phases=(phase("open 70 %", names=(long,)),)))
    assert max(map(len, shown.splitlines())) <= WIDTH
    assert "a_server_with_quite_a_…" in shown


def test_bounds_say_how_sure_a_p99_is() -> None:
    found: Benchmark = benchmark()
    assert found.verdict is not None
    low, high = found.verdict.bounds_ms
    assert high is not None
    assert f"(it is between {time(low)} and {time(high)} ms)" in text.render(found)
