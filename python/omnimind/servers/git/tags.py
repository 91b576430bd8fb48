"""Tags: listed, and made."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import pygit2
from pygit2.enums import ReferenceType

from omnimind.servers import depends
from omnimind.servers.git import evidence, history, identity, limits, revisions
from omnimind.servers.git.identity import Said
from omnimind.servers.git.repository import Opened, message_of
from omnimind.servers.problem import Problem

_FOLDER = "refs/tags/"


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag; one without an object of its own has no tagger, date or message."""

    name: str
    target: str
    kind: str
    tagger: str | None = None
    date: datetime | None = None
    message: str | None = None


def listed(repo: pygit2.Repository, pattern: str | None) -> Iterator[Tag]:
    """Tags in order of their names, whose name matches a glob pattern if one is given."""
    evidence.references(repo, "refs/tags")
    for name in sorted(repo.references):
        if name.startswith(_FOLDER):
            own = name.removeprefix(_FOLDER)
            if pattern is None or fnmatch.fnmatchcase(own, pattern):
                yield _tag(repo, own, repo.references[name])


def _tag(repo: pygit2.Repository, name: str, reference: pygit2.Reference) -> Tag:
    found = repo.get(reference.resolve().target)
    if found is None or reference.type == ReferenceType.SYMBOLIC:
        depends.unsure()
    if not isinstance(found, pygit2.Tag):
        return Tag(name, str(reference.resolve().target), "missing" if found is None else found.type_str)
    by = found.tagger
    target = repo.get(found.target)
    if target is None:
        depends.unsure()
    kind = "missing" if target is None else target.type_str
    if by is None:
        return Tag(name, str(found.target), kind, message=message_of(found))
    return Tag(name, str(found.target), kind, history.name_of(by), history.when(by), message_of(found))


def create(opened: Opened, name: str, target: str, message: str | None, said: Said) -> Tag:
    """Make a tag; with a message one that has an object, a tagger and a date."""
    repo = opened.repo
    revisions.new_name(name, "tag")
    if _FOLDER + name in repo.references:
        raise Problem(f"Cannot create tag '{name}': it exists already; choose another name")
    tagged = revisions.resolve(repo, target)
    if message is None:
        repo.references.create(_FOLDER + name, tagged.id)
    else:
        if not message.strip() or "\0" in message or len(message) > limits.MESSAGE_CHARS:
            raise Problem(
                "the message is empty, has a NUL character or is too long; leave it out for a plain tag"
            )
        tagger = identity.signature(identity.committer(opened, said))
        repo.create_tag(name, tagged.id, tagged.type, tagger, message)
    return _tag(repo, name, repo.references[_FOLDER + name])
