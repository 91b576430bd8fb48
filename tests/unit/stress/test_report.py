"""What is shown is what was found: text, page and JSON have the same numbers."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree

import pytest
from reports import found, moment, part, report

from omnimind.stress import page, text, timeline
from omnimind.stress.report import Load
from omnimind.stress.timeline import Timeline
from tests import html_page

SHOWN = ("99.0", "100.0", "1,200", "1,190", "2.100", "3.400", "41.25", "180.5", "201.0")


def test_the_text_fits_a_terminal_and_has_the_numbers() -> None:
    shown = text.render(report())
    assert max(map(len, shown.splitlines())) <= 80, max(shown.splitlines(), key=len)
    for number in SHOWN:
        assert number in shown
    for words in (
        "rpc_42901: 10",
        "memory at 5.0 s, back after 0.4 s",
        "git at 9.0 s, not back",
        "8.4 us CPU a call",
    ):
        assert words in shown
    assert re.search(r"^gateway +0\.06 +50\.0 +24 +25 +18$", shown, re.MULTILINE)
    assert "SATURATED" not in shown


def test_a_generator_that_was_the_limit_is_shouted_about() -> None:
    changed = report(saturated=True, saturated_by=["it made 5 of 9 arrivals"])
    for shown in (text.render(changed), page.render(changed)):
        assert "it made 5 of 9 arrivals" in shown
        assert "these figures may show the generator, not the target" in shown


def test_the_page_loads_nothing_and_has_the_numbers() -> None:
    shown = page.render(report())
    html_page.read(shown)
    for number in SHOWN:
        assert f">{number}<" in shown
    assert "not back" in shown


def steps(picture: ElementTree.Element, kind: str) -> list[tuple[float, float]]:
    """The longest line of this kind: what is drawn, not its sample in the legend."""
    lines = [line.attrib["points"].split() for line in picture.iter("polyline") if line.get("class") == kind]
    return [(float(x), float(y)) for x, y in (point.split(",") for point in max(lines, key=len))]


def test_the_pictures_are_well_formed_and_draw_what_was_found() -> None:
    curve, times, heat = (
        ElementTree.fromstring(picture) for picture in re.findall(r"<svg .*?</svg>", page.render(report()))
    )
    marks = {(mark.text or "") for mark in curve.iter("text") if mark.get("class") == "mark"}
    assert marks == {"p50 2.100", "p90 3.400", "p99 41.25", "p99.9 180.5", "max 201.0"}
    line = curve.find("polyline")
    assert line is not None
    points = [tuple(map(float, point.split(","))) for point in line.attrib["points"].split()]
    assert len(points) == len(found()["curve"])
    assert points == sorted(points), "percentiles go to the right"
    assert [y for _, y in points] == sorted((y for _, y in points), reverse=True), "and latency upwards"
    p99, p50 = (steps(times, kind) for kind in ("two", "one"))
    assert [y for _, y in p99] < [y for _, y in p50], "p99 lies above"
    assert [x for x, _ in p50] == [x for x, _ in p99]
    lefts = [x for x, _ in p50[::2]]
    assert lefts == pytest.approx([lefts[0] + at * (p50[-1][0] - lefts[0]) / 3 for at in range(3)], abs=0.1)
    failed = [mark for mark in times.iter("rect") if "10 calls" in mark.findtext("title", "")]
    assert [float(mark.attrib["x"]) for mark in failed] == [lefts[1]]
    cells = [cell.findtext("title", "") for cell in heat.iter("rect")]
    assert sum(words.startswith("90 of 100 took 0.0041 to 0.00819 ms") for words in cells) == 3
    assert sum(" of 100 took " in words for words in cells) == 3 * 4
    for picture in (curve, times, heat):
        for shape in picture.iter("rect"):
            assert float(shape.attrib["x"]) >= 0
            assert float(shape.attrib["y"]) >= 0


def test_a_run_of_one_phase_has_no_phases_in_its_pictures() -> None:
    shown = page.render(report(phases=[part("all", length_s=3.0)]))
    assert "<svg" in shown
    assert ">all<" not in shown
    assert 'class="edge"' not in shown
    assert 'class="edge"' in page.render(
        report(phases=[part("before", length_s=1.0), part("after", length_s=2.0)])
    )


def test_where_nothing_was_answered_the_lines_end() -> None:
    silent = {**moment(1.0, failed=5), "right": 0}
    found = timeline.percentiles(Timeline.of(report(timeline=[moment(0.0), silent, moment(2.0)]).load))
    lines = [line for line in ElementTree.fromstring(found).iter("polyline") if line.get("class") == "one"]
    assert [len(line.attrib["points"].split()) for line in lines] == [2, 2, 2], "two steps, and the legend"


def test_runs_one_after_the_other_are_one_timeline() -> None:
    load = report().load
    joined = Timeline.joined([("closed", load), ("open 50 %", load)])
    assert [moment.at_s for moment in joined.moments] == [0, 1, 2, 3, 4, 5]
    assert joined.phases == [(0.0, "closed"), (3.0, "open 50 %")]
    words = [word.text for word in ElementTree.fromstring(timeline.heat(joined)).iter("text")]
    assert {"closed", "open 50 %", "6 s"} <= set(words)


def test_what_others_wrote_cannot_become_a_part_of_the_page() -> None:
    evil = "<script>alert(1)</script>"
    shown = page.render(report(samples=[evil], errors={evil: 1}, refusal_ms={}))
    assert "<script" not in shown
    assert "&lt;script&gt;" in shown


def test_a_run_in_which_nothing_was_answered_can_be_shown() -> None:
    nothing = {
        "right": 0,
        "curve": [],
        "timeline": [],
        "latency_ms": dict.fromkeys(found()["latency_ms"], 0.0),
    }
    assert "No call was answered right." in page.render(report(**nothing))
    assert "0 right" in text.render(report(**nothing))


def test_the_json_has_everything() -> None:
    written = json.loads(json.dumps(report().as_json()))
    assert written["load"]["latency_ms"]["p999"] == 180.5
    assert written["load"]["phases"][1]["offered_per_s"] == 500.0
    assert written["kills"][1]["back_s"] is None
    assert set(written["load"]) == set(Load.__dataclass_fields__)


@pytest.mark.parametrize(
    ("changes", "p99_ms", "percent", "said"),
    [
        ({}, 50.0, 2.0, []),
        ({}, 40.0, 0.5, ["p99 is 41.2 ms, above 40 ms", "1 % of the calls failed, above 0.5 %"]),
        ({"duplicate": 1}, None, None, ["calls got another's answer, or more than one"]),
        ({"right": 0}, None, None, ["no call was answered"]),
        ({"saturated": True}, None, None, []),
        ({"saturated": True}, 50.0, None, ["the generator was the limit, so that nothing is proven"]),
    ],
)
def test_what_does_not_hold_is_said(
    changes: dict[str, object], p99_ms: float | None, percent: float | None, said: list[str]
) -> None:
    assert report(**changes).breaches(p99_ms, percent) == said
