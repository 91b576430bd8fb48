"""The memory server's limits, each with the number that its message shows."""

from __future__ import annotations

from typing import Final

from omnimind.servers.problem import Problem

BATCH: Final = 1_000  # things in one call
NAME_CHARACTERS: Final = 1_024
TEXT_CHARACTERS: Final = 65_536
TAGS: Final = 64
METADATA_CHARACTERS: Final = 16_384
ANSWER_CHARACTERS: Final = 6_000_000
PAGE: Final = 500
COMPARED: Final = 20_000  # memories in one search for near-duplicates
REASONS: Final = 100  # given for one proposal
HOPS: Final = 8
DIGITS: Final = 8  # of a score


def check_batch(count: int, what: str) -> None:
    """Refuse more things than one transaction should carry."""
    if count > BATCH:
        raise Problem(f"{count:,} {what} were given; the limit is {BATCH:,} a call, so split them")


def check_name(name: str, what: str) -> None:
    """Refuse an empty or a very long name."""
    if not name.strip():
        raise Problem(f"{what} is empty")
    if len(name) > NAME_CHARACTERS:
        raise Problem(f"{what} has {len(name):,} characters; the limit is {NAME_CHARACTERS:,}")


def check_text(text: str, what: str) -> None:
    """Refuse a very long text, and one that no UTF-8 file can hold."""
    if len(text) > TEXT_CHARACTERS:
        raise Problem(f"{what} has {len(text):,} characters; the limit is {TEXT_CHARACTERS:,}, so split it")
    try:
        text.encode()
    except UnicodeEncodeError as refusal:
        raise Problem(f"{what} is not valid Unicode text (at character {refusal.start})") from None
