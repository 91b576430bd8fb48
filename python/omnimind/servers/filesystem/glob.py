"""Glob patterns over relative paths: `*` and `?` within a name, `**` across folders, `[a-z]`, `{a,b}`, a leading
`!` for all that does not match, and `\\` before a character that means itself.

Matching takes time proportional to pattern and path, whatever the pattern: names go through `fnmatch`'s
atomic translation, folders through a table. So a hostile pattern costs nothing special.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Sequence

from omnimind.servers.filesystem import limits
from omnimind.servers.problem import Problem

_ALTERNATIVES = 256
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_SLASHES = re.compile("/{2,}")
_SPECIAL = "*?[]{},!-^\\"
_STAND_INS = {special: chr(0xFDD0 + at) for at, special in enumerate(_SPECIAL)}  # characters of no name

Matcher = Callable[[str], bool]


def matcher(pattern: str) -> Matcher:
    """A function that says whether a relative path matches the pattern."""
    if len(pattern) > limits.PATTERN_CHARACTERS:
        raise Problem(
            f"the pattern has {len(pattern):,} characters; the limit is {limits.PATTERN_CHARACTERS:,}"
        )
    plain = pattern.lstrip("!")
    negated = (len(pattern) - len(plain)) % 2 == 1
    literal = _ESCAPED.sub(lambda found: _STAND_INS.get(found[1], found[1]), plain)
    compiled = [_compile(alternative) for alternative in expand(literal)]

    def matches(path: str) -> bool:
        parts = path.split("/")
        return any(_match(steps, parts) for steps in compiled) is not negated

    return matches


def excluder(patterns: Sequence[str], *, anywhere: bool) -> Matcher:
    """Whether any of the patterns matches. `anywhere`: a plain name also counts below other folders."""
    if len(patterns) > limits.PATTERNS:
        raise Problem(f"{len(patterns):,} patterns were given; the limit is {limits.PATTERNS}")
    wanted: list[Matcher] = []
    for pattern in patterns:
        wanted.append(matcher(pattern))
        if anywhere and "*" not in pattern:
            wanted.extend((matcher(f"**/{pattern}"), matcher(f"**/{pattern}/**")))
    return lambda path: any(matches(path) for matches in wanted)


def expand(pattern: str) -> list[str]:
    """The patterns that a pattern with `{a,b}` stands for."""
    found = [pattern]
    finished: list[str] = []
    while found:
        current = found.pop()
        span = _innermost_braces(current)
        if span is None:
            finished.append(current)
            continue
        start, end = span
        found.extend(
            current[:start] + choice + current[end + 1 :] for choice in current[start + 1 : end].split(",")
        )
        if len(found) + len(finished) > _ALTERNATIVES:
            raise Problem(f"the braces of the pattern stand for more than {_ALTERNATIVES} patterns")
    return list(dict.fromkeys(finished))


def _innermost_braces(pattern: str) -> tuple[int, int] | None:
    end = pattern.find("}")
    while end >= 0:
        start = pattern.rfind("{", 0, end)
        if start >= 0 and "," in pattern[start:end]:
            return start, end
        end = pattern.find("}", end + 1)
    return None


def _compile(pattern: str) -> list[re.Pattern[str] | None]:
    """One step a component; None stands for `**`."""
    steps: list[re.Pattern[str] | None] = []
    for part in _SLASHES.sub("/", pattern).split("/"):
        if part != "**":
            expression = fnmatch.translate(part)
            for special, stand_in in _STAND_INS.items():
                expression = expression.replace(stand_in, re.escape(special))
            steps.append(re.compile(expression))
        elif not steps or steps[-1] is not None:
            steps.append(None)
    return steps


def _match(steps: list[re.Pattern[str] | None], parts: list[str]) -> bool:
    # reachable[j]: the steps so far can match the first j components.
    reachable = [True] + [False] * len(parts)
    for number, step in enumerate(steps, 1):
        if step is None:
            first = next((at for at, open_ in enumerate(reachable) if open_), len(reachable))
            first += number == len(steps)  # at the end of a pattern it stands for something, not for nothing
            reachable = [at >= first for at in range(len(reachable))]
            continue
        matched = [False] * len(reachable)
        for at, part in enumerate(parts):
            if reachable[at] and step.match(part):
                matched[at + 1] = True
        reachable = matched
    return reachable[-1]
