"""The original document's report, byte for byte, and what is added to it."""

from __future__ import annotations

import json

import pytest

from omnimind.monitor.histogram import Histogram
from omnimind.monitor.report import Calls, Meter, Reading, Report, Source, duration, merged

ORIGINAL = """\
========== MCP Latency Report (last 10s) ==========
Syscall Latency Distribution (microseconds):
    [1K, 2K)             X |@@@@@@@@@@@@@@@@@@@@
    [2K, 4K)             X |@@@@@@@@@@

Total calls: 1245
⚠️  High latency calls (>50ms): 2
===================================================
"""
"""As the founding document shows it: X stands for counts, the bars say 2 to 1."""
SOURCE = Source("kernel", "tracepoints")


def calls(counts: dict[tuple[int, int | None], int], high: int = 0) -> Calls:
    return Calls(Histogram(counts), high=high)


def test_the_originals_report_byte_for_byte() -> None:
    report = Report(SOURCE, 10.0, {"memory:1": calls({(1024, 2048): 830, (2048, 4096): 415}, high=2)})
    block = "\n".join(report.block()) + "\n"
    assert block.replace("  830 |", "    X |").replace("  415 |", "    X |") == ORIGINAL


def test_counts_of_any_size_keep_the_bars_in_one_column() -> None:
    counts = calls({(0, 1): 1, (1 << 20, 1 << 21): 123_456_789, (1 << 30, None): 5})
    rows = [line for line in Report(SOURCE, 1, {"a": counts}).block() if "|" in line]
    assert len({line.index("|") for line in rows}) == 1
    assert rows[0].split() == ["[0,", "1)", "1", "|"]
    assert rows[21].split()[:3] == ["[1M,", "2M)", "123456789"]
    assert rows[-1].split()[:3] == ["[1G,", "2G)", "5"]
    assert max(map(len, rows)) <= 80


def test_a_report_without_calls_is_the_same_form() -> None:
    assert Report(SOURCE, 10.0, {}).block()[1:4] == [
        "Syscall Latency Distribution (microseconds):",
        "",
        "Total calls: 0",
    ]


def test_the_text_says_its_clock_first_and_every_place_within_80_columns() -> None:
    fine = Histogram({(5000, 5100): 99, (60_000, 61_000): 1})
    place = Calls(fine, fine, Histogram({(6, 7): 100}), 1)
    source = Source("gateway", "from head to head", ("its bounds are coarse",))
    text = Report(
        source, 10, {"memory:4321": place, "a_server_with_a_long_name add": place}, {"x.service": 7}
    ).text()
    lines = text.splitlines()
    assert lines[:2] == ["clock: gateway, from head to head", "note: its bounds are coarse"]
    assert lines[-1] == "unit x.service: 7 calls"
    row = next(line for line in lines if line.startswith("memory:4321"))
    assert row.split() == ["memory:4321", "100", "6us", "7us", "5.1ms", "5.1ms", "5.1ms", "5.1ms", "1"]
    assert any(line.startswith("a_server_with_a_long~ ") for line in lines)
    assert max(map(len, lines)) <= 80


def test_text_and_json_agree() -> None:
    counts = {(1024, 2048): 3, (40_000, 51_000): 2, (51_000, None): 4}
    report = Report(SOURCE, 12.3456, {"a:1": calls(counts, high=5), "b:2": calls({(1024, 2048): 1})})
    shown = json.loads(json.dumps(report.as_json()))
    assert shown["all"]["calls"] == 10
    assert shown["all"]["high"] == 5
    assert shown["places"]["a:1"]["total"]["buckets"] == [
        [1024, 2048, 3],
        [40000, 51000, 2],
        [51000, None, 4],
    ]
    assert "Total calls: 10" in report.text()
    assert "High latency calls (>50ms): 5" in report.text()
    assert (shown["clock"], shown["seconds"]) == ("kernel", 12.346)
    assert shown["places"]["b:2"]["wait"]["p99_us"] is None


def test_windows_add_up_to_the_whole() -> None:
    meter = Meter(SOURCE, Reading({"a": calls({(1, 2): 100}, high=1)}, {"u": 100}), 5.0)
    first = meter.window(Reading({"a": calls({(1, 2): 103, (2, 4): 1}, high=1)}, {"u": 104}), 15.0)
    second = meter.window(
        Reading({"a": calls({(1, 2): 103, (2, 4): 2}, high=2), "b": calls({(1, 2): 7})}, {"u": 105}), 20.0
    )
    assert (first.seconds, first.all.total.counts, first.all.high) == (10.0, {(1, 2): 3, (2, 4): 1}, 0)
    assert second.all.total.counts == {(2, 4): 1, (1, 2): 7}
    whole = meter.whole()
    assert (whole.seconds, whole.units) == (15.0, {"u": 5})
    assert whole.all.total.counts == {(1, 2): 10, (2, 4): 2}
    assert whole.all.high == 1


def test_a_clock_that_began_anew_loses_nothing_and_counts_nothing_twice() -> None:
    meter = Meter(SOURCE, Reading({"a": calls({(1, 2): 100}, high=50)}), 0.0)
    window = meter.window(Reading({"a": calls({(1, 2): 4}, high=3)}), 10.0)
    assert (window.all.total.calls, window.all.high) == (4, 3)


@pytest.mark.parametrize(
    ("counts", "percent", "expected"),
    [
        ({}, 50, None),
        ({(10, 20): 100}, 50, 15.0),
        ({(10, 20): 99, (1000, 2000): 1}, 99, 20.0),
        ({(10, 20): 98, (1000, 2000): 2}, 99, 1500.0),
        ({(10, 20): 1, (5000, None): 1}, 100, 5000.0),
        ({(0, 1): 0, (4, 8): 2}, 0, 4.0),
    ],
)
def test_percentiles(
    counts: dict[tuple[int, int | None], int], percent: float, expected: float | None
) -> None:
    assert Histogram(counts).percentile_us(percent) == expected


def test_finer_buckets_come_together_in_powers_of_two() -> None:
    counts = {(0, 1): 1, (1, 2): 2, (64, 66): 3, (126, 128): 4, (128, 132): 5}
    powers = dict(Histogram(counts).powers())
    assert powers == {0: 1, 1: 2, 2: 0, 3: 0, 4: 0, 5: 0, 6: 0, 7: 7, 8: 5}


@pytest.mark.parametrize(
    ("us", "text"),
    [(None, "-"), (6.2, "6us"), (999.4, "999us"), (1000, "1.0ms"), (64_800, "64.8ms"), (250_000, "250ms"),
     (999_900, "1.0s"), (3_600_000_000, "3600s")],
)  # fmt: skip
def test_durations_take_six_characters(us: float | None, text: str) -> None:
    assert duration(us) == text
    assert len(text) <= 6


def test_the_bucket_of_a_percentile_is_what_is_certain_of_it() -> None:
    found = Histogram({(0, 10): 90, (10, 100): 9, (100, None): 1})
    assert [found.bucket_at(percent) for percent in (50, 90, 91, 99.5)] == [
        (0, 10),
        (0, 10),
        (10, 100),
        (100, None),
    ]
    assert Histogram().bucket_at(50) is None


def test_reports_one_after_the_other_are_one() -> None:
    first = Report(SOURCE, 10.0, {"a": calls({(1, 2): 1})}, {"x.service": 1})
    second = Report(SOURCE, 5.0, {"a": calls({(1, 2): 2}, high=1), "b": calls({(3, 4): 4})}, {"x.service": 2})
    both = merged([first, second])
    assert (both.seconds, both.all.total.calls, both.all.high, both.units) == (15.0, 7, 1, {"x.service": 3})
    assert both.places["a"].total.counts == {(1, 2): 3}
