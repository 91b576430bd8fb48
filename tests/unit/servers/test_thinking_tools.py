"""The thinking tools: the reference server's one, and sessions around it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from server_session import Session

from omnimind.servers.thinking import rubric
from omnimind.servers.thinking.store import MAIN, Branch, Step

STEP: dict[str, Any] = {"thought": "t", "nextThoughtNeeded": True, "thoughtNumber": 1, "totalThoughts": 3}


def test_the_reference_tool_answers_as_the_reference_does(thinking: Session) -> None:
    first = thinking.data("sequentialthinking", **STEP)
    handle = first.pop("sessionId")
    assert len(handle) == 32
    assert first == {
        "thoughtNumber": 1,
        "totalThoughts": 3,
        "nextThoughtNeeded": True,
        "branches": [],
        "thoughtHistoryLength": 1,
    }
    other = {"thoughtNumber": 5, "branchFromThought": 1, "branchId": "x", "nextThoughtNeeded": "False"}
    assert thinking.json("sequentialthinking", **{**STEP, **other}) == {
        "thoughtNumber": 5,
        "totalThoughts": 5,
        "nextThoughtNeeded": False,
        "branches": ["x"],
        "thoughtHistoryLength": 2,
        "sessionId": handle,
    }


@pytest.mark.parametrize(
    "wrong",
    [{"thoughtNumber": 0}, {"totalThoughts": -1}, {"nextThoughtNeeded": "perhaps"}, {"thoughtNumber": 1.5}],
)
def test_wrong_arguments_are_named(thinking: Session, wrong: dict[str, Any]) -> None:
    assert next(iter(wrong)) in thinking.problem("sequentialthinking", **{**STEP, **wrong})


def test_a_first_thought_opens_a_session_and_the_next_ones_follow_it(thinking: Session) -> None:
    one = thinking.data("sequentialthinking", **STEP)["sessionId"]
    assert thinking.data("sequentialthinking", **{**STEP, "thoughtNumber": 2})["sessionId"] == one
    two = thinking.data("sequentialthinking", **STEP)["sessionId"]
    assert two != one
    kept = thinking.data("sequentialthinking", **STEP, session_id=one)
    assert (kept["sessionId"], kept["thoughtHistoryLength"]) == (one, 3)


def test_a_session_is_branched_merged_resumed_and_exported(thinking: Session) -> None:
    handle = thinking.data("start_thinking", title="Which cache is best")["sessionId"]
    for number, thought in ((1, "Candidates are LRU and S3-FIFO"), (2, "Measure both on the trace")):
        thinking.data(
            "sequentialthinking", **{**STEP, "thoughtNumber": number, "thought": thought}, session_id=handle
        )
    branch = thinking.data("branch_thinking", session_id=handle, branch_id="lru", from_thought=1)
    assert branch["nextThoughtNumber"] == 2
    thinking.data(
        "sequentialthinking",
        **{**STEP, "thoughtNumber": 2, "thought": "LRU is simple"},
        branchId="lru",
        session_id=handle,
    )
    lines = thinking.data("resume_thinking", session_id=handle)["lines"]
    assert [line["nextThoughtNumber"] for line in lines] == [3, 3]
    merged = thinking.data(
        "merge_thinking", session_id=handle, branch_id="lru", conclusion="It loses on scans"
    )
    assert (merged["thoughtNumber"], merged["mergedFrom"]) == (3, "lru")
    # Resumed: a step without a handle goes here.
    last = {"thoughtNumber": 4, "nextThoughtNeeded": False, "thought": "The best cache is S3-FIFO"}
    assert thinking.data("sequentialthinking", **{**STEP, **last})["sessionId"] == handle
    history = thinking.data("thinking_history", session_id=handle)
    assert [step["thoughtNumber"] for step in history["history"]] == [1, 2, 2, 3, 4]
    assert history["branches"] == [{"branchId": "lru", "branchFromThought": 1, "mergedInto": "main"}]
    only = thinking.data("thinking_history", session_id=handle, branch_id="lru")["history"]
    assert [step["thought"] for step in only] == ["LRU is simple"]
    text = thinking.text("export_thinking", session_id=handle)
    assert "# Which cache is best" in text
    assert "3. It loses on scans (from branch lru)" in text
    assert thinking.json("export_thinking", session_id=handle, format="json")["sessionId"] == handle
    judged = thinking.data("evaluate_thinking", session_id=handle)
    assert judged["summary"] == "7 of 7 criteria that apply are met"
    assert all(finding["rule"] and finding["evidence"] for finding in judged["findings"])


def test_problems_say_what_to_do(thinking: Session) -> None:
    handle = thinking.data("start_thinking")["sessionId"]
    assert "list_thinking_sessions" in thinking.problem("thinking_history", session_id="none")
    assert "thinking_history" in thinking.problem(
        "branch_thinking", session_id=handle, branch_id="b", from_thought=7
    )
    assert "it has none" in thinking.problem(
        "merge_thinking", session_id=handle, branch_id="b", conclusion="c"
    )
    thinking.data("sequentialthinking", **STEP, session_id=handle)
    thinking.data("branch_thinking", session_id=handle, branch_id="b", from_thought=1)
    assert "exists already" in thinking.problem(
        "branch_thinking", session_id=handle, branch_id="b", from_thought=1
    )
    thinking.data("merge_thinking", session_id=handle, branch_id="b", conclusion="c")
    assert "merged already" in thinking.problem(
        "merge_thinking", session_id=handle, branch_id="b", conclusion="c"
    )
    assert "65,536" in thinking.problem("sequentialthinking", **{**STEP, "thought": "x" * 70_000})


def test_sessions_are_listed_last_used_first_and_can_be_deleted(thinking: Session, tmp_path: Path) -> None:
    one = thinking.data("start_thinking", title="one")["sessionId"]
    two = thinking.data("start_thinking", title="two")["sessionId"]
    thinking.data("sequentialthinking", **STEP, session_id=one)
    again = Session("thinking", tmp_path, [])  # another process finds them
    assert [session["sessionId"] for session in again.data("list_thinking_sessions")["sessions"]] == [
        one,
        two,
    ]
    again.data("delete_thinking_session", session_id=one)
    assert "no session" in thinking.problem("sequentialthinking", **STEP, session_id=one)


def judge(title: str, *steps: Step, branches: tuple[Branch, ...] = ()) -> dict[str, rubric.Finding]:
    return {one.criterion: one for one in rubric.evaluate(rubric.Subject(title, steps, branches))}


def step(number: int, thought: str = "some words that differ", *, total: int = 3, more: bool = True) -> Step:
    return Step(MAIN, f"{thought} {number}{number}{number}{number}", number, total, more)


def test_each_criterion_can_fail_and_says_where() -> None:
    assert judge("", step(1))["finished"].verdict == "not met"
    assert judge("", step(1, more=False))["finished"].verdict == "met"
    gap = judge("", step(1), step(3))["unbroken"]
    assert (gap.verdict, gap.thoughts) == ("not met", (3,))
    lost = Step(MAIN, "x", 2, 3, True, revises=9, is_revision=True)
    assert judge("", step(1), lost)["sound references"].thoughts == (2,)
    open_branch = (Branch("b", 1, None),)
    assert judge("", step(1), branches=open_branch)["branches closed"].verdict == "not met"
    assert judge("", step(1), branches=(Branch("b", 7, None),))["sound references"].verdict == "not met"
    assert judge("", step(1, total=1), step(3))["kept its estimate"].verdict == "not met"
    same = Step(MAIN, "exactly these same words", 2, 3, True)
    assert judge("", same, same)["no repetition"].evidence == "2 repeats 2."
    asked = Step(MAIN, "x", 2, 3, True, needs_more=True)
    assert judge("", asked)["kept its promises"].verdict == "not met"
    assert judge("cache policy", step(1, "the policy"))["answers its question"].evidence == "Shared: policy."
    assert judge("cache policy", step(1, "other"))["answers its question"].verdict == "not met"


def test_an_empty_session_is_judged_too() -> None:
    verdicts = {finding.verdict for finding in judge("").values()}
    assert verdicts <= {"met", "not met", "does not apply"}


STEPS = st.builds(
    Step,
    st.sampled_from(["", "a", "b"]),
    st.sampled_from(["one two three four", "quite another thought", ""]),
    st.integers(1, 5),
    st.integers(1, 5),
    st.booleans(),
    st.none() | st.integers(1, 5),
    st.booleans(),
    st.booleans(),
)


@given(st.lists(STEPS, max_size=8))
def test_every_finding_names_only_thoughts_that_exist(steps: list[Step]) -> None:
    branches = [Branch(name, 1, None) for name in {one.branch for one in steps} - {MAIN}]
    numbers = {one.thought_number for one in steps}
    for finding in rubric.evaluate(rubric.Subject("one thought", steps, branches)):
        assert set(finding.thoughts) <= numbers
        assert finding.evidence
