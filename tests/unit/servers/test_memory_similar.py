"""Near-duplicates: the fast search finds exactly what comparing all with all finds."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from omnimind.servers.memory.similar import features, groups, pairs, similarity

WORDS = st.sampled_from(["a", "b", "c", "d", "e", "f"])
TEXTS = st.lists(st.lists(WORDS, max_size=8).map(" ".join), max_size=12)


@given(TEXTS, st.floats(0.3, 1))
def test_no_similar_pair_is_missed_and_none_is_made_up(texts: list[str], threshold: float) -> None:
    sets = [features(text) for text in texts]
    expected = {
        (first, second)
        for first, second in itertools.combinations(range(len(texts)), 2)
        if similarity(sets[first], sets[second]) >= threshold
    }
    assert {(pair.first, pair.second) for pair in pairs(texts, threshold)} == expected


@given(TEXTS)
def test_groups_hang_together_and_do_not_overlap(texts: list[str]) -> None:
    found = pairs(texts, 0.5)
    members = groups(found)
    assert sorted(itertools.chain(*members)) == sorted(
        {at for pair in found for at in (pair.first, pair.second)}
    )
    for pair in found:
        assert any({pair.first, pair.second} <= set(group) for group in members)


def test_word_order_and_case_count_as_they_should() -> None:
    assert similarity(features("Dog bites man"), features("dog BITES man")) == 1
    assert similarity(features("dog bites man"), features("man bites dog")) < 1
    assert similarity(features(""), features("")) == 0


def test_ten_thousand_texts_take_seconds_and_can_be_stopped() -> None:
    texts = [f"note {number} about topic {number % 97} by person {number % 89}" for number in range(5_000)]
    stops: list[int] = []
    assert pairs(texts, 0.9, lambda: stops.append(1)) is not None
    assert len(stops) > 50
