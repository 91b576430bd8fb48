"""The context server's limits, each with the number that its message shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from omnimind.servers.problem import Problem

TEXT_BYTES: Final = 1024 * 1024
TOTAL_BYTES: Final = 256 * 1024 * 1024
ENTRIES: Final = 20_000
NAME_CHARACTERS: Final = 256
TAGS: Final = 32
TAG_CHARACTERS: Final = 64
SESSIONS: Final = 200
SNAPSHOTS: Final = 100
SNAPSHOT_ROWS: Final = 200_000
PAGE: Final = 200
BATCH: Final = 200
CONSIDERED: Final = 1_000  # entries that one retrieval ranks
SMALLEST_BUDGET: Final = 200  # tokens; below, not even what was left out could be said
LARGEST_BUDGET: Final = 1_000_000
SESSION_TTL_S: Final = 7 * 86_400
LONGEST_TTL_S: Final = 366 * 86_400


@dataclass(frozen=True, slots=True)
class Caps:
    """How many tokens a level may hold before its least valuable entries move on."""

    working: int = 32_000
    session: int = 200_000

    def of(self, level: str) -> int | None:
        """The cap of a level; None where there is none."""
        return {"working": self.working, "session": self.session}.get(level)


def check_text(text: str) -> bytes:
    """The bytes of a content that can be kept."""
    if not text.strip():
        raise Problem("the content is empty")
    try:
        data = text.encode()
    except UnicodeEncodeError as refusal:
        raise Problem(f"the content is not valid Unicode text (at character {refusal.start})") from None
    if len(data) > TEXT_BYTES:
        raise Problem(f"the content has {len(data):,} bytes; the limit is {TEXT_BYTES:,}, so split it")
    return data


def check_name(name: str | None, what: str) -> str | None:
    """A key, title or name without space around it; nothing if it is not given."""
    if name is None:
        return None
    clean = name.strip()
    if not clean:
        raise Problem(f"the {what} is empty; leave it out instead")
    if len(clean) > NAME_CHARACTERS:
        raise Problem(f"the {what} has {len(clean):,} characters; the limit is {NAME_CHARACTERS}")
    try:
        clean.encode()
    except UnicodeEncodeError:
        raise Problem(f"the {what} is not valid Unicode text") from None
    return clean


def check_tags(tags: Sequence[str]) -> tuple[str, ...]:
    """Tags in order, each once."""
    clean = tuple(sorted({tag for tag in (check_name(tag, "tag") for tag in tags) if tag}))
    if len(clean) > TAGS or any(len(tag) > TAG_CHARACTERS for tag in clean):
        raise Problem(f"at most {TAGS} tags of {TAG_CHARACTERS} characters can be kept with an entry")
    return clean


def check_batch(count: int) -> None:
    """Refuse more things than one transaction should carry."""
    if count > BATCH:
        raise Problem(f"{count:,} ids were given; the limit is {BATCH} a call, so split them")
