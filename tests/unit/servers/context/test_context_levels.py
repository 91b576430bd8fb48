"""How entries move on: out of full levels, at the end of sessions, at the end of their time."""

from __future__ import annotations

import pytest
from context_file import START_MS, ContextFile

from omnimind.servers.context import aging, entries, limits, ranking, retrieval, sessions, texts
from omnimind.servers.context.entries import Entry
from omnimind.servers.problem import Problem

TWENTY = " ".join(["word"] * 20)
DAY_MS = 86_400_000


def entry(**changes: object) -> Entry:
    facts: dict[str, object] = {
        "id": "i", "level": "working", "session": None, "key": None, "title": None, "tags": (),
        "importance": 0.5, "handle": "h", "created_ms": START_MS, "updated_ms": START_MS, "expires_ms": None,
    }  # fmt: skip
    return Entry(**{**facts, **changes})  # type: ignore[arg-type]


def test_a_full_working_level_lets_the_least_valuable_go_and_loses_nothing() -> None:
    file = ContextFile()
    kept = file.store(TWENTY + " one", importance=0.9)
    least = file.store(TWENTY + " two", importance=0.1)
    newest, moves = file.stored(TWENTY + " three", importance=0.0)
    assert [(move.entry.id, move.to) for move in moves] == [(least.id, "archive")]
    assert [file.level_of(one) for one in (kept, least, newest)] == ["working", "archive", "working"]
    assert texts.read(file.data, least.handle) == TWENTY + " two"
    file.check()


def test_an_entry_of_a_session_goes_to_its_session_first() -> None:
    file = ContextFile()
    session = sessions.start(file.data, file.now_ms)
    for number in range(4):
        _, moves = file.stored(f"{TWENTY} {number}", session=session)
    assert {move.to for move in moves} == {"session"}
    for number in range(8):
        file.store(f"{TWENTY} {number} again", session=session)
        file.check()
    levels = [one.level for one, _ in file.everything()]
    assert (levels.count("working"), levels.count("session"), levels.count("archive")) == (2, 4, 6)


def test_an_entry_larger_than_its_level_is_refused() -> None:
    with pytest.raises(Problem, match="61 tokens and the level working holds 60"):
        ContextFile().store(" ".join(["word"] * 61))


def test_a_session_that_is_not_used_ends_and_its_entries_are_archived() -> None:
    file = ContextFile()
    session = sessions.start(file.data, file.now_ms, ttl_s=100)
    first = file.store("one", "session", session=session)
    file.now_ms += 99_000
    second = file.store("two", session=session)
    file.now_ms += 99_000
    assert file.sweep() == []
    file.now_ms += 2_000
    assert aging.is_due(file.data, file.now_ms)
    assert {move.entry.id for move in file.sweep()} == {first.id, second.id}
    assert {file.level_of(first), file.level_of(second)} == {"archive"}
    assert not aging.is_due(file.data, file.now_ms)
    with pytest.raises(Problem, match="has ended"):
        file.store("three", session=session)
    found = retrieval.rank(file.data, retrieval.Question(), file.now_ms)
    assert {one.entry.id for one in found} == {first.id, second.id}, "the archive is open without the handle"


def test_an_entry_with_a_time_of_its_own_is_forgotten_everywhere() -> None:
    file = ContextFile()
    entry = file.store("a password of today", "project", ttl_s=60)
    file.take("with it")
    file.now_ms += 61_000
    (gone,) = file.sweep()
    assert (gone.entry.id, gone.to) == (entry.id, None)
    assert file.everything() == []
    assert not texts.exists(file.data, entry.handle)
    assert file.restore("with it").difference.added == []


def test_entries_of_a_session_are_found_with_its_handle_only() -> None:
    file = ContextFile()
    first, second = (sessions.start(file.data, file.now_ms) for _ in range(2))
    mine = file.store("deploy mine", "session", session=first)
    now = file.store("deploy now", session=first)
    ours = file.store("deploy ours", "project")

    def found(session: str | None) -> set[str]:
        question = retrieval.Question("deploy", session=session)
        return {one.entry.id for one in retrieval.rank(file.data, question, file.now_ms)}

    assert found(None) == found(second) == {ours.id}
    assert found(first) == {mine.id, now.id, ours.id}
    with pytest.raises(Problem, match="start_session"):
        found("0" * 32)


def test_the_archive_is_packed_and_what_leaves_it_is_not() -> None:
    file = ContextFile(limits.Caps())
    kept = file.store("again and again " * 500, "archive")

    def stored() -> int:
        (size,) = file.data.execute("SELECT length(data) FROM texts").fetchone()
        return int(size)

    assert stored() < kept.bytes / 20
    file.move(kept.id, "working")
    assert stored() == kept.bytes
    file.move(kept.id, "archive")
    assert stored() < kept.bytes / 20
    file.check()


def test_words_find_what_is_there_now_and_not_what_was() -> None:
    file = ContextFile()
    one = file.store("apples", title="old title", tags=("oldtag",))

    def found(query: str) -> int:
        return len(retrieval.rank(file.data, retrieval.Question(query), file.now_ms))

    file.move(one.id, "archive")
    assert [found(word) for word in ("apples", "title", "oldtag", "app")] == [1, 1, 1, 1]
    file.update(one.id, content="bananas", title="new", tags=["newtag"])
    assert [found(word) for word in ("apples", "title", "oldtag", "bananas", "new", "newtag")] == [
        0,
        0,
        0,
        1,
        1,
        1,
    ]
    entries.remove(file.data, entries.find(file.data, one.id))
    assert found("bananas") == 0


def test_a_key_names_one_entry_of_a_level() -> None:
    file = ContextFile()
    file.store("one", key="k")
    with pytest.raises(Problem, match="update_context"):
        file.store("two", key="k")
    file.store("three", "project", key="k")
    with pytest.raises(Problem, match="several entries"):
        entries.find(file.data, "k")


def test_a_pushed_out_entry_does_not_take_the_place_of_another_with_its_key() -> None:
    file = ContextFile()
    session = sessions.start(file.data, file.now_ms)
    file.store("one", "session", session=session, key="k")
    pushed = file.store(TWENTY, session=session, key="k", importance=0)
    for number in range(2):
        file.store(f"{TWENTY} {number}", session=session)
    assert file.level_of(pushed) == "archive"


def test_moving_out_of_an_ended_session_needs_another_one() -> None:
    file = ContextFile()
    session = sessions.start(file.data, file.now_ms, ttl_s=60)
    one = file.store("one", "session", session=session)
    file.now_ms += 61_000
    with pytest.raises(Problem, match="give session_id"):
        file.move(one.id, "session")
    assert file.move(one.id, "working").session is None
    other = sessions.start(file.data, file.now_ms)
    assert file.move(one.id, "session", other).session == other
    assert file.move(one.id, "project").session is None
    file.check()


def test_a_snapshot_of_one_level_takes_back_what_went_elsewhere() -> None:
    file = ContextFile()
    session = sessions.start(file.data, file.now_ms)
    moved, other = file.store("one", session=session), file.store("two", "project")
    file.take("work", ("working",))
    file.move(moved.id, "archive")
    new = file.store("three")
    aging.end_session(file.data, session, "over")
    done = file.restore("work", save_as="before")
    assert done.revived == [session]
    assert [(old.level, new.level) for old, new, _ in done.difference.changed] == [("archive", "working")]
    assert [one.id for one in done.difference.removed] == [new.id]
    assert {one.id: one.level for one, _ in file.everything()} == {moved.id: "working", other.id: "project"}
    file.check()


def test_a_score_is_the_weighted_sum_of_its_parts() -> None:
    week_old = entry(id="old", updated_ms=START_MS - 7 * DAY_MS, importance=1.0, level="archive")
    found = ranking.rank([(entry(), 2.0), (week_old, 4.0)], START_MS)
    assert [one.entry.id for one in found] == ["old", "i"]
    old = found[0].parts
    assert {name: value for name, (value, _) in old.items()} == {
        "words": 1.0, "recency": 0.5, "importance": 1.0, "level": 0.25,
    }  # fmt: skip
    assert found[0].score == pytest.approx(0.55 + 0.075 + 0.2 + 0.025)
    for one in found:
        assert sum(weight for _, weight in one.parts.values()) == pytest.approx(1)
        assert one.score == pytest.approx(sum(value * weight for value, weight in one.parts.values()))


def test_without_a_query_the_other_parts_share_the_weight() -> None:
    (only,) = ranking.rank([(entry(importance=1.0), None)], START_MS)
    assert "words" not in only.parts
    assert only.score == pytest.approx(1.0)


def test_limits_are_said_with_their_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    file = ContextFile()
    file.store("one", "project")
    with monkeypatch.context() as patched:
        patched.setattr(limits, "ENTRIES", 1)
        with pytest.raises(Problem, match="1 entries"):
            file.store("another", "project")
    with monkeypatch.context() as patched:
        patched.setattr(limits, "TOTAL_BYTES", 5)
        with pytest.raises(Problem, match="limit is 5"):
            file.store("a third", "project")
    with pytest.raises(Problem, match="1,048,576"):
        file.store("x" * (limits.TEXT_BYTES + 1), "project")
    monkeypatch.setattr(limits, "SESSIONS", 0)
    with pytest.raises(Problem, match="end_session"):
        sessions.start(file.data, file.now_ms)
    monkeypatch.setattr(limits, "SNAPSHOTS", 0)
    with pytest.raises(Problem, match="delete_snapshot"):
        file.take("x")
