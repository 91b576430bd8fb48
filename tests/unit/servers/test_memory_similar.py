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
        and sets.index(sets[first]) == first
        and (sets.index(sets[second]) in (first, second))
    }
    found = pairs(texts, threshold)
    assert {(pair.first, pair.second) for pair in found.pairs} == expected
    assert found.compared == len(texts)


@given(TEXTS)
def test_groups_hang_together_and_do_not_overlap(texts: list[str]) -> None:
    found = pairs(texts, 0.5).pairs
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


def test_many_texts_take_seconds_and_can_be_stopped() -> None:
    texts = [f"note {number} about topic {number % 97} by person {number % 89}" for number in range(5_000)]
    stops: list[int] = []
    assert pairs(texts, 0.9, stops.append).compared == 5_000
    assert len(stops) >= 5_000
    assert stops == sorted(stops)


def test_texts_that_are_all_alike_are_compared_up_to_a_bound() -> None:
    texts = [f"request {number} was served by the worker of the server of files" for number in range(3_000)]
    found = pairs(texts, 0.3, most=20_000)
    assert 200 < found.compared < 300
    assert all(max(pair.first, pair.second) < found.compared for pair in found.pairs)


def test_copies_cost_no_comparison_with_each_other() -> None:
    assert pairs(["the same text"] * 5_000, 0.5, most=10).compared == 5_000
    assert len(groups(pairs(["the same text"] * 50, 0.5).pairs)[0]) == 50
