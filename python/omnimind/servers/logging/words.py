"""Full text: what the words of a line are, and what a query of words asks for.

A word is a run of letters and digits in any script, in any case. `timeout refused` asks for lines that hold both
words, `"connection refused"` for the two beside each other, `time*` for words that begin so, `-debug` for lines
without it. The same function cuts lines into words for the index and for the last look at a line, so the index
can never hide what a scan would find.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from omnimind.servers.problem import Problem

QUERY_CHARS = 500
TERMS = 20
_WORD = re.compile(r"[^\W_]+")
_INDEXED_CHARS = 48
_TERM = re.compile(r'(-?)(?:"([^"]*)"?|(\S+))')


def words_of(text: str) -> list[str]:
    """The words of a text in their order, folded."""
    return _WORD.findall(text.casefold())


def token(word: str) -> str:
    """A word as the index has it: letters and digits of ASCII, not too long. Beginnings stay beginnings."""
    cut = word[:_INDEXED_CHARS]
    return cut if cut.isascii() else "u" + cut.encode("utf-8", "surrogatepass").hex()


def tokens_of(words: Iterable[str]) -> str:
    """What the index keeps of a block: each word once."""
    return " ".join({token(word) for word in words})


@dataclass(frozen=True, slots=True)
class Term:
    """Words beside each other; the last may be a beginning."""

    words: tuple[str, ...]
    begins: bool = False

    def within(self, line: Sequence[str]) -> bool:
        """True if a line of these words holds it."""
        first, size = self.words[0], len(self.words)
        if size == 1:
            return any(word.startswith(first) for word in line) if self.begins else first in line
        return any(self._at(line[at : at + size]) for at in range(len(line) - size + 1))

    def _at(self, found: Sequence[str]) -> bool:
        if tuple(found[:-1]) != self.words[:-1]:
            return False
        return found[-1].startswith(self.words[-1]) if self.begins else found[-1] == self.words[-1]

    @property
    def match(self) -> str:
        """The same for FTS5, where a phrase is its words."""
        *whole, last = self.words
        asked = [f'"{token(word)}"' for word in whole]
        if self.begins and len(last) <= _INDEXED_CHARS:
            spelt = {
                token(last),
                "u" + last.encode("utf-8", "surrogatepass").hex(),
            }  # it may go on in any script
            asked.append("(" + " OR ".join(f'"{each}"*' for each in sorted(spelt)) + ")")
        else:
            asked.append(f'"{token(last)}"')
        return " AND ".join(asked)


@dataclass(frozen=True, slots=True)
class Query:
    """What a line must hold, and what it must not."""

    wanted: tuple[Term, ...]
    unwanted: tuple[Term, ...]

    def keeps(self, text: str) -> bool:
        """True if the line is one of those that are asked for."""
        line = words_of(text)
        return all(term.within(line) for term in self.wanted) and not any(
            term.within(line) for term in self.unwanted
        )

    def may_keep(self, text: str) -> bool:
        """True if the line holds what is wanted; what it must not hold is not looked for."""
        line = words_of(text)
        return all(term.within(line) for term in self.wanted)

    @property
    def needle(self) -> str:
        """What every such line holds, folded: the longest word."""
        return max((word for term in self.wanted for word in term.words), key=len)

    @property
    def match(self) -> str:
        """A question to FTS5 that leaves out no block with such a line."""
        return " AND ".join(term.match for term in self.wanted)


def parse(text: str) -> Query:
    """What a query asks for. Raises Problem."""
    if len(text) > QUERY_CHARS:
        raise Problem(f"a query may have {QUERY_CHARS} characters, not {len(text):,}")
    wanted: list[Term] = []
    unwanted: list[Term] = []
    for minus, quoted, bare in _TERM.findall(text):
        begins = bare.endswith("*")
        words = tuple(words_of(quoted or bare))
        if words:
            (unwanted if minus else wanted).append(Term(words, begins))
    if not wanted:
        raise Problem(
            "a query needs a word to look for, of letters or digits; to look for other characters use `pattern`"
        )
    if len(wanted) + len(unwanted) > TERMS:
        raise Problem(f"a query may have {TERMS} words or phrases, not {len(wanted) + len(unwanted)}")
    return Query(tuple(wanted), tuple(unwanted))
