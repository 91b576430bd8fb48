"""What of a document is left in a compressed text. Every measure looks for words, none asks a model.

- `facts`: planted values that stand in the text to the letter; `anchored`: those whose name stands near, in the same
  line or in the twenty lines before it (where JSON is indented, an object takes as many).
- `identifiers`: of those that occur by themselves, how many are there to the letter.
- `errors`: error messages all of whose words stand in one line.
- `templates`, `rare`: kinds of log lines of whose fixed words one line has all; `rare` are those of a single line.
- `answers`: answers to questions that stand in the text, an upper bound of what a reader could answer.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from benches.compression.document import Document

MEASURES = ("facts", "anchored", "identifiers", "errors", "templates", "rare", "answers")
_LINES_BEFORE = 20


@dataclass
class Score:
    """How many of how many, by measure."""

    kept: dict[str, int] = field(default_factory=lambda: dict.fromkeys(MEASURES, 0))
    total: dict[str, int] = field(default_factory=lambda: dict.fromkeys(MEASURES, 0))

    def note(self, measure: str, found: bool) -> None:
        self.kept[measure] += found
        self.total[measure] += 1

    def add(self, other: Score) -> None:
        for measure in MEASURES:
            self.kept[measure] += other.kept[measure]
            self.total[measure] += other.total[measure]

    def share(self, measure: str) -> float | None:
        """Between 0 and 1; None where there is nothing of the kind."""
        return self.kept[measure] / self.total[measure] if self.total[measure] else None


def score(document: Document, text: str) -> Score:
    """What is left of the document in the text."""
    found = Score()
    lines = text.split("\n")
    for fact in document.facts:
        found.note("facts", fact.value in text)
        found.note("anchored", any(_anchored(lines, at, fact.anchor, fact.value) for at in range(len(lines))))
    for identifier in document.identifiers:
        found.note("identifiers", identifier in text)
    for error in document.errors:
        found.note("errors", _together(lines, error.split()))
    for template in document.templates:
        kept = _together(lines, template.words)
        found.note("templates", kept)
        if template.count == 1:
            found.note("rare", kept)
    for question in document.questions:
        found.note("answers", question.answer in text)
    return found


def _anchored(lines: list[str], at: int, anchor: str, value: str) -> bool:
    return value in lines[at] and any(anchor in line for line in lines[max(0, at - _LINES_BEFORE) : at + 1])


def _together(lines: list[str], words: tuple[str, ...] | list[str]) -> bool:
    return any(all(word in line for word in words) for line in lines)
