"""Pictures of any figures: the scale has round times, words stay within and off each other."""

from __future__ import annotations

from itertools import combinations, pairwise
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from omnimind.pictures.curve import Curve, percentiles
from omnimind.pictures.svg import BOTTOM, HEIGHT, LEFT, WIDTH, Frame, cut, legend, svg, width_of

TIMES = st.floats(1e-4, 1e7)


@given(st.lists(TIMES, min_size=1, max_size=20))
def test_a_frame_holds_its_values_between_round_times(values: list[float]) -> None:
    frame = Frame.around(values)
    assert all(frame.top <= frame.y(value) <= BOTTOM for value in values)
    longer = sorted(values)
    assert [frame.y(value) for value in longer] == sorted((frame.y(value) for value in longer), reverse=True)
    picture = ElementTree.fromstring(svg("scale", frame.scale()))
    words = [word.text or "" for word in picture.iter("text")]
    assert 2 <= len(words) <= 13
    assert all(word.split()[0].strip("0.")[:1] in ("1", "2", "5") for word in words), words
    assert all(width_of(word) <= LEFT for word in words), words


@given(st.lists(TIMES, min_size=5, max_size=5), st.integers(0, 3))
def test_words_stay_in_the_picture_and_off_each_other(values: list[float], fewer: int) -> None:
    """Of a report's percentiles, the last only if there were calls enough."""
    percents = [*(50.0, 90.0, 99.0, 99.9)[: 4 - fewer], 100.0]
    points = list(zip(percents, sorted(values), strict=False))
    marks = [(percent, f"p{percent:g} {ms:.3f}"[:14]) for percent, ms in points]
    picture = ElementTree.fromstring(percentiles("curve", [Curve("client", "one", points)], marks))
    boxes = [box_of(word) for word in picture.iter("text") if word.get("class") == "mark"]
    assert len(boxes) == len(marks)
    for left, top, right, bottom in boxes:
        assert left >= 0
        assert right <= WIDTH + 1
        assert top >= 0
        assert bottom <= HEIGHT
    for one, other in combinations(boxes, 2):
        assert not (one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3])
    below = [box_of(word) for word in picture.iter("text") if word.attrib["y"] == f"{HEIGHT - 8:.1f}"]
    assert all(one[2] <= other[0] for one, other in pairwise(below))


def box_of(word: ElementTree.Element) -> tuple[float, float, float, float]:
    """Where a word is: from its anchor, with its height of ten above the line."""
    wide, x, y = width_of(word.text or ""), float(word.attrib["x"]), float(word.attrib["y"])
    left = x - {"start": 0.0, "middle": wide / 2, "end": wide}[word.attrib["text-anchor"]]
    return (left, y - 10, left + wide, y + 2)


@given(st.text(max_size=300), st.floats(20, 700))
def test_a_text_is_cut_to_its_room(words: str, room: float) -> None:
    kept = cut(words, room)
    assert width_of(kept) <= room
    assert kept == words or (kept.endswith("…") and words.startswith(kept[:-1]))


def test_a_curve_alone_needs_no_legend_and_several_have_one() -> None:
    one = Curve("client", "one", [(50.0, 1.0), (99.0, 4.0)])
    assert ">client<" not in percentiles("curve", [one])
    two = percentiles("curve", [one, Curve("kernel & all", "two", [(50.0, 0.5)]), Curve("none", "three", [])])
    assert ">client<" in two
    assert ">kernel &amp; all<" in two
    assert "none" not in two
    assert percentiles("curve", [Curve("none", "one", [])]) == ""
    assert legend([]) == []
