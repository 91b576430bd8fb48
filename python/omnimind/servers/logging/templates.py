"""What the lines of a log say apart from what differs between them: templates, counted.

After Drain: a line is cut into words, words with digits stand for themselves no longer, and lines of the same
length and the same first word that agree in half of their words are one template; where they differ it has `<*>`.
Lines that differ in digits only are told apart once, by one look into a table.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import dataclass, field

from omnimind.servers.logging.record import Record

MOST = 2000
ALIKE = 0.5
_WORDS = 60
_REMEMBERED = 20_000
_ANY = "<*>"
_DIVIDES = r"\s=:,;()\[\]{}\"'"
_VARIES = re.compile(rf"(?<![^{_DIVIDES}])[^0-9{_DIVIDES}]*+[0-9][^{_DIVIDES}]*+")
"""A piece with a digit in it. It is only looked for where a piece begins, so a line costs linear time."""


@dataclass(slots=True)
class Template:
    """Lines that say the same."""

    words: list[str]
    count: int = 0
    first: str = ""
    last: str = ""
    sample: Record | None = None
    sources: Counter[str] = field(default_factory=Counter)
    levels: Counter[str] = field(default_factory=Counter)

    @property
    def text(self) -> str:
        """What it says."""
        return " ".join(self.words)

    @property
    def id(self) -> str:
        """A short name, the same wherever the text is."""
        return hashlib.blake2b(self.text.encode(), digest_size=4).hexdigest()

    def add(self, record: Record) -> None:
        """One more line."""
        self.count += 1
        self.sources[record.source] += 1
        self.levels[record.level] += 1
        if not self.first or record.time < self.first:
            self.first = record.time
        if record.time > self.last or self.sample is None:
            self.last, self.sample = max(record.time, self.last), record


class Templates:
    """The templates of the lines that were added."""

    def __init__(self) -> None:
        self.found: list[Template] = []
        self.others = 0
        self._by_shape: dict[tuple[int, str], list[Template]] = {}
        self._seen: dict[str, Template] = {}

    def add(self, record: Record) -> None:
        """Count a line. Beyond MOST templates it only counts as another one."""
        masked = _VARIES.sub(_ANY, record.text)
        template = self._seen.get(masked)
        if template is None:
            template = self._of(masked.split()[:_WORDS] or [""])
            if template is None:
                self.others += 1
                return
            if len(self._seen) >= _REMEMBERED:
                self._seen.clear()
            self._seen[masked] = template
        template.add(record)

    def _of(self, words: list[str]) -> Template | None:
        shape = (len(words), words[0] if "<*>" not in words[0] else _ANY)
        known = self._by_shape.setdefault(shape, [])
        best, alike = None, ALIKE * len(words)
        for template in known:
            same = sum(a == b for a, b in zip(template.words, words, strict=True))
            if same >= alike and (best is None or same > alike):
                best, alike = template, same
        if best is None:
            if len(self.found) >= MOST:
                return None
            best = Template(words)
            known.append(best)
            self.found.append(best)
        elif best.words != words:
            best.words = [a if a == b else _ANY for a, b in zip(best.words, words, strict=True)]
        return best
