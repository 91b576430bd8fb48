"""What holds whatever is stored: budgets, ways back, bytes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from context_file import ContextFile
from hypothesis import given, settings
from hypothesis import strategies as st

from omnimind.compression import tokens
from omnimind.servers.context import entries, retrieval, store, texts, wire
from omnimind.servers.context.limits import SMALLEST_BUDGET, Caps
from omnimind.servers.problem import Problem

ROOMY = Caps(working=10**7, session=10**7)
WORDS = st.sampled_from(
    ["deploy", "night", "gateway", "port", "caf\u00e9", "\u6771\u4eac", "x", "\U0001f980", "a_b"]
)
TEXTS = st.one_of(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=300),
    st.lists(WORDS, min_size=1, max_size=120).map(" ".join),
    st.builds(lambda word, times: word * times, WORDS, st.integers(1, 400)),
).filter(lambda text: text.strip() != "")
LEVELS = st.sampled_from(entries.LEVELS)
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=60).filter(
    lambda text: text.strip() != ""
)
ENTRY = st.fixed_dictionaries(
    {"content": TEXTS, "level": st.sampled_from(["working", "project", "archive"])},
    optional={"title": NAMES, "tags": st.lists(WORDS, max_size=3).map(tuple), "importance": st.floats(0, 1)},
)


@given(
    stored=st.lists(ENTRY, max_size=12),
    query=st.none() | WORDS.filter(str.isalpha),
    budget=st.integers(SMALLEST_BUDGET, 1_500),
    limit=st.integers(1, 20),
    explain=st.booleans(),
    as_text=st.booleans(),
)
@settings(max_examples=60)
def test_a_budget_is_never_exceeded_and_texts_come_whole(
    stored: list[dict[str, Any]], query: str | None, budget: int, limit: int, explain: bool, as_text: bool
) -> None:
    file = ContextFile(ROOMY)
    for one in stored:
        file.store(**one)
    ranked = retrieval.rank(file.data, retrieval.Question(query), file.now_ms)

    def render(fitted: retrieval.Fitted) -> str:
        return wire.composed(fitted) if as_text else wire.printed(wire.retrieved(fitted, budget, explain))

    text, fitted = retrieval.fit(file.data, ranked, budget, limit, render)
    assert tokens.count(text) <= budget
    assert len(fitted.taken) <= limit
    assert {one.entry.id for one, _ in fitted.taken} | {one.entry.id for one in fitted.left} == {
        one.entry.id for one in ranked
    }
    for one, content in fitted.taken:
        assert content == texts.read(file.data, one.entry.handle)
        assert (
            content in text if as_text else content in [row["content"] for row in json.loads(text)["entries"]]
        )
    if fitted.left:
        said = "left out" if as_text else '"left_out":{"entries":'
        assert said in text
    if query is None:
        assert len(ranked) == len(stored)


@given(stored=st.lists(ENTRY, min_size=1, max_size=12))
@settings(max_examples=30)
def test_a_large_enough_budget_leaves_nothing_out(stored: list[dict[str, Any]]) -> None:
    file = ContextFile(ROOMY)
    for one in stored:
        file.store(**one)
    ranked = retrieval.rank(file.data, retrieval.Question(), file.now_ms)
    _, fitted = retrieval.fit(file.data, ranked, 1_000_000, 200, wire.composed)
    assert fitted.left == []


@given(content=TEXTS, level=LEVELS, path=st.lists(LEVELS, max_size=4))
@settings(max_examples=60)
def test_a_text_comes_back_byte_for_byte_from_every_level(
    content: str, level: entries.Level, path: list[entries.Level]
) -> None:
    file = ContextFile(ROOMY)
    entry = file.store(content, level)
    file.take("kept")
    for to in path:
        if to != "session":
            file.move(entry.id, to)
        assert texts.read(file.data, entry.handle).encode() == content.encode()
        file.check()
    store.delete(file.data, [entry.id])
    assert texts.read(file.data, entry.handle).encode() == content.encode(), "the snapshot has it"
    assert entry.tokens == tokens.count(content)
    assert entry.bytes == len(content.encode())


STEP = st.one_of(
    st.tuples(st.just("store"), TEXTS, LEVELS, st.none() | st.sampled_from(["a", "b"])),
    st.tuples(st.just("update"), st.integers(0, 9), TEXTS),
    st.tuples(st.just("move"), st.integers(0, 9), LEVELS),
    st.tuples(st.just("delete"), st.integers(0, 9)),
    st.tuples(st.just("expire"), TEXTS),
    st.tuples(st.just("wait"), st.integers(1, 40)),
)


def act(file: ContextFile, step: tuple[Any, ...]) -> None:
    """One step; what is refused changes nothing, as in a transaction."""
    here = [entry for entry, _ in file.everything()]
    file.data.execute("SAVEPOINT step")
    try:
        match step:
            case ("store", content, level, key):
                file.store(content, level, key=key)
            case ("update", number, content) if here:
                file.update(here[number % len(here)].id, content=content)
            case ("move", number, level) if here:
                file.move(here[number % len(here)].id, level)
            case ("delete", number) if here:
                store.delete(file.data, [here[number % len(here)].id])
            case ("expire", content):
                file.store(content, "project", ttl_s=60)
            case ("wait", hours):
                file.now_ms += hours * 3_600_000
                file.sweep()
    except Problem:
        file.data.execute("ROLLBACK TO step")
    file.data.execute("RELEASE step")


@given(before=st.lists(STEP, max_size=8), after=st.lists(STEP, max_size=8))
@settings(max_examples=60)
def test_a_restored_snapshot_is_exactly_the_old_state(before: list[Any], after: list[Any]) -> None:
    file = ContextFile(Caps(working=120, session=200))
    for step in before:
        act(file, step)
        file.check()
    file.sweep()
    file.take("then")
    old = file.everything()
    for step in after:
        act(file, step)
        file.check()
    file.sweep()
    now = file.everything()
    done = file.restore("then", save_as="now")
    file.check()
    lasting = [one for one in old if one[0].expires_ms is None or one[0].expires_ms > file.now_ms]
    assert file.everything() == lasting
    assert done.expired == 0, "the sweep takes what is over from snapshots too"
    assert done.moves == []
    file.restore("now")
    file.check()
    assert file.everything() == [
        one for one in now if one[0].expires_ms is None or one[0].expires_ms > file.now_ms
    ]


@given(
    content=st.text(max_size=100),
    key=st.none() | st.text(max_size=300),
    tags=st.lists(st.text(), max_size=40),
)
@settings(max_examples=60)
def test_what_cannot_be_kept_is_refused_in_words(content: str, key: str | None, tags: list[str]) -> None:
    file = ContextFile(ROOMY)
    refusal, entry = None, None
    try:
        entry = file.store(content, "project", key=key, tags=tuple(tags))
    except Problem as problem:
        refusal = str(problem)
    if entry is None:
        assert len(refusal or "") > 10
    else:
        assert texts.read(file.data, entry.handle) == content
        file.check()


def test_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(Problem, match="not valid Unicode"):
        ContextFile().store("a\ud800")
