"""Memories found by words: the order, and the reasons given for it."""

from __future__ import annotations

import pytest
from server_session import Session


def test_the_reasons_add_up_to_the_relevance(memory: Session) -> None:
    for number in range(20):
        memory.data("store_memory", content=f"Filler {number} about boxes and cats")
    memory.data("store_memory", content="The deploy runs at night, and deploys again", tags=["deploy", "ops"])
    memory.data("store_memory", content="A night train")
    found = memory.data("retrieve_memories", query="Deploy NIGHT deploy unheard", explain=True)["memories"]
    assert [len(one["why"]) for one in found] == [2, 1]
    for one in found:
        assert sum(reason["score"] for reason in one["why"]) == pytest.approx(one["relevance"], abs=1e-6)
    counts = {why["word"]: (why["inContent"], why["inTags"]) for why in found[0]["why"]}
    assert counts == {"deploy": (2, 1), "night": (1, 0)}
    assert found[0]["why"][0]["score"] >= found[0]["why"][1]["score"]


def test_a_rare_word_weighs_more_than_a_common_one_and_a_tag_more_than_text(memory: Session) -> None:
    for number in range(9):
        memory.data("store_memory", content=f"common words number {number}")
    rare = memory.data("store_memory", content="common but zebra")["id"]
    assert memory.data("retrieve_memories", query="common zebra")["memories"][0]["id"] == rare
    memory.data("store_memory", content="a gnu in the text")
    tagged = memory.data("store_memory", content="an animal by tag", tags=["gnu"])["id"]
    assert memory.data("retrieve_memories", query="gnu")["memories"][0]["id"] == tagged


def test_only_an_explained_answer_holds_reasons(memory: Session) -> None:
    memory.data("store_memory", content="night")
    assert "why" not in memory.data("retrieve_memories", query="night")["memories"][0]
    assert "without a query" in memory.problem("retrieve_memories", explain=True)


def test_an_answer_says_where_it_goes_on(memory: Session) -> None:
    for number in range(5):
        memory.data("store_memory", content=f"memory {number}")
    first = memory.data("retrieve_memories", query="memory", limit=3)
    rest = memory.data("retrieve_memories", query="memory", limit=3, offset=first["nextOffset"])
    assert (len(first["memories"]), len(rest["memories"]), first["nextOffset"]) == (3, 2, 3)
    assert "nextOffset" not in rest
    assert {one["id"] for one in first["memories"]}.isdisjoint(one["id"] for one in rest["memories"])


def test_a_mark_in_a_text_is_not_counted_as_a_hit(memory: Session) -> None:
    memory.data("store_memory", content="\u0001night\u0001 \u0001")
    why = memory.data("retrieve_memories", query="night", explain=True)["memories"][0]["why"]
    assert (why[0]["inContent"], why[0]["inTags"]) == (1, 0)
