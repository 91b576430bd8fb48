"""A hundred thousand tokens of mixed documents in which we have hidden what must not be lost.

The documents are those of `benches.compression`, with planted facts and errors of their own; beside these every one
gets an incident in its own grammar: an error line, a row, a changed line, a definition, a rule.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, replace

from benches.compression.corpus import MAKERS
from benches.compression.document import Document

SIZE = 175
"""Lines, rows or sentences of each: then all have a little more than a hundred thousand tokens."""
LOGS = ("log", "syslog", "logfmt", "log-ru", "log-zh", "build", "trace")


@dataclass(frozen=True)
class Paper:
    """A document, and what of it has to be in any shorter text, to the letter."""

    document: Document
    critical: tuple[str, ...]

    @property
    def kind(self) -> str:
        return self.document.kind

    @property
    def facts(self) -> tuple[str, ...]:
        """Values that are no error: what a reader may ask for."""
        return tuple(fact.value for fact in self.document.facts if fact.value in self.document.text)


def papers(seed: int) -> list[Paper]:
    """One of each kind; the same seed gives the same texts."""
    rng = random.Random(seed)
    return [_with_incident(maker(random.Random(rng.getrandbits(64)), SIZE), rng) for maker in MAKERS]


def _with_incident(document: Document, rng: random.Random) -> Paper:
    name = f"rf-{rng.getrandbits(40):010x}"
    limit, code = f"{rng.randint(2, 9)},{rng.randint(100, 999)} EUR", rng.randint(65, 99)
    said = f"refund {name} refused: limit of {limit}, exit code {code}"
    text, kind = document.text, document.kind
    lines = text.splitlines(keepends=True)
    place = int(len(lines) * rng.uniform(0.25, 0.75))
    critical = said
    if kind in LOGS:
        text = _put(lines, 0 if kind == "trace" else place, f"ERROR {said}\n")
    elif kind == "jsonl":
        text = _put(lines, place, json.dumps({"level": "error", "error": said}) + "\n")
    elif kind == "json":
        found = json.loads(text)
        found["items"].insert(len(found["items"]) // 2, {"id": name, "state": "failed", "error": said})
        text = json.dumps(found, ensure_ascii=False)
    elif kind == "code":
        critical = f"def refund_{name[3:]}(limit_eur: int, retries: int) -> bool:"
        text = f"{text}\n\n{critical}\n    return limit_eur > retries\n"
    elif kind == "diff":
        changed = next(at for at, line in enumerate(lines) if line.startswith("+    "))
        critical = f"limit_{name[3:]} = {rng.randint(1000, 9999)}"
        lines[changed] = f"+    {critical}\n"
        text = "".join(lines)
    else:
        return Paper(document, document.errors)
    return Paper(replace(document, text=text), (*document.errors, critical))


def _put(lines: list[str], at: int, line: str) -> str:
    return "".join((*lines[:at], line, *lines[at:]))
