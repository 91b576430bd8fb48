"""Judging a session by a rubric that is written out: no score, but which of these rules hold, and where not.

Each criterion looks at the form of the reasoning, which can be checked by hand: is it finished, do its
numbers and references hold, is nothing left open, does nothing repeat, does it stay with the question.
Whether the thoughts are right is for the reader; the rubric does not pretend to know.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from omnimind.servers.thinking.store import MAIN, Branch, Step

Verdict = Literal["met", "not met", "does not apply"]

_WORD = re.compile(r"\w{4,}")
_ALIKE: Final = 0.9
_GROWTH: Final = 2.0
_SHORT_WORDS: Final = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rule says of a session. `thoughts` are the numbers it rests on."""

    criterion: str
    rule: str
    verdict: Verdict
    evidence: str
    thoughts: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Subject:
    """What is judged."""

    title: str
    steps: Sequence[Step]
    branches: Sequence[Branch]


def evaluate(subject: Subject) -> list[Finding]:
    """Every criterion of the rubric, in a fixed order."""
    return [criterion(subject) for criterion in _RUBRIC]


def _finding(criterion: str, rule: str, evidence: str, faults: Sequence[int] | None = None) -> Finding:
    verdict: Verdict = "not met" if faults else "met"
    return Finding(criterion, rule, verdict, evidence, tuple(faults or ()))


def _finished(subject: Subject) -> Finding:
    name, rule = "finished", "The last thought of the main line says that no further thought is needed."
    main = [step for step in subject.steps if step.branch == MAIN]
    if not main:
        return Finding(name, rule, "not met", "The main line has no thought yet.")
    last = main[-1]
    said = "needed" if last.next_needed else "not needed"
    return Finding(
        name,
        rule,
        "not met" if last.next_needed else "met",
        f"Thought {last.thought_number} says that another is {said}.",
        (last.thought_number,),
    )


def _unbroken(subject: Subject) -> Finding:
    rule = "Each line's new thoughts are numbered one by one, without a gap or a number used twice."
    faults: list[int] = []
    for line in _lines(subject.steps).values():
        fresh = [step.thought_number for step in line if not step.is_revision]
        faults.extend(number for before, number in itertools.pairwise(fresh) if number != before + 1)
    evidence = f"The numbering breaks at {_numbers(faults)}." if faults else "All numbers follow each other."
    return _finding("unbroken", rule, evidence, faults)


def _references(subject: Subject) -> Finding:
    name, rule = (
        "sound references",
        "Every revision names an earlier thought that exists, every branch its origin.",
    )
    known: set[int] = set()
    faults: list[int] = []
    made = 0
    for step in subject.steps:
        if step.is_revision or step.revises is not None:
            made += 1
            if step.revises not in known:
                faults.append(step.thought_number)
        known.add(step.thought_number)
    lost = [branch.id for branch in subject.branches if branch.from_thought not in known]
    if not made and not subject.branches:
        return Finding(name, rule, "does not apply", "There is no revision and no branch.")
    if lost:
        evidence = f"Branches without an existing origin: {', '.join(lost)}."
        return Finding(name, rule, "not met", evidence, tuple(faults))
    evidence = (
        f"Revisions of nothing known: {_numbers(faults)}."
        if faults
        else f"{made} revisions and {len(subject.branches)} branches refer to existing thoughts."
    )
    return _finding(name, rule, evidence, faults)


def _nothing_open(subject: Subject) -> Finding:
    name, rule = "branches closed", "Every branch was merged, or ends with a thought that needs no other."
    if not subject.branches:
        return Finding(name, rule, "does not apply", "There is no branch.")
    lines = _lines(subject.steps)
    left = [
        branch.id
        for branch in subject.branches
        if branch.merged_into is None and (branch.id not in lines or lines[branch.id][-1].next_needed)
    ]
    evidence = f"Still open: {', '.join(left)}." if left else "No branch is left open."
    return Finding(name, rule, "not met" if left else "met", evidence)


def _estimate(subject: Subject) -> Finding:
    rule = f"The main line took at most {_GROWTH:g} times as many thoughts as first estimated."
    main = [step for step in subject.steps if step.branch == MAIN]
    if not main:
        return Finding("kept its estimate", rule, "does not apply", "The main line has no thought yet.")
    first, taken = main[0].total_thoughts, max(step.thought_number for step in main)
    evidence = f"First estimate {first}, highest number {taken}."
    return _finding("kept its estimate", rule, evidence, [taken] if taken > _GROWTH * first else None)


def _no_repeats(subject: Subject) -> Finding:
    rule = f"No thought shares {_ALIKE:.0%} or more of its words with an earlier one."
    seen: list[tuple[int, frozenset[str]]] = []
    faults: list[int] = []
    twins: list[str] = []
    for step in subject.steps:
        words = _words(step.thought)
        if len(words) < _SHORT_WORDS:
            continue
        for number, other in seen:
            if len(words & other) >= _ALIKE * len(words | other):
                faults.append(step.thought_number)
                twins.append(f"{step.thought_number} repeats {number}")
                break
        seen.append((step.thought_number, words))
    evidence = f"{'; '.join(twins)}." if twins else "No two thoughts say the same."
    return _finding("no repetition", rule, evidence, faults)


def _promises(subject: Subject) -> Finding:
    name, rule = "kept its promises", "Every thought that asked for more thoughts is followed by another one."
    lines = _lines(subject.steps).values()
    asked = [step.thought_number for line in lines for step in line if step.needs_more]
    if not asked:
        return Finding(name, rule, "does not apply", "No thought asked for more.")
    faults = [line[-1].thought_number for line in lines if line[-1].needs_more]
    evidence = f"Nothing follows {_numbers(faults)}." if faults else f"More follows after {_numbers(asked)}."
    return _finding(name, rule, evidence, faults)


def _stays_with_question(subject: Subject) -> Finding:
    name, rule = (
        "answers its question",
        "The last main thought uses a word of the title (four letters or more).",
    )
    asked = _words(subject.title)
    main = [step for step in subject.steps if step.branch == MAIN]
    if not asked or not main:
        return Finding(name, rule, "does not apply", "The session has no title, or no thought yet.")
    shared = sorted(asked & _words(main[-1].thought))
    evidence = f"Shared: {', '.join(shared)}." if shared else "No word is shared."
    return _finding(name, rule, evidence, None if shared else [main[-1].thought_number])


_RUBRIC: Final[tuple[Callable[[Subject], Finding], ...]] = (
    _finished,
    _unbroken,
    _references,
    _nothing_open,
    _estimate,
    _no_repeats,
    _promises,
    _stays_with_question,
)


def _lines(steps: Sequence[Step]) -> dict[str, list[Step]]:
    lines: dict[str, list[Step]] = {}
    for step in steps:
        lines.setdefault(step.branch, []).append(step)
    return lines


def _words(text: str) -> frozenset[str]:
    return frozenset(word.casefold() for word in _WORD.findall(text))


def _numbers(numbers: Sequence[int]) -> str:
    return ", ".join(f"thought {number}" for number in numbers)
