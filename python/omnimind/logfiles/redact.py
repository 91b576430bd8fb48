"""Secrets are taken out of a line before anything is written or remembered.

Two sources. What the configuration gave a server: values that came from `${env:...}` or `${file:...}`, and
values of `env` and `headers` whose name looks secret, in every spelling a program may print them in. And what
is a secret by its form, whoever it belongs to: bearer tokens, tokens of known services, passwords in URLs,
private keys. Rule: rather too much than too little, but never a path, a number or a word of a few letters,
without which nobody could read a log. A line costs time in proportion to its length, whatever is in it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import quote

from omnimind.settings import ServerSettings

MARK = "[redacted]"
SHORTEST = 6
"""A shorter value is not taken for a secret: it would be found in half of all words."""

_SECRET_NAME = re.compile(
    r"TOKEN|KEY|SECRET|PASS|CREDENTIAL|AUTH|COOKIE|PRIVATE|SIGNATURE|WEBHOOK|DSN|_PAT$|^PAT$", re.IGNORECASE
)
_PLAIN = re.compile(r"[\d.,:]*|true|false|null|none|default|localhost", re.IGNORECASE)
_SCHEME = re.compile(r"(?:Bearer|Basic|Token|Digest)\s+(.+)", re.IGNORECASE | re.DOTALL)

_KEY_BEGINS = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY")
_KEY_ENDS = re.compile(r"-----END [A-Z0-9 ]*PRIVATE KEY-----")
_KEY_LINES = 200
"""Longest key block; after so many lines without an end it was none."""

_FORMS = re.compile(
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|$)"
    r"|(?<![A-Za-z0-9_-])(?:"
    r"om_[A-Za-z0-9_-]{20,}"
    r"|gh[opusr]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}"
    r"|sk-[A-Za-z0-9_-]{16,}|[rs]k_(?:live|test)_[A-Za-z0-9]{10,}"
    r"|(?:AKIA|ASIA)[A-Z0-9]{12,}|AIza[A-Za-z0-9_-]{30,}|ya29\.[A-Za-z0-9_-]{20,}"
    r"|xox[a-z]-[A-Za-z0-9-]{10,}|npm_[A-Za-z0-9]{30,}|hf_[A-Za-z0-9]{20,}|pypi-[A-Za-z0-9_-]{20,}"
    r"|eyJ[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]*){0,2}"
    r")"
    r"|(?P<header>\bauthorization[\"']?\s*[=:]\s*[\"']?(?:[a-z]+\s+)?)[^\s\"',]{6,}"
    r"|(?P<scheme>\b(?:bearer|basic)\s+)(?=[^\s]*[\d_=-])[A-Za-z0-9._~+/=-]{8,}"
    r"|(?P<user>://[^/\s:@]*:)[^@\s/]+(?=@)"
    r"|(?P<name>(?<![\w-])[\w-]*(?:token|secret|passw(?:or)?d|api[_-]?key)[\"']?\s*[=:]\s*[\"']?)"
    r"(?=[^\s\"',;&]{0,400}\d)(?=[^\s\"',;&]{0,400}[A-Za-z])[^\s\"',;&]{8,}",
    re.IGNORECASE,
)


HINTS = (
    r"PRIVATE KEY|om_|gh[opusr]_|github_pat_|glpat-|sk-|[rs]k_(?:live|test)_|AKIA|ASIA|AIza|ya29\.|xox[a-z]-|npm_|hf_"
    r"|pypi-|eyJ|authorization|bearer|basic|://|token|secret|passw|api[_-]?key"
)
"""A line without one of these, in any case, holds no secret by its form: for a first look that is fast."""


class Redactor:
    """Takes secrets out of lines. Make one a server, and a `stream` of it for each process's output."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        spelt = {form for secret in secrets for form in _spellings(secret)}
        longest_first = sorted(spelt, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None
        self.longest = max(map(len, longest_first), default=0)

    def line(self, text: str) -> str:
        """The line without secrets."""
        if self._known is not None:
            text = self._known.sub(MARK, text)
        return _FORMS.sub(_marked, text)

    def stream(self) -> Callable[[str], str]:
        """`line` for the lines of one process in their order: a private key is redacted over its lines."""
        left = 0

        def line(text: str) -> str:
            nonlocal left
            if left:
                left = 0 if _KEY_ENDS.search(text) else left - 1
                return MARK
            begins = _KEY_BEGINS.search(text)
            if begins and not _KEY_ENDS.search(text, begins.end()):
                left = _KEY_LINES
            return self.line(text)

        return line


def _marked(found: re.Match[str]) -> str:
    return (found["header"] or found["scheme"] or found["user"] or found["name"] or "") + MARK


def _spellings(secret: str) -> Iterator[str]:
    """The secret as programs print it: as it is, by lines, in JSON, in a URL."""
    for part in {secret, *secret.splitlines()}:
        part = part.strip()
        if len(part) >= SHORTEST and not _PLAIN.fullmatch(part):
            yield part
            yield json.dumps(part)[1:-1]
            yield json.dumps(part, ensure_ascii=False)[1:-1]
            yield repr(part)[1:-1]
            yield quote(part, safe="")


def secrets_of(server: ServerSettings, exists: Callable[[str], bool] = os.path.exists) -> list[str]:
    """What the configuration gave this server that must not be read in its log."""
    named = [
        value
        for values in (server.env, server.headers)
        for name, value in values.items()
        if _SECRET_NAME.search(name)
    ]
    found = []
    for value in (*server.secrets, *named):
        scheme = _SCHEME.fullmatch(value)
        bare = scheme[1] if scheme else value
        if not (bare.startswith(("/", "~", "./")) and exists(os.path.expanduser(bare))):
            found.append(bare)
    return found
