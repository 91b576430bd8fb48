"""Reading a git configuration file without following it.

libgit2 follows `include.path` while it opens a repository, so what a file includes has to be known before. This
reads the format (sections, quoting, continued lines, comments) and nothing else: it resolves no path and looks at
no condition. Where it is unsure it yields more, never less: a section may begin anywhere outside a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_SECTION = re.compile(r'\[\s*([A-Za-z0-9.-]+)\s*(?:"((?:[^"\\\n]|\\.)*)")?\s*\]')
_NAME = re.compile(r"([A-Za-z][A-Za-z0-9-]*)[ \t]*(=?)")
_ESCAPES = {"n": "\n", "t": "\t", "b": "\b"}


def entries(text: str) -> Iterator[tuple[str, str]]:
    """Every setting of the file in order, as (`section.key` in lower case, value). Subsections are left out."""
    section, at = "", 0
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    while at < len(text):
        if text[at] in " \t\n\r":
            at += 1
        elif text[at] in "#;":
            at = _line_end(text, at)
        elif found := _SECTION.match(text, at):
            section, at = found[1].lower().partition(".")[0], found.end()
        elif found := _NAME.match(text, at):
            value, at = _value(text, found.end()) if found[2] else ("true", found.end())
            yield f"{section}.{found[1].lower()}", value
        else:
            at += 1


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def _value(text: str, at: int) -> tuple[str, int]:
    """The value that starts here, and where it ends."""
    said: list[str] = []
    kept = 0  # spaces at the end do not count unless they are quoted
    quoted = False
    while at < len(text) and text[at] != "\n":
        character = text[at]
        if character == "\\" and at + 1 < len(text):
            following = text[at + 1]
            at += 2
            if following == "\n":
                continue
            said.append(_ESCAPES.get(following, following))
            kept = len(said)
            continue
        if character == '"':
            quoted = not quoted
            kept = len(said)
        elif character in "#;" and not quoted:
            at = _line_end(text, at)
            break
        elif quoted or not character.isspace():
            said.append(character)
            kept = len(said)
        elif said:
            said.append(character)
        at += 1
    return "".join(said[:kept]), at
