"""Who a commit or tag is by.

The repository's own `user.name` and `user.email` come first: its owner set them there. A machine's or a user's
configuration is never read. Without them the caller's words count, and without those the principal of the call.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import pygit2

from omnimind.servers.git import limits
from omnimind.servers.git.repository import Opened
from omnimind.servers.problem import Problem

_NAME = "OmniMind"
_UNWANTED = re.compile(r"[<>\x00-\x1f\x7f]")
_NOT_IN_ADDRESS = re.compile(r"[^A-Za-z0-9._+-]")


@dataclass(frozen=True, slots=True)
class Person:
    """A name and an address."""

    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Said:
    """What a caller says about the author, and the principal it calls for."""

    principal: str
    name: str | None = None
    email: str | None = None


def committer(opened: Opened, said: Said) -> Person:
    """Who makes the change."""
    return Person(
        opened.layout.setting("user.name") or _said(said.name, "author_name") or _NAME,
        opened.layout.setting("user.email") or _said(said.email, "author_email") or _address(said.principal),
    )


def author(opened: Opened, said: Said) -> Person:
    """Who wrote it: what the caller says, else who makes the change."""
    maker = committer(opened, said)
    return Person(
        _said(said.name, "author_name") or maker.name, _said(said.email, "author_email") or maker.email
    )


def signature(person: Person) -> pygit2.Signature:
    """The person, now."""
    name, email = (_UNWANTED.sub("", text).strip() for text in (person.name, person.email))
    return pygit2.Signature(name or _NAME, email or "unknown@localhost")


def _said(text: str | None, what: str) -> str | None:
    if text is None:
        return None
    if not text.strip() or _UNWANTED.search(text) or len(text) > limits.NAME_CHARS:
        raise Problem(
            f"{what} is empty, has '<', '>' or a control character, or more than {limits.NAME_CHARS} characters"
        )
    return text.strip()


def _address(principal: str) -> str:
    return f"{_NOT_IN_ADDRESS.sub('-', principal)[:64] or 'unknown'}@localhost"
