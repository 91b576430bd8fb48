"""The page of a benchmark has the numbers of its other forms, the verdict first, and takes nothing on trust."""

from __future__ import annotations

from dataclasses import asdict, replace
from xml.etree import ElementTree

import pytest
from benchmarks import NAMES, benchmark, phase

from omnimind.bench import page, verdict
from omnimind.bench.report import Around, Benchmark, ClockName
from omnimind.stress import text
from tests import html_page


def test_every_number_of_every_clock_is_that_of_the_json() -> None:
    found = benchmark()
    cells = html_page.read(page.render(found))
    said = {
        (one["name"], clock, field): value
        for one in found.as_json()["phases"]
        for clock, values in one["clocks"].items()
        for field, value in values.items()
        if field != "name"
    }
    assert len(said) == 4 * 3 * 10
    assert set(cells) == set(said)
    for key, value in said.items():
        shown = cells[key].replace(",", "")
        assert (None if shown == "-" else float(shown)) == value, key
    differ = {cells["open 70 %", clock, "p99"] for clock in ("client", "gateway", "kernel")}
    assert len(differ) == 3


def test_the_verdict_comes_first_and_marks_the_line_that_is_reached() -> None:
    found = benchmark()
    shown = page.render(found)
    assert found.verdict is not None
    assert found.verdict.clock == "kernel"
    first = shown.index(f">p99 {text.time(found.verdict.p99_ms)} ms: </span><b>excellent</b>")
    assert first < shown.index("<h2>")
    assert shown.count('class="here"') == 1
    assert '<li class="here"><b>&lt; 10 ms, excellent. </b>' in shown
    for line in verdict.TABLE:
        assert line.original in shown
    slow = page.render(benchmark(phases=(phase("open 70 %", 100.0),)))
    assert '<section class="verdict poor">' in slow
    assert '<li class="here"><b>&gt; 50 ms, problem. </b>' in slow


def test_without_the_kernel_two_clocks_stand_there_and_why() -> None:
    found = benchmark(
        phases=(phase("open 70 %", kernel=False),), notes=("the kernel's clock is missing: no root",)
    )
    shown = page.render(found)
    clocks = {clock for _, clock, _ in html_page.read(shown)}
    assert clocks == {"client", "gateway"}
    assert "by the gateway&#x27;s clock" in shown
    assert "the kernel&#x27;s clock is missing: no root" in shown
    assert "service p99" not in shown


def test_a_bar_is_a_servers_share_of_all_waiting_and_its_pieces_fill_it() -> None:
    mean = {"memory": 1.0, "git": 3.0}
    one = phase("open 70 %")
    parts = tuple(
        replace(part, right=100, latency_ms=replace(part.latency_ms, mean=mean[part.name]))
        for part in one.client.load.servers
    )
    client = replace(one.client, load=replace(one.client.load, servers=parts))
    shown = page.render(benchmark(phases=(replace(one, client=client, around=Around()),)))
    table = shown[shown.index("<h2>Servers") : shown.index("<h2>Tools")]
    rows = ElementTree.fromstring(table[table.index("<tbody>") : table.index("</tbody>") + 8]).findall("tr")
    cells = [[cell.text or "" for cell in row] for row in rows]
    assert [(row[0], row[-2]) for row in cells] == [("memory", "25.0 %"), ("git", "75.0 %")]
    wide = [sum(_wide(piece) for piece in row.iter("span")) for row in rows]
    assert wide == pytest.approx([100 / 3, 100], abs=0.2), "the longest fills its cell"


def _wide(piece: ElementTree.Element) -> float:
    return float(piece.attrib["style"].removeprefix("width:").removesuffix("%"))


@pytest.mark.parametrize(
    "found",
    [
        benchmark(phases=(), health=None, interrupted=True, advice=(), notes=()),
        benchmark(phases=(phase("closed", right=0, curve=[], timeline=[], servers=[], tools=[]),)),
        benchmark(phases=(phase("open 70 %", names=()),)),
    ],
    ids=["nothing", "no answer", "no server"],
)
def test_a_run_that_did_not_come_far_can_be_shown(found: Benchmark) -> None:
    shown = page.render(found)
    html_page.read(shown)
    assert "nan" not in shown.replace("unplanned", "")
    if found.judged is None:
        assert "No verdict" in shown


def test_what_others_wrote_cannot_become_a_part_of_the_page() -> None:
    evil = '<script>alert("1")</script>'
    hostile = phase(evil, names=(evil, *NAMES), samples=[evil], saturated_by=[evil])
    found = benchmark(phases=(hostile,), fleet=evil, notes=(evil,), advice=(evil,))
    shown = page.render(found)
    html_page.read(shown)
    assert "<script" not in shown
    assert shown.count("&lt;script&gt;") > 8


def test_clocks_are_named_as_the_data_names_them() -> None:
    names: tuple[ClockName, ...] = ("client", "gateway", "kernel")
    assert tuple(clock.name for clock in phase("closed").clocks) == names
    assert set(asdict(phase("closed").clocks[0])) >= {field for _, field in (*page.COLUMNS, *page.PARTS)}
