"""A process that prints what one before it printed: told once, then counted.

A server that crashes at every start says the same each time, for days. Rules: only against lives that ended
soon after their start, so a healthy server's output is always whole; a line is compared by what it says without
its numbers (times, pids, addresses); told again are the counts 1, 2, 4, 8 and so on, and the whole text after an
hour. What is folded is in the log already, and the note says where.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

SHORT_LIFE_S = 60.0
WHOLE_AGAIN_S = 3600.0
_LINES = 300
_KINDS = 4
"""So many different ways to fail are told apart."""

_NUMBERS = re.compile(r"\b(?:0x)?[0-9a-f]*\d[0-9a-f]*\b", re.IGNORECASE)


def without_numbers(line: str) -> str:
    """What a line says, whenever and by whichever process it is said."""
    return _NUMBERS.sub("#", line)


@dataclass(slots=True)
class _Text:
    """What a life that ended early had said."""

    lines: tuple[int, ...]
    pid: int
    written_s: float
    times: int = 0


@dataclass(slots=True)
class Repeats:
    """What the last short lives of one server said."""

    tick_s: Callable[[], float]
    _known: list[_Text] = field(default_factory=list)

    def life(self, pid: int) -> Life:
        """A new process begins to print."""
        now_s = self.tick_s()
        fresh = [text for text in self._known if now_s - text.written_s < WHOLE_AGAIN_S]
        return Life(self, pid, now_s, fresh)

    def remember(self, text: _Text) -> None:
        """A short life ended that said something new."""
        self._known = [text, *(known for known in self._known if known.lines != text.lines)][:_KINDS]

    def forget(self) -> None:
        """A long life: what its successor says is news."""
        self._known = []


@dataclass(slots=True)
class Life:
    """One process's lines beside those of earlier ones."""

    of: Repeats
    pid: int
    began_s: float
    like: list[_Text]
    said: list[int] = field(default_factory=list)
    parted: bool = False

    def repeats(self, line: str) -> bool:
        """True for a line that need not be written, because an earlier process said all this so far."""
        place, meaning = len(self.said), hash(without_numbers(line))
        if place <= _LINES:
            self.said.append(meaning)
        still = [text for text in self.like if place < len(text.lines) and text.lines[place] == meaning]
        if not still:
            return False
        self.like = still
        return not self.parted

    def parts(self) -> str | None:
        """Called for the first line that is written: what to say of those that were not."""
        folded, before = len(self.said) - 1, self.like[0] if self.like else None
        self.parted, self.like = True, []
        if folded <= 0 or before is None:
            return None
        return f"{_lines(folded)} as at the start of pid {before.pid}"

    def ends(self) -> str | None:
        """The process is gone: what to say of its lines if none was written."""
        if self.of.tick_s() - self.began_s >= SHORT_LIFE_S:
            self.of.forget()
            return None
        if not self.said or len(self.said) > _LINES:
            return None
        if self.parted or not self.like:
            self.of.remember(_Text(tuple(self.said), self.pid, self.began_s))
            return None
        before = self.like[0]
        before.times += 1
        if before.times & (before.times - 1):
            return None
        times = f", {before.times} times by now" if before.times > 1 else ""
        return f"ended after {_lines(len(self.said))}, the same as pid {before.pid}{times}"


def _lines(count: int) -> str:
    return "1 line" if count == 1 else f"{count} lines"
