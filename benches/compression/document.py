"""A document that knows what is in it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Fact:
    """A value that was put into a document, and the name that it belongs to: both have to come out, together."""

    anchor: str
    value: str


@dataclass(frozen=True)
class Question:
    """What a reader may ask, and the words that an answer has to contain."""

    text: str
    answer: str


@dataclass(frozen=True)
class Template:
    """The fixed words of a log line's message; `count` lines of the document were made of it."""

    words: tuple[str, ...]
    count: int


@dataclass(frozen=True)
class Document:
    """A text with everything about it that a measure needs."""

    kind: str
    text: str
    query: str
    facts: tuple[Fact, ...] = ()
    identifiers: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    templates: tuple[Template, ...] = ()
    questions: tuple[Question, ...] = ()


Maker = Callable[[random.Random, int], Document]
"""Makes a document of about that many lines, rows or sentences."""


@dataclass
class Ledger:
    """Collects, while a document is made, what is put into it."""

    facts: list[Fact] = field(default_factory=list)
    identifiers: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)

    def identifier(self, value: str) -> str:
        """Notes an identifier that occurs by itself, and returns it."""
        self.identifiers.append(value)
        return value

    def fact(self, anchor: str, value: str) -> str:
        """Notes a planted value, and returns it."""
        self.facts.append(Fact(anchor, value))
        return value

    def document(self, kind: str, text: str, query: str, templates: tuple[Template, ...] = ()) -> Document:
        return Document(
            kind=kind,
            text=text,
            query=query,
            facts=tuple(self.facts),
            identifiers=tuple(dict.fromkeys(self.identifiers)),
            errors=tuple(dict.fromkeys(self.errors)),
            templates=templates,
            questions=tuple(self.questions),
        )
